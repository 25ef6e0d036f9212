"""What a place that models come from has to be able to do: list, and read a file from any byte on.

The seam between `fetch`, which knows folders, digests and retries, and the stores. A source raises `TransientError` for
what may go away and `ArtifactError` for what will not; nothing else of its library's comes through.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """A file at its source.

    Args:
        path: where it goes, relative to the model's folder.
        key: what the source calls it.
        size: bytes, None where the source does not say.
        version: the source's mark for these bytes (an ETag), to notice a change between two reads; empty if unknown.

    """

    path: PurePosixPath
    key: str
    size: int | None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What is to be fetched: one file by itself, or a folder's files."""

    entries: tuple[Entry, ...]
    is_folder: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is being read.

    Args:
        chunks: the bytes, from `start` on.
        start: the first byte's position: what was asked for, or 0 where the source cannot begin in the middle.
        size: bytes of the whole file, None where the source does not say.
        version: as `Entry.version`.

    """

    chunks: Iterator[bytes]
    start: int
    size: int | None
    version: str = ""


class Source(Protocol):
    """A place that models come from. Not shared between threads."""

    def list(self) -> Listing:
        """What there is. Raises ArtifactError, TransientError."""

    def open(self, entry: Entry, start: int) -> Opened:
        """Begin to read a file at a byte. Raises ArtifactError, TransientError; so does iterating."""
