"""An object of a store as a file that libraries can read: in ranges, each of the very bytes that were planned."""

import io
from typing import Final

from modelway.batch.store import Store, Stored

_AHEAD: Final = 1 << 20


class ObjectFile(io.RawIOBase):
    """Read-only; what is read a little at a time is fetched a megabyte at a time. Raises ChangedError, BatchError."""

    def __init__(self, store: Store, stored: Stored) -> None:
        super().__init__()
        self._store, self._stored = store, stored
        self._position = 0
        self._begin, self._ahead = 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._stored.size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        rest = max(self._stored.size - self._position, 0)
        size = rest if size is None or size < 0 else min(size, rest)
        at = self._position - self._begin
        if not 0 <= at <= len(self._ahead) - size:
            self._begin, at = self._position, 0
            self._ahead = self._store.read(self._stored, self._begin, self._begin + max(size, _AHEAD))
        found = self._ahead[at : at + size]
        self._position += len(found)
        return found

    def readall(self) -> bytes:
        return self.read()
