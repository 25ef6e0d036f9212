"""A bucket as a store, through obstore: it has conditional puts, which pyarrow's S3 file system has not.

Two kinds of retries: obstore's own for whole requests (a PUT holds all its bytes), ours for what is read, whose body
may break in the middle. A create whose answer was lost is found to be its own by its content.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError

from modelway.artifacts.errors import ArtifactError, SourceChangedError, TransientError
from modelway.artifacts.s3 import connect, is_anonymous, translate
from modelway.artifacts.transfer import Retries
from modelway.artifacts.uri import Location
from modelway.batch.errors import BatchError, ChangedError, Reason
from modelway.batch.store import Stored

_PIECE: Final = 8 << 20  # S3 takes 10,000 pieces: parts of up to 80 GB
_AT_ONCE: Final = 2
_RETRIES: Final = 10
_ERRORS: Final = (BaseError, FileNotFoundError, ValueError)
T = TypeVar("T")


class Bucket:
    """One bucket, with the credentials that `modelway fetch` takes."""

    def __init__(self, location: Location, environ: Mapping[str, str] = os.environ) -> None:
        self._location = location
        self._anonymous = is_anonymous(environ)
        try:
            self._store = connect(location.host, environ, retries=_RETRIES)
        except ArtifactError as error:
            raise BatchError(Reason.SETTINGS_INVALID, error.message) from error
        self._retries = Retries()
        self.exclusive = True

    def list(self, prefix: str) -> list[Stored]:
        # obstore lists by whole folders; what begins so is picked here.
        folder = prefix.rpartition("/")[0]

        def page() -> list[Stored]:
            pages = obstore.list(self._store, folder + "/" if folder else None)
            return [_stored(meta) for metas in pages for meta in metas if meta["path"].startswith(prefix)]

        return sorted(self._reading(page, prefix), key=lambda stored: stored.key)

    def find(self, key: str) -> Stored | None:
        def head() -> Stored | None:
            try:
                return _stored(obstore.head(self._store, key))
            except FileNotFoundError:
                return None

        return self._reading(head, key)

    def get(self, key: str) -> bytes | None:
        def whole() -> bytes | None:
            try:
                return bytes(obstore.get(self._store, key).bytes())
            except FileNotFoundError:
                return None

        return self._reading(whole, key)

    def read(self, stored: Stored, start: int, stop: int) -> bytes:
        if start >= min(stop, stored.size):
            return b""
        options: Any = {"range": (start, min(stop, stored.size)), "if_match": stored.mark}
        if not stored.mark:
            del options["if_match"]

        def ranged() -> bytes:
            try:
                return bytes(obstore.get(self._store, stored.key, options=options).bytes())
            except FileNotFoundError as error:
                raise ChangedError(stored.key) from error

        return self._reading(ranged, stored.key)

    def create(self, key: str, content: bytes) -> bool:
        try:
            obstore.put(self._store, key, content, mode="create")
        except AlreadyExistsError:
            return False
        except NotSupportedError:
            return self._create_otherwise(key, content)
        except _ERRORS as error:
            if "status code: 501" in str(error) or "NotImplemented" in str(error):
                return self._create_otherwise(key, content)
            raise self._told(error, key) from error
        if self.exclusive:
            self.exclusive = self._honours_conditions(key, content)
        return True

    def put(self, key: str, content: bytes) -> None:
        try:
            obstore.put(self._store, key, content, use_multipart=False)
        except _ERRORS as error:
            raise self._told(error, key) from error

    def upload(self, key: str) -> "BucketUpload":
        return BucketUpload(self._store, key, lambda error: self._told(error, key))

    def delete(self, key: str) -> None:
        try:
            obstore.delete(self._store, key)
        except FileNotFoundError:
            pass
        except _ERRORS as error:
            raise self._told(error, key) from error

    def local(self, stored: Stored) -> Path | None:
        del stored
        return None

    def shown(self, key: str) -> str:
        return f"s3://{self._location.host}/{key}"

    def _honours_conditions(self, key: str, content: bytes) -> bool:
        """Whether a second create of what has just been created is refused, as it must be. The same bytes: no harm."""
        try:
            obstore.put(self._store, key, content, mode="create")
        except AlreadyExistsError:
            return True
        except _ERRORS as error:
            raise self._told(error, key) from error
        return False

    def _create_otherwise(self, key: str, content: bytes) -> bool:
        self.exclusive = False
        if self.get(key) is not None:
            return False
        self.put(key, content)
        return True

    def _reading(self, work: Callable[[], T], key: str) -> T:
        def once() -> T:
            try:
                return work()
            except _ERRORS as error:
                told = translate(str(error), self._location, anonymous=self._anonymous)
                raise ChangedError(key) if isinstance(told, SourceChangedError) else told from error

        try:
            return self._retries.run(once, self.shown(key))
        except ArtifactError as error:
            again = isinstance(error.__cause__, TransientError)
            raise BatchError(
                Reason.STORE_FAILED if again else Reason.STORE_REFUSED, f"{self.shown(key)}: {error.message}"
            ) from error

    def _told(self, error: Exception, key: str) -> BatchError:
        """What a failed write is told as; obstore has tried it again already."""
        told = translate(str(error), self._location, anonymous=self._anonymous)
        reason = Reason.STORE_REFUSED if isinstance(told, ArtifactError) else Reason.STORE_FAILED
        return BatchError(reason, f"{self.shown(key)}: {getattr(told, 'message', told)}")


class BucketUpload:
    """An object that is being written: in pieces, which become one object at the end."""

    def __init__(self, store: Any, key: str, told: Callable[[Exception], BatchError]) -> None:
        self._store, self._key, self._told = store, key, told
        self._writer: Any = obstore.open_writer(store, key, buffer_size=_PIECE, max_concurrency=_AT_ONCE)

    def write(self, chunk: bytes) -> None:
        try:
            self._writer.write(chunk)
        except (*_ERRORS, OSError) as error:
            raise self._told(error) from error

    def commit(self) -> Stored:
        try:
            self._writer.close()
            return _stored(obstore.head(self._store, self._key))
        except (*_ERRORS, OSError) as error:
            raise self._told(error) from error

    def abort(self) -> None:
        self._writer = None  # never closed, so never there


def _stored(meta: Any) -> Stored:
    return Stored(meta["path"], meta["size"], meta["e_tag"] or "")
