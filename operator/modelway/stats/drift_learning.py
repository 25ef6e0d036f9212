"""A reference learnt from live rows, where the maker of a model gave none.

Without a reference nobody knows where a feature's borders should lie, so its numbers are counted on a grid that is the
same everywhere: eight cells for each doubling, both signs. From what has been counted the borders are chosen among
those of the grid; so what was counted on it, and what will be, can be regrouped into the reference's cells exactly. A
grid of doublings is coarse for numbers that are large and vary little (years, temperatures in kelvin): they fall into
few cells, and `drift` says so. Texts are told apart by a checksum only: nothing that a user wrote leaves the pod.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from modelway.stats.drift_cells import ABOVE, BELOW, FIGURES, MISSING, Cells, cell_counts, cuts, magnitude_of
from modelway.stats.drift_reference import Feature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelway.stats.counts import Ints

_A_DOUBLING: Final = 8
_LEAST: Final = -20
_MOST: Final = 44
LEAST_ROWS: Final = 10_000
"""With a value. Of fewer the reference itself is so uncertain that small drifts drown in it."""


class LearningError(ValueError):
    """There is not yet enough to learn from; the message says what is missing."""


@cache
def grid() -> Cells:
    """Where numbers are counted of which nothing is known.

    From 2^-20 to 2^44 and the same below 0, between -2^-20 and 2^-20 one cell. Borders lie off round numbers, as those
    of the answers do (`api.observations`), so that a value and its form in single precision fall into one cell.
    """
    places = range(_LEAST * _A_DOUBLING, _MOST * _A_DOUBLING + 1)
    above = [2.0 ** (place / _A_DOUBLING) / 1.013674 for place in places]
    return Cells(edges=(*(-border for border in reversed(above)), *above))


@cache
def hashed() -> Cells:
    """Where texts are counted of which nothing is known."""
    return Cells(categories=())


def learn(name: str, counts: Ints, cells: Cells, *, bins: int = 20, least_rows: int = LEAST_ROWS) -> Feature:
    """The reference of a feature.

    Args:
        name: its name.
        counts: of all that was seen, as `drift_cells.counted` has them.
        cells: the grid, or hashed texts.
        bins: how many cells there are to be.
        least_rows: with a value; with fewer nothing is learnt.

    Raises:
        LearningError: too few rows.

    """
    seen = cell_counts(counts)
    rows = int(seen.sum())
    if rows < least_rows:
        raise LearningError(f"{name}: {rows} rows with a value, where {least_rows} are needed")
    missing = int(counts[MISSING])
    if cells.categories is not None:
        return Feature(name, cells, tuple(seen.tolist()), missing)
    borders = [place + 1 for place in cuts(seen, np.arange(1, bins) / bins, bins=bins)]
    groups = np.add.reduceat(seen, [0, *borders]) if borders else np.array([rows])
    first, last = np.flatnonzero(seen)[[0, -1]].tolist()
    edges = cells.edges
    learnt = Cells(
        edges=tuple(edges[border - 1] for border in borders),
        lowest=edges[first - 1] if first else float(-np.finfo(np.float64).max),
        highest=edges[last] if last < len(edges) else float(np.finfo(np.float64).max),
    )
    return Feature(name, learnt, tuple(groups.tolist()), missing, magnitude_of(counts))


def regrouped(counts: Ints, cells: Cells, feature: Feature) -> Ints:
    """What was counted on the grid, in the cells of a feature that was learnt on it; arrays may have more axes before.

    Raises:
        ValueError: the feature has borders that the grid has not.
    """
    if cells.categories is not None:
        return counts
    known: Mapping[float, int] = {edge: place + 1 for place, edge in enumerate(cells.edges)}
    if foreign := [edge for edge in feature.cells.edges if edge not in known]:
        raise ValueError(f"{feature.name}: the border {foreign[0]} is none of the grid's; it was not learnt on it")
    borders = [0, *(known[edge] for edge in feature.cells.edges)]
    figures, seen = counts[..., :FIGURES].copy(), cell_counts(counts)
    figures[..., BELOW] = seen[..., : known.get(feature.cells.lowest, 0)].sum(axis=-1)
    figures[..., ABOVE] = seen[..., known.get(feature.cells.highest, seen.shape[-1]) :].sum(axis=-1)
    return np.concatenate([figures, np.add.reduceat(seen, borders, axis=-1)], axis=-1)
