"""The lines that belong to a range of bytes: every line to exactly one range, however the ranges are cut.

A line belongs to the range in which it begins. So a range that begins in the middle of a line leaves the rest of it
to the range before, and reads its own last line to its end.
"""

import io
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

from modelway.batch.errors import BatchError, Reason
from modelway.batch.files import compression
from modelway.batch.reading import ObjectFile
from modelway.batch.store import Store, Stored

CHUNK: Final = 1 << 20
_LONGEST: Final = 64 << 20


class Progress:
    """How many bytes of a file have been read so far, compressed ones where it is."""

    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file
        self._told = file.tell()

    def step(self) -> int:
        """Bytes since the last call."""
        now = self._file.tell()
        step, self._told = now - self._told, now
        return step


def opened(store: Store, file: Stored) -> tuple[Any, Progress]:
    """A file's bytes, decompressed, and how far they have been read."""
    raw = ObjectFile(store, file)
    kind = compression(file.key)
    stream: Any = raw if kind is None else pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), kind)
    return stream, Progress(raw)


def chunks(stream: Any, start: int, stop: int | None, where: str) -> Iterator[bytes]:
    """The lines that begin in [start, stop), in chunks of whole lines; the last may lack its line break.

    Args:
        stream: the file's bytes; it can seek if `start` is not 0.
        start: a byte.
        stop: a byte, or None for all of them.
        where: the file, for messages.

    Raises BatchError(INPUT_UNREADABLE) at a line beyond all reason.

    """
    here, text = _first_line(stream, start)
    while stop is None or here < stop:
        if stop is not None and here + len(text) >= stop:
            end = text.find(b"\n", stop - 1 - here)
            if end >= 0:
                yield text[: end + 1]
                return
        end = text.rfind(b"\n") + 1
        if end:
            yield text[:end]
            here, text = here + end, text[end:]
        if len(text) > _LONGEST:
            raise BatchError(
                Reason.INPUT_UNREADABLE, f"{where}: the line at byte {here} has no end within {_LONGEST >> 20} MiB"
            )
        chunk = stream.read(CHUNK)
        if not chunk:
            if text:
                yield text
            return
        text += chunk


def _first_line(stream: Any, start: int) -> tuple[int, bytes]:
    """Where the first line begins that begins at `start` or later, and bytes from there on."""
    if start == 0:
        return 0, b""
    stream.seek(start - 1)
    position = start - 1
    while chunk := stream.read(CHUNK):
        end = chunk.find(b"\n") + 1
        if end:
            return position + end, chunk[end:]
        position += len(chunk)
    return position, b""


class ChunkFile(io.RawIOBase):
    """Chunks as a file, for parsers that read one."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        super().__init__()
        self._parts, self._rest = parts, b""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return b""
            self._rest = part
        size = len(self._rest) if size is None or size < 0 else size
        found, self._rest = self._rest[:size], self._rest[size:]
        return found
