"""Where input is read from and output written to: the few things that a store has to be able to do.

Every write is atomic: an object is there wholly or not at all. `create` is the one that settles who was first. Keys
are whole: of a bucket, or of the file system's root. Implemented by `folder` and `objects`; raises BatchError for
what the user or the operator must see (STORE_FAILED, STORE_REFUSED), after its own retries.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from modelway.artifacts.errors import ArtifactError
from modelway.artifacts.uri import Scheme, parse
from modelway.batch.errors import BatchError, Reason
from modelway.batch.sql import location as sql


@dataclass(frozen=True, slots=True)
class Stored:
    """An object: its key, its bytes' number, and the store's mark for exactly these bytes (an ETag)."""

    key: str
    size: int
    mark: str


class Upload(Protocol):
    """An object that is being written, and not there before `commit`."""

    def write(self, chunk: bytes) -> None:
        """Add bytes."""

    def commit(self) -> Stored:
        """Make the object be there, in place of what was."""

    def abort(self) -> None:
        """Forget it; may be called at any time, and after `commit` does nothing."""


class Store(Protocol):
    """One bucket, or the file system. Used from several threads at once."""

    @property
    def exclusive(self) -> bool:
        """Whether `create` is known to let only one win. Some S3 servers ignore `If-None-Match`."""

    def list(self, prefix: str) -> list[Stored]:
        """All objects whose key begins so, sorted by key."""

    def find(self, key: str) -> Stored | None:
        """An object, without its content; None where there is none."""

    def get(self, key: str) -> bytes | None:
        """A whole object; None where there is none."""

    def read(self, stored: Stored, start: int, stop: int) -> bytes:
        """Bytes of an object, at most up to its end. Raises ChangedError when it is not the one that is meant."""

    def create(self, key: str, content: bytes) -> bool:
        """Write an object if there is none; whether this call wrote it."""

    def put(self, key: str, content: bytes) -> None:
        """Write an object, in place of what was."""

    def upload(self, key: str) -> Upload:
        """Write an object piece by piece."""

    def delete(self, key: str) -> None:
        """Remove an object; it need not be there."""

    def local(self, stored: Stored) -> Path | None:
        """The file itself where there is one, for libraries that read it better than through Python."""

    def shown(self, key: str) -> str:
        """The object's URI, for people."""


@dataclass(frozen=True, slots=True)
class Place:
    """A prefix in a store, or one key or pattern of keys. `prefix` of a folder ends with a slash."""

    store: Store
    prefix: str

    def key(self, name: str) -> str:
        """The key of an object below it."""
        return self.prefix + name

    def __str__(self) -> str:
        return self.store.shown(self.prefix)


def open_place(uri: str, *, folder: bool = False, environ: Mapping[str, str] = os.environ) -> Place:
    """The place of a URI, s3://, file:// or of a table, or of a path.

    With `folder` it is one whether or not a slash ends it.

    Raises BatchError(SETTINGS_INVALID).
    """
    if sql.is_table(uri):
        from modelway.batch.sql.database import Database  # noqa: PLC0415 an extra of its own
        from modelway.batch.sql.ledger import Ledger  # noqa: PLC0415

        table = sql.parse(uri)
        return Place(Ledger(Database(table)), table.path)
    try:
        location = parse(uri if "://" in uri else _of_path(uri))
    except ArtifactError as error:
        raise BatchError(Reason.SETTINGS_INVALID, error.message) from error
    slash = "/" if (folder or location.is_folder) and not location.path.endswith("/") else ""
    if location.scheme is Scheme.S3:
        from modelway.batch.objects import Bucket  # noqa: PLC0415 a tenth of a second, for those who need it

        return Place(Bucket(location, environ), location.path + slash)
    if location.scheme is Scheme.FILE:
        from modelway.batch.folder import FileSystem  # noqa: PLC0415

        return Place(FileSystem(), location.path + slash)
    raise BatchError(
        Reason.SETTINGS_INVALID,
        f"{location}: batch reads and writes s3:// and file://; mount a claim and name its path",
    )


def _of_path(path: str) -> str:
    """A path as a URI, whatever is in it."""
    return f"file://{quote(str(Path.cwd() / path))}" + "/" * path.endswith("/")
