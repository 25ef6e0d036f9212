"""What the workers of a server share about labels: which were taken already, and what each worker has counted.

Mapped by the supervisor before it forks, like `tally`; pages that are never written are never there. Which labels were
taken is one set for all workers, and looked at and written under a lock, so that one label sent to two workers at once
counts once. What is counted is each worker's own, and read by the others as it was last published. Imported before the
fork: nothing but the standard library.
"""

import contextlib
import fcntl
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import Final

REMEMBERED: Final = 2**20
"""Labels that are remembered: 8 MiB when all are. Beyond, the oldest of the same bucket goes."""
_WAYS: Final = 16
_BUCKETS: Final = REMEMBERED // _WAYS

CAPACITY: Final = 16 * 2**20
"""Bytes of what one worker publishes: several times of what `feedback_counts` lets it become."""
_NUMBER: Final = 8
_HEADER: Final = 3 * _NUMBER  # how often there was something new, and how long both contents are
_REGION: Final = _HEADER + 2 * CAPACITY


class FeedbackMemory:
    """The memory.

    Args:
        workers: how many of them publish.

    """

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self._seen = memoryview(mmap.mmap(-1, _NUMBER * REMEMBERED)).cast("Q")
        self._published = memoryview(mmap.mmap(-1, workers * _REGION))
        # A lock of the kernel's: it goes with the process that holds it, however that ends.
        self._file = _nameless()
        weakref.finalize(self, os.close, self._file)

    @contextlib.contextmanager
    def locked(self) -> Iterator["Seen"]:
        """The set of labels that were taken, for the length of a block; to be short, for other workers wait."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield Seen(self._seen)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def publish(self, worker: int, content: bytes) -> bool:
        """Show others what this worker has counted; False, and the last one left, where it is too large.

        Of two places the one that is not shown is written, so a worker that dies in between leaves the last one whole.
        """
        if len(content) > CAPACITY:
            return False
        header, contents = self._region(worker)
        place = (header[0] + 1) % 2
        contents[place * CAPACITY : place * CAPACITY + len(content)] = content
        header[1 + place] = len(content)
        header[0] += 1
        return True

    def published(self, worker: int) -> bytes:
        """What a worker has published last; empty where it never has."""
        header, contents = self._region(worker)
        while True:
            turn = header[0]
            place = turn % 2
            content = bytes(contents[place * CAPACITY : place * CAPACITY + header[1 + place]])
            if header[0] == turn:
                return content

    def _region(self, worker: int) -> "tuple[memoryview[int], memoryview]":
        region = self._published[worker * _REGION : (worker + 1) * _REGION]
        return region[:_HEADER].cast("Q"), region[_HEADER:]


def _nameless() -> int:
    """A file to lock."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("modelway-feedback")
    with tempfile.TemporaryFile() as file:  # where there is no Linux
        return os.dup(file.fileno())


class Seen:
    """A set of 64-bit numbers that forgets its oldest members when it is full."""

    __slots__ = ("_numbers",)

    def __init__(self, numbers: "memoryview[int]") -> None:
        self._numbers = numbers

    def __contains__(self, mark: int) -> bool:
        begin = mark % _BUCKETS * _WAYS
        return (mark or 1) in self._numbers[begin : begin + _WAYS].tolist()

    def add(self, mark: int) -> None:
        """Remember a number."""
        begin = mark % _BUCKETS * _WAYS
        bucket = self._numbers[begin : begin + _WAYS]
        bucket[1:] = bucket[:-1]  # the youngest stands first
        bucket[0] = mark or 1
