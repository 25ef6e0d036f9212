"""Counts what was asked, behind the answers: a slice of rows at a time.

The rows of a request are put aside when it has been answered. When there are enough of them for numpy to be worth its
while, a slice is counted in a turn of the event loop of its own, in about a quarter of a millisecond, and between two
slices everybody else has a turn: so no request waits for the counting of another's 10,000 rows. Not in a thread: that
would hold the interpreter for up to 5 ms where a slice holds it for a quarter.

A row costs one to two microseconds for 30 features, which is nothing beside a request of its own and much beside a
large one. What is usual can be told from some thousands of rows, so there is a rate beyond which requests are left out,
and what waits is bounded too; what was left out is counted. A busy server leaves out most of its requests, so that is
made cheap. Used from one event loop.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from math import inf
from typing import Final

import numpy as np

from modelway.server.observed_layout import Layout
from modelway.server.observed_memory import MARK, REFUSED, ROWS, SKIPPED, Region
from modelway.server.tensors import Array, Batch

_VALUES: Final = 8192
"""Of a slice."""
_MOST_ROWS: Final = 512
_BURST: Final = 2.0  # seconds
_MOST_WAITING: Final = 4_000_000
"""Values that may wait; 32 MB of doubles."""


class InputObserver:
    """Looks at the rows that one model was asked about, for one worker.

    Args:
        layout: what is counted where.
        region: the worker's memory.
        share: of the requests that are looked at.
        rate: rows a second that are counted; two seconds of it may come at once.
        chance: gives numbers from 0 to below 1.

    """

    __slots__ = (
        "_chance", "_counts", "_is_due", "_layout", "_most", "_region", "_seconds", "_share", "_skipped", "_slice",
        "_spent", "_waiting", "_waiting_rows",
    )  # fmt: skip

    def __init__(
        self,
        layout: Layout,
        region: Region,
        *,
        share: float = 1.0,
        rate: float = inf,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._layout = layout
        self._region = region
        self._share = share
        self._chance = chance
        self._seconds = 1.0 / rate  # that a row takes at this rate
        self._spent = -inf  # when all the rows taken so far would be done at this rate
        self._counts = np.asarray(region.counts)[: layout.size]  # the same memory
        width = max(len(layout.counted), 1)
        self._slice = min(max(_VALUES // width, 1), _MOST_ROWS)
        self._most = _MOST_WAITING // width if layout.counted else -1
        self._waiting: deque[tuple[Mapping[str, Array], int, int]] = deque()
        self._waiting_rows = 0
        self._skipped = 0
        self._is_due = False
        if region.fields[MARK] not in {0, layout.mark}:
            # The worker before this one found another reference: its counts must not be read as this one's.
            np.asarray(region.counts)[:] = 0
            for field in (ROWS, SKIPPED, REFUSED):
                region.fields[field] = 0
        region.fields[MARK] = layout.mark

    def take(self, batch: Batch, now: float) -> None:
        """A request that came at `now`, in seconds of any clock that never goes back far, was answered.

        The last request within the rate may take more than is left of it.
        """
        if self._share < 1.0 and self._chance() >= self._share:
            return
        rows = batch.rows
        if self._spent >= now + _BURST or self._waiting_rows + rows > self._most:
            self._skipped += rows
            return
        self._spent = max(self._spent, now) + rows * self._seconds
        self._waiting.append((batch.tensors, 0, rows))
        self._waiting_rows += rows
        if self._waiting_rows >= self._slice and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def refuse(self) -> None:
        """A request was not what the model takes."""
        self._region.fields[REFUSED] += 1

    def settle(self) -> None:
        """Count what has waited for others to come; more than a slice of it has its turns already."""
        if self._counts.size:
            self._region.fields[SKIPPED] += self._skipped
        self._skipped = 0
        if self._waiting and not self._is_due:
            self._count()

    def _turn(self) -> None:
        self._count()
        self._is_due = self._waiting_rows >= self._slice
        if self._is_due:
            asyncio.get_running_loop().call_soon(self._turn)

    def _count(self) -> None:
        """Count a slice."""
        parts, rows = self._taken()
        tensors = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self._layout.count(self._counts, tensors, rows)
        self._region.fields[ROWS] += rows

    def _taken(self) -> tuple[list[Mapping[str, Array]], int]:
        """The next rows, a slice of them at most."""
        parts: list[Mapping[str, Array]] = []
        rows = 0
        while self._waiting and rows < self._slice:
            tensors, begin, end = self._waiting.popleft()
            last = min(end, begin + self._slice - rows)
            parts.append(tensors if (begin, last) == (0, end) else _rows(tensors, begin, last))
            if last < end:
                self._waiting.appendleft((tensors, last, end))
            rows += last - begin
        self._waiting_rows -= rows
        return parts, rows


def _rows(tensors: Mapping[str, Array], begin: int, end: int) -> dict[str, Array]:
    return {name: array[begin:end] for name, array in tensors.items()}
