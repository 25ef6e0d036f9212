"""The cells in which a feature's values are counted, and the counts: what servers count, operators add up, and
`drift` compares.

The borders are fixed by the reference, so counts of pods, processes and windows are merged by adding them up, exactly:
all of them are whole numbers. Numbers have a cell between each two borders, and one on either side. Texts have a cell
for each category of the reference and one for all others; where there is no reference they are told apart by a
checksum alone. Used by the server, by `modelway profile` and by whoever compares; numpy only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from modelway.stats.counts import Bools, Floats, Ints

HASHED: Final = 64
"""Cells of texts that nobody has named."""
MOST_CATEGORIES: Final = 64
MOST_EDGES: Final = 64
"""Of a feature of a reference."""

# What is counted beside the cells, in this order before them.
MISSING: Final = 0  # no value: null, NaN
INVALID: Final = 1  # no finite number
BELOW: Final = 2  # less than all of the reference; counted in the first cell too
ABOVE: Final = 3  # more than all of it; likewise in the last
TOTAL: Final = 4  # sum of (x - mean) / deviation
SQUARES: Final = 5  # sum of its squares
NONZERO: Final = 6  # numbers that are not 0
MAGNITUDE: Final = 7  # sum of log2 |x| of these
FIGURES: Final = 8

UNIT: Final = 2.0**-16
"""Of the last digits of sums: they are kept as whole numbers of it, so that adding them up is exact."""
_FARTHEST: Final = 1024.0
"""Deviations that count: one value of 1e300 must not be all that a mean tells."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Where the values of one feature are counted.

    Args:
        edges: of numbers: the least number of each cell but the first, rising.
        categories: of texts: those that have a cell of their own; None for numbers; empty: told apart by checksum.
        lowest: the least number of the reference; with `highest`, what is in range.
        highest: the largest.
        mean: of the reference.
        deviation: standard deviation of the reference; 0 where all is one number: then no sums are kept.

    """

    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] | None = None
    lowest: float = float("-inf")
    highest: float = float("inf")
    mean: float = 0.0
    deviation: float = 0.0

    @property
    def size(self) -> int:
        """How many cells there are."""
        if self.categories is None:
            return len(self.edges) + 1
        return len(self.categories) + 1 if self.categories else HASHED

    @property
    def is_ordered(self) -> bool:
        """Whether neighbouring cells are alike."""
        return self.categories is None


def counted(values: Floats | Sequence[object], cells: Cells) -> Ints:
    """What `values` of one feature count: `FIGURES` numbers, and behind them one for each cell.

    Args:
        values: an array of numbers, with NaN where there is none; or texts, with None where there is none.
        cells: of the feature.

    """
    if cells.categories is not None:
        return _texts(values, cells)
    return Block([cells]).counted(np.asarray(values, np.float64)[None])


class Block:
    """Counts features of numbers, many at once: what all have in common is done for all together.

    Args:
        cells: of each feature.

    """

    __slots__ = ("_deviations", "_edges", "_ends", "_figures", "_highest", "_lowest", "_means", "size")

    def __init__(self, cells: Sequence[Cells]) -> None:
        self._lowest, self._highest, self._means = (
            np.array([getattr(one, name) for one in cells])[:, None] for name in ("lowest", "highest", "mean")
        )
        # By infinity all is 0, as it should be where there is no deviation.
        self._deviations = np.array([one.deviation if one.deviation > 0 else np.inf for one in cells])[:, None]
        self._edges = [np.array(one.edges) for one in cells]
        self.size = sum(FIGURES + one.size for one in cells)
        begins = np.cumsum([0, *(FIGURES + one.size for one in cells)])[:-1]
        self._figures = begins[:, None] + np.arange(FIGURES)
        firsts = (begins + FIGURES).tolist()
        self._ends = [(first, first + len(edges)) for first, edges in zip(firsts, self._edges, strict=True)]

    def counted(self, values: Floats) -> Ints:
        """The counts of all features, one after the other.

        Args:
            values: [features, rows], with NaN where there is none.

        """
        finite = np.isfinite(values)
        holes = None if finite.all() else ~finite
        infinite = holes & ~np.isnan(values) if holes is not None else None
        if infinite is not None and infinite.any():
            values = np.where(infinite, np.nan, values)
        there = finite.sum(axis=1) if holes is not None else np.full(len(values), values.shape[1])
        ordered = np.sort(values, axis=1)  # NaN comes last
        # How many values lie below the end of each cell; less those below the end of the one before, they are its own.
        below = np.zeros(self.size, dtype=np.int64)
        for row, edges, (first, last), rows in zip(ordered, self._edges, self._ends, there.tolist(), strict=True):
            below[first:last] = row[:rows].searchsorted(edges)
            below[last] = rows
        found = np.diff(below, prepend=0)
        figures = self._told(values, holes)
        figures[:, MISSING] = values.shape[1] - there
        if infinite is not None:
            figures[:, INVALID] = np.count_nonzero(infinite, axis=1)
            figures[:, MISSING] -= figures[:, INVALID]
        found[self._figures] = figures
        return found

    def _told(self, values: Floats, holes: Bools | None) -> Ints:
        """The figures of all features but those of values that are missing; these are NaN where `holes` says so."""
        figures = np.zeros((len(values), FIGURES), dtype=np.int64)
        for place, is_out in ((BELOW, values < self._lowest), (ABOVE, values > self._highest)):
            if is_out.any():
                figures[:, place] = np.count_nonzero(is_out, axis=1)
        # Each step in the memory of the one before: most of the time goes to memory otherwise.
        scaled = values - self._means
        scaled /= self._deviations
        np.minimum(scaled, _FARTHEST, out=scaled)
        np.maximum(scaled, -_FARTHEST, out=scaled)
        scaled *= 1.0 / UNIT  # a power of two: nothing is rounded
        sizes = np.abs(values)
        if holes is not None:
            scaled[holes] = 0.0
            sizes[holes] = 0.0
        squares = scaled * scaled
        squares *= UNIT
        figures[:, TOTAL] = np.rint(scaled, out=scaled).sum(axis=1)
        figures[:, SQUARES] = np.rint(squares, out=squares).sum(axis=1)
        nonzero = np.count_nonzero(sizes, axis=1)
        figures[:, NONZERO] = nonzero
        if nonzero.sum() < sizes.size:
            sizes[sizes == 0.0] = 1.0
        np.log2(sizes, out=sizes)
        sizes *= 1.0 / UNIT
        figures[:, MAGNITUDE] = np.rint(sizes, out=sizes).sum(axis=1)
        return figures


def cell_counts(counts: Ints) -> Ints:
    """The cells of such counts, without the figures before them; arrays may have more axes before that of the cells."""
    return counts[..., FIGURES:]


def magnitude_of(counts: Ints) -> float | None:
    """Mean of log2 |x| over the numbers that are not 0; None where there are none."""
    return int(counts[MAGNITUDE]) * UNIT / int(counts[NONZERO]) if counts[NONZERO] else None


def cuts(times: Ints, shares: Floats, *, bins: int) -> list[int]:
    """Places behind which a cell ends: where these shares of all are reached, and around what is a bin by itself.

    Args:
        times: how often each place was seen, at least one of them.
        shares: from 0 to 1.
        bins: how many there are to be.

    """
    until = np.cumsum(times)
    first, last = np.flatnonzero(times)[[0, -1]].tolist()
    after = set(np.searchsorted(until, shares * until[-1] - 0.5).tolist())
    for place in np.flatnonzero(times * bins >= until[-1]).tolist():
        after |= {place - 1, place}
    return sorted(place for place in after if first <= place < last)


def edges_between(values: Floats, *, bins: int, tail: float) -> tuple[float, ...]:
    """Borders of cells that each hold about as many of these values, and of one more on either side for the tails.

    A border lies in the middle between two neighbouring values, so that a value and its rounded form, or the same in
    single precision, fall into one cell. A value that is a bin by itself has a cell of its own.

    Args:
        values: finite numbers, at least one.
        bins: how many cells without the tails.
        tail: share of the values in each of the outermost cells.

    """
    distinct, times = np.unique(values, return_counts=True)
    if len(distinct) == 1:
        return ()
    wanted = np.concatenate([[tail], np.arange(1, bins) / bins, [1.0 - tail]])
    places = np.array(cuts(times, wanted, bins=bins), dtype=int)
    low, high = distinct[places], distinct[places + 1]
    middle = low + (high - low) / 2
    return tuple(dict.fromkeys(np.where(middle > low, middle, high).tolist()))


def checksum_cell(text: str) -> int:
    """Where a text counts that nobody has named; the same everywhere."""
    return crc32(text.encode("utf-8", "replace")) % HASHED


def _texts(values: Iterable[object], cells: Cells) -> Ints:
    found = np.zeros(FIGURES + cells.size, dtype=np.int64)
    names = cells.categories or ()
    places = {name: FIGURES + place for place, name in enumerate(names)}
    for value, times in Counter(values).items():
        if value is None or value != value:  # noqa: PLR0124 NaN
            found[MISSING] += times
        else:
            text = value if isinstance(value, str) else str(value)
            place = places.get(text, -1) if names else FIGURES + checksum_cell(text)
            found[place] += times
    return found
