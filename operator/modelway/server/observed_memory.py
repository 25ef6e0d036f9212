"""What was asked, counted in memory that all workers of a server share: `answers` has the same for what was answered.

Mapped by the supervisor before it forks, when nobody knows yet how many features the model has, and so large enough for
the most; pages that are never written are never there. Each worker writes its own region from its event loop alone, and
one that replaces another counts on. All numbers are whole. Imported before the fork: nothing but the standard library.
"""

import mmap
from typing import Final

# A region's fields, in numbers of eight bytes, before the counts of the features.
MARK: Final = 0  # of the layout by which the counts are laid out; 0 where nobody has counted yet
ROWS: Final = 1  # that were counted
SKIPPED: Final = 2  # rows that were not, because there were too many at once
REFUSED: Final = 3  # requests that were not what the model takes
_HEADER: Final = 8

CAPACITY: Final = 2**20 - _HEADER
"""Numbers for the features of one worker: 100 features on a grid take a tenth of it."""


class Inputs:
    """The memory.

    Args:
        workers: how many regions.

    """

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self._numbers = memoryview(mmap.mmap(-1, 8 * workers * (_HEADER + CAPACITY))).cast("q")

    def region(self, worker: int) -> "Region":
        """A worker's own counts."""
        begin = worker * (_HEADER + CAPACITY)
        return Region(self._numbers[begin : begin + _HEADER + CAPACITY])

    def regions(self) -> "list[Region]":
        """All workers' counts."""
        return [self.region(worker) for worker in range(self.workers)]


class Region:
    """One worker's counts."""

    __slots__ = ("counts", "fields")

    def __init__(self, numbers: "memoryview[int]") -> None:
        self.fields = numbers[:_HEADER]
        self.counts = numbers[_HEADER:]
