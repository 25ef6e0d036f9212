"""How much stable windows differ from each other beyond sampling noise: learnt from a baseline of them.

Rows are not independent: one customer sends many, mornings are unlike evenings. A correlation of 0.001 within windows
of 1,000 rows doubles the variance of every share, and a test that takes rows for independent then alarms in nearly
every window. So what stable windows show is measured and allowed for.

Each window is compared with all others of the baseline, not with the reference: a constant difference from the
reference is no spread, it is drift, and must not be learnt as usual. Estimates are by moments of X² (`drift_distance`),
and never below 0.

`learn_spread` has all windows at hand. `Baseline` takes them one after the other and keeps only sums: each window is
compared with those of its kind before it, which were within the rule as it is, or beyond it as it is. So a shift that
lasts is compared with itself and is no spread, while windows that differ as much from each other as from what is usual
are. (Compared with all, a shift on the first day was learnt as spread, and never told.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from modelway.stats.drift_distance import Spread, chi_squared, joined, together

if TYPE_CHECKING:
    from modelway.stats.counts import Ints

LEAST_WINDOWS: Final = 50
"""Fewer say too little of a variance."""
MOST_WINDOWS: Final = 288
"""With these a baseline is complete: a day of five minutes each."""
_ONLY_POOLED: Final = 2
"""Windows of a kind before the first of it that is compared: of fewer it would tell as much as of itself."""
_FEW: Final = 2
"""Comparisons that already tell the mean, each having about as many degrees of freedom as there are cells."""
_SUPPOSED_CORRELATION: Final = 0.01
"""Of rows of a window, before that."""
_LEAST_CORRELATION: Final = 0.0025
"""Likewise from then on until `LEAST_WINDOWS`, however little was seen."""


class BaselineError(ValueError):
    """Nothing can be learnt from these windows; the message says why."""


def learn_spread(windows: Ints, *, ordered: bool, least_windows: int = LEAST_WINDOWS) -> Spread:
    """The spread of one feature.

    Args:
        windows: rows in each cell, [windows, cells]; windows without a row are left out.
        ordered: whether neighbouring cells are alike.
        least_windows: with fewer there is no answer.

    Raises:
        BaselineError: too few windows, or all rows in one cell.

    """
    windows = windows[windows.sum(axis=1) > 0]
    if len(windows) < least_windows:
        raise BaselineError(f"{len(windows)} windows with rows, where {least_windows} are needed")
    pool = windows.sum(axis=0)
    groups = joined(pool, int(windows.sum(axis=1).min()), ordered=ordered)
    if len(groups) < 2:
        raise BaselineError("all rows lie in one cell: nothing can be seen to move")
    counts = together(windows, groups)
    rest = counts.sum(axis=0) - counts
    n, m = counts.sum(axis=1), rest.sum(axis=1)
    rows = n * m / (n + m)
    free = len(groups) - 1.0
    excess = (chi_squared(rest, counts) - free) / rows
    # Windows with more rows say more: each is weighed by its rows.
    mean = max(float(np.average(excess, weights=rows)), 0.0)
    noise = 2.0 * free / rows**2 + 4.0 * mean / rows
    variance = float(np.average((excess - mean) ** 2 - noise, weights=rows**2))
    return Spread(mean=mean, variance=max(variance, 0.0))


@dataclass(frozen=True, slots=True)
class Excess:
    """By how much windows differ from what they were compared with, beyond sampling noise: sums over windows.

    With N = nm/(n + m) of a window of n rows and the m rows it was compared with, and e = (X² - free) / N:

    Args:
        compared: how many windows there were.
        rows: sum of N.
        rows_squared: sum of N².
        free: sum of the degrees of freedom.
        excess: sum of N e.
        excess_squared: sum of N² e.
        square: sum of N² e².

    """

    compared: int = 0
    rows: float = 0.0
    rows_squared: float = 0.0
    free: float = 0.0
    excess: float = 0.0
    excess_squared: float = 0.0
    square: float = 0.0

    @property
    def mean(self) -> float:
        """Of e, not below 0."""
        return max(self.excess / self.rows, 0.0) if self.rows else 0.0

    def plus(self, usual: Ints, window: Ints, *, ordered: bool) -> Excess:
        """It and one more window; the same where all rows lie in one cell.

        Args:
            usual: rows in each cell of what the window is compared with, at least one.
            window: the same of the window.
            ordered: whether neighbouring cells are alike.

        """
        n, m = int(window.sum()), int(usual.sum())
        groups = joined(usual, n, ordered=ordered)
        if len(groups) < 2:
            return self
        rows, free = n * m / (n + m), len(groups) - 1.0
        excess = (float(chi_squared(together(usual, groups), together(window, groups))) - free) / rows
        return Excess(
            self.compared + 1,
            self.rows + rows,
            self.rows_squared + rows**2,
            self.free + free,
            self.excess + rows * excess,
            self.excess_squared + rows**2 * excess,
            self.square + (rows * excess) ** 2,
        )

    def spread(self, *, least: int) -> Spread | None:
        """What they show, by the formulas of `learn_spread`; None while fewer than `least` windows were compared."""
        if self.compared < least:
            return None
        squares = self.square - 2.0 * self.mean * self.excess_squared + self.mean**2 * self.rows_squared
        noise = 2.0 * self.free + 4.0 * self.mean * self.rows
        return Spread(mean=self.mean, variance=max((squares - noise) / self.rows_squared, 0.0))


@dataclass(frozen=True, slots=True)
class Pool:
    """Windows added up.

    Args:
        rows: in each cell.
        windows: how many.

    """

    rows: Ints
    windows: int = 0

    def plus(self, window: Ints) -> Pool:
        """It and one more window."""
        return Pool(self.rows + window, self.windows + 1)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was seen of one feature's windows so far.

    Args:
        usual: windows within the rule.
        moved: those beyond it.
        excess: each window beside those of its kind before it.

    """

    usual: Pool
    moved: Pool
    excess: Excess = Excess()

    @classmethod
    def of(cls, cells: int) -> Baseline:
        """Nothing seen of a feature with so many cells."""
        nothing = Pool(np.zeros(cells, np.int64))
        return cls(nothing, nothing)

    @property
    def windows(self) -> int:
        """How many there were."""
        return self.usual.windows + self.moved.windows

    @property
    def is_complete(self) -> bool:
        """Whether nothing more is learnt: what is usual is not to follow what happens."""
        return self.windows >= MOST_WINDOWS

    def plus(self, window: Ints, *, ordered: bool, moved: bool) -> Baseline:
        """It and one more window, with at least a row.

        Args:
            window: rows in each cell.
            ordered: whether neighbouring cells are alike.
            moved: whether it is beyond the rule.

        """
        kind = self.moved if moved else self.usual
        excess = self.excess
        if kind.windows >= _ONLY_POOLED:
            excess = excess.plus(kind.rows, window, ordered=ordered)
        after = kind.plus(window)
        return Baseline(self.usual if moved else after, after if moved else self.moved, excess)

    def spread(self) -> Spread:
        """What the windows show, or as much as is to be feared while there are few."""
        return self.excess.spread(least=LEAST_WINDOWS - _ONLY_POOLED) or self._feared()

    def _feared(self) -> Spread:
        """More than was seen, by less the more there was; the variance at least as for counts alike in all cells."""
        cells = self.usual.rows.size
        seen = self.excess.spread(least=_FEW)
        if seen is None:
            return supposed(cells)
        least = supposed(cells, _LEAST_CORRELATION)
        mean = max(seen.mean * (1.0 + self.excess.compared**-0.5), least.mean)
        return Spread(mean=mean, variance=max(seen.variance, least.variance * (mean / least.mean) ** 2))


def supposed(cells: int, correlation: float = _SUPPOSED_CORRELATION) -> Spread:
    """What is taken for the spread while nothing is known of it: that of rows which correlate within a window.

    For Dirichlet-multinomial counts PSI is then `correlation * free` larger on average, times a chi-squared variable by
    its degrees of freedom. So much is allowed for that a rule of `max_psi` = 0.1 needs 0.3 for 20 cells.

    Args:
        cells: of the feature.
        correlation: of two rows of a window.

    """
    free = max(cells - 1.0, 1.0)
    mean = correlation * free
    return Spread(mean=mean, variance=2.0 * mean**2 / free)
