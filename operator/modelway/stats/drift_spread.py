"""How much stable windows differ from each other beyond sampling noise: learnt from a baseline of them.

Rows are not independent: one customer sends many, mornings are unlike evenings. A correlation of 0.001 within windows
of 1,000 rows doubles the variance of every share, and a test that takes rows for independent then alarms in nearly
every window. So what stable windows show is measured and allowed for.

Each window is compared with all others of the baseline, not with the reference: a constant difference from the
reference is no spread, it is drift, and must not be learnt as usual. Estimates are by moments of X² (`drift_distance`),
and never below 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from modelway.stats.drift_distance import Spread, chi_squared, joined, together

if TYPE_CHECKING:
    from modelway.stats.counts import Ints

LEAST_WINDOWS: Final = 50
"""Fewer say too little of a variance."""


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
