"""The file system as a store: a disk, or a volume that several pods share.

Keys are absolute paths. An object is written beside its place under a name that no listing shows, flushed to the disk
and moved, so that a node that loses its power leaves no empty part behind a `_SUCCESS`.
"""

import contextlib
import errno
import os
import uuid
from pathlib import Path
from typing import Final

from modelway.batch.errors import BatchError, ChangedError, Reason
from modelway.batch.store import Stored

_TEMPORARY: Final = ".modelway-tmp-"
# File systems without hard links: FAT, some network and FUSE mounts.
_NO_LINKS: Final = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class FileSystem:
    """All folders of this machine."""

    def __init__(self) -> None:
        self.exclusive = True

    def list(self, prefix: str) -> list[Stored]:
        base = prefix[: prefix.rfind("/") + 1]
        found = []
        try:
            for folder, _, names in os.walk(base, onerror=_unless_gone, followlinks=True):
                for name in names:
                    path = str(Path(folder, name))
                    if path.startswith(prefix) and not name.startswith(_TEMPORARY):
                        with contextlib.suppress(FileNotFoundError):  # removed meanwhile, or a link to nothing
                            found.append(_stored(path))
        except OSError as error:
            raise _told(error) from error
        return sorted(found, key=lambda stored: stored.key)

    def find(self, key: str) -> Stored | None:
        try:
            return _stored(key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _told(error) from error

    def get(self, key: str) -> bytes | None:
        try:
            return Path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _told(error) from error

    def read(self, stored: Stored, start: int, stop: int) -> bytes:
        try:
            with Path(stored.key).open("rb") as file:
                if _mark(os.fstat(file.fileno())) != stored.mark:
                    raise ChangedError(stored.key)
                return os.pread(file.fileno(), stop - start, start)
        except FileNotFoundError:
            raise ChangedError(stored.key) from None
        except OSError as error:
            raise _told(error) from error

    def create(self, key: str, content: bytes) -> bool:
        temporary = _begin(key)
        try:
            _write(temporary, content)
            try:
                os.link(temporary, key)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                self.exclusive = False
                if Path(key).exists():
                    return False
                temporary.rename(key)
            _flush_folder(key)
        except OSError as error:
            raise _told(error) from error
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def put(self, key: str, content: bytes) -> None:
        upload = self.upload(key)
        upload.write(content)
        upload.commit()

    def upload(self, key: str) -> "FileUpload":
        return FileUpload(key)

    def delete(self, key: str) -> None:
        try:
            Path(key).unlink(missing_ok=True)
        except OSError as error:
            raise _told(error) from error

    def local(self, stored: Stored) -> Path | None:
        try:
            if _mark(Path(stored.key).stat()) != stored.mark:
                raise ChangedError(stored.key)
        except OSError:
            raise ChangedError(stored.key) from None
        return Path(stored.key)

    def shown(self, key: str) -> str:
        return f"file://{key}"


class FileUpload:
    """A file that is being written."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._temporary = _begin(key)
        try:
            self._file = self._temporary.open("wb")
        except OSError as error:
            raise _told(error) from error

    def write(self, chunk: bytes) -> None:
        try:
            self._file.write(chunk)
        except OSError as error:
            raise _told(error) from error

    def commit(self) -> Stored:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(self._key)
            _flush_folder(self._key)
            return _stored(self._key)
        except OSError as error:
            raise _told(error) from error

    def abort(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
            self._temporary.unlink(missing_ok=True)


def _begin(key: str) -> Path:
    """A new name beside the place; the folder is made."""
    place = Path(key)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _told(error) from error
    return place.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}-{place.name[-80:]}")


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(key: str) -> None:
    """A name is on the disk only when its folder is."""
    descriptor = os.open(Path(key).parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stored(path: str) -> Stored:
    status = Path(path).stat()
    return Stored(path, status.st_size, _mark(status))


def _mark(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def _told(error: OSError) -> BatchError:
    refused = error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR}
    return BatchError(
        Reason.STORE_REFUSED if refused else Reason.STORE_FAILED, f"{error.filename}: {error.strerror or error}"
    )
