"""How far a window's values are from the reference's: the population stability index without its sampling noise, an
interval for it, and how likely so much would be by chance.

With n rows in the window and m in the reference, in B cells, q and p the shares:

- PSI = Σ (q - p) ln(q / p). Where nothing has changed and rows are independent, PSI · nm/(n+m) is about chi-squared
  with B - 1 degrees of freedom, so PSI is about (B - 1)(1/n + 1/m) by chance alone (Yurdakul, Statistical properties
  of population stability index, 2018, chapter 3). That is subtracted: users know the scale (0.1 moderate, 0.25 large)
  but a plain PSI is above 0.1 by chance in half of all windows of 200 rows with 20 cells.
- X² is the two-sample chi-squared statistic (Press et al., Numerical Recipes, 3rd ed., 14.3.3).
- Rows of one window are more alike than rows of different windows. `spread` is how much of PSI stable windows have
  beyond sampling noise, its mean and variance, learnt from a baseline (`drift_spread`). X² has then the mean
  (B - 1) + N·mean and the variance 2(B - 1) + 4N·mean + N²·variance, N = nm/(n+m): a chi-squared variable whose
  non-centrality itself varies. Its tail is taken as that of the scaled chi-squared variable with the same two moments
  (Satterthwaite 1946; for cell counts of clustered rows Rao and Scott, Ann. Statist. 12, 1984).
- The interval is by the delta method over both samples, plus the noise about a PSI of 0.

Arrays may have more axes before that of the cells: all windows of a simulation at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from modelway.stats.drift_tails import gamma_tail

if TYPE_CHECKING:
    from modelway.stats.counts import Floats, Ints

LEAST_EXPECTED: Final = 5.0
"""Rows that a cell must be expected to hold; cells with less are joined (Cochran 1954)."""
_HALF: Final = 0.5  # added to each cell: a share of 0 has no logarithm (Jeffreys' prior)


@dataclass(frozen=True, slots=True)
class Spread:
    """How much of PSI stable windows have beyond sampling noise; numbers, or arrays for many features.

    Args:
        mean: 0 for independent rows.
        variance: likewise.

    """

    mean: float | Floats = 0.0
    variance: float | Floats = 0.0


INDEPENDENT: Final = Spread()


@dataclass(frozen=True, slots=True)
class Distance:
    """What a window shows; numbers, or arrays for many windows.

    Args:
        psi: without noise; below 0 where there is less difference than chance alone would make.
        low: end of its 95 % interval, not below 0.
        high: the other end.
        p: the probability of at least as much where nothing has changed.

    """

    psi: Floats
    low: Floats
    high: Floats
    p: Floats


def joined(reference: Ints, rows: int, *, ordered: bool) -> list[Ints]:
    """Which cells are to be taken together so that none is too small for so many rows.

    Args:
        reference: counts in each cell.
        rows: of the window.
        ordered: neighbours are joined; else those with the fewest.

    Depends on the reference and the number of rows, never on what the window holds, so it biases nothing.

    """
    total = int(reference.sum())
    expected = reference * (min(rows, total) / max(total, 1))
    order = np.arange(len(reference)) if ordered else np.argsort(expected, kind="stable")
    groups: list[list[int]] = [[]]
    reached = 0.0
    for place, rows_there in zip(order.tolist(), expected[order].tolist(), strict=True):
        groups[-1].append(place)
        reached += rows_there
        if reached >= LEAST_EXPECTED:
            groups.append([])
            reached = 0.0
    rest = groups.pop()
    if groups:
        groups[-1] += rest
    else:
        groups = [rest]
    return [np.array(group, dtype=np.int64) for group in groups]


def together(counts: Ints, groups: list[Ints]) -> Ints:
    """The counts of joined cells."""
    begins = np.cumsum([0, *(len(group) for group in groups[:-1])])
    return np.asarray(np.add.reduceat(counts[..., np.concatenate(groups)], begins, axis=-1))


def chi_squared(reference: Ints, window: Ints) -> Floats:
    """X² of two samples with so many rows in each cell."""
    m, n = reference.sum(axis=-1, keepdims=True), window.sum(axis=-1, keepdims=True)
    ratio = np.sqrt(n / m)
    both = reference + window
    return np.asarray(((window / ratio - reference * ratio) ** 2 / np.maximum(both, 1)).sum(axis=-1))


def distance(reference: Ints, window: Ints, spread: Spread = INDEPENDENT) -> Distance:
    """Compare.

    Args:
        reference: rows in each (joined) cell, at least two cells and one row.
        window: the same, at least one row.
        spread: of stable windows.

    """
    size = reference.shape[-1]
    m, n = reference.sum(axis=-1), window.sum(axis=-1)
    p = (reference + _HALF) / (m + _HALF * size)[..., None]
    q = (window + _HALF) / (n + _HALF * size)[..., None]
    rows = n * m / (n + m)
    free = size - 1.0
    noise = free / rows
    ratio = np.log(q / p)
    psi = ((q - p) * ratio).sum(axis=-1) - noise - spread.mean
    worse = 1.0 + rows * spread.mean / free  # the design effect: fewer rows than there seem to be
    by_window = _variance(q, ratio + 1.0 - p / q) * worse / n
    by_reference = _variance(p, ratio - 1.0 + q / p) / m
    by_chance = 2.0 * free / rows**2 + 4.0 * spread.mean / rows + spread.variance
    deviation = np.sqrt(by_window + by_reference + by_chance)
    mean = free + rows * spread.mean
    scale = (2.0 * free + 4.0 * rows * spread.mean + rows**2 * spread.variance) / mean
    return Distance(
        psi=psi,
        low=np.maximum(psi - 1.96 * deviation, 0.0),
        high=np.maximum(psi + 1.96 * deviation, 0.0),
        p=gamma_tail(mean / scale, chi_squared(reference, window) / scale),
    )


def _variance(shares: Floats, slopes: Floats) -> Floats:
    """Of a sum of shares times slopes, times the number of rows, for a multinomial sample."""
    mean = (shares * slopes).sum(axis=-1, keepdims=True)
    return np.asarray((shares * (slopes - mean) ** 2).sum(axis=-1))
