"""Whether features have drifted: a window's verdict on each, and what a row of windows says together.

An alarm needs all three: the corrected PSI is above `max_psi` (the difference matters), its p-value is below `level`
after Bonferroni's correction for the number of features (it is no chance), and both in `windows` windows in a row for
the same feature (it stays). A window with fewer rows than `min_rows` says nothing: neither alarm nor all-clear. Pure;
whoever collects the counts calls `judge` for each closed window, and keeps a `Streak` for each feature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from modelway.stats.drift_cells import cell_counts
from modelway.stats.drift_distance import INDEPENDENT, Spread, distance, joined, together

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelway.stats.counts import Ints
    from modelway.stats.drift_reference import Feature


@dataclass(frozen=True, slots=True)
class Rule:
    """When a feature has drifted.

    Args:
        max_psi: the corrected PSI above which a difference matters.
        level: the probability of finding it in any feature of a window by chance.
        windows: in a row.
        min_rows: with a value; fewer say nothing.

    """

    max_psi: float = 0.1
    level: float = 0.05
    windows: int = 3
    min_rows: int = 500


STANDARD: Final = Rule()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one window says of one feature.

    Args:
        feature: its name.
        rows: with a value, in this window.
        psi: corrected; None where nothing can be said.
        low: end of its 95 % interval.
        high: the other end.
        p: of any of the features, by Bonferroni.
        moved: whether it is beyond the rule; None where nothing can be said.
        because: why nothing can be said.

    """

    feature: str
    rows: int
    psi: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    moved: bool | None = None
    because: str = ""


@dataclass(frozen=True, slots=True)
class Streak:
    """What the windows up to now say of one feature.

    Args:
        moved: windows in a row that are beyond the rule.
        quiet: windows in a row that are not.
        alarm: whether it has drifted.

    """

    moved: int = 0
    quiet: int = 0
    alarm: bool = False


def judge(
    reference: Sequence[Feature],
    window: Sequence[Ints],
    rule: Rule = STANDARD,
    spreads: Mapping[str, Spread] | None = None,
) -> list[Verdict]:
    """What a window says of each feature, in their order.

    Args:
        reference: the features.
        window: their counts, as `drift_cells.counted` has them.
        rule: when a feature has drifted.
        spreads: by feature; those that are not there are taken as of independent rows.

    Raises:
        ValueError: counts of other features, or of other cells.

    """
    seen = [_usable(feature, counts, rule) for feature, counts in zip(reference, window, strict=True)]
    tests = sum(isinstance(one, _Pair) for one in seen)
    found = dict(_compared(reference, seen, spreads or {}, tests, rule))
    return [one if isinstance(one, Verdict) else found[place] for place, one in enumerate(seen)]


def worst(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those of which something can be said, the largest PSI first."""
    known = [verdict for verdict in verdicts if verdict.psi is not None]
    return sorted(known, key=lambda verdict: -(verdict.psi or 0.0))


def after(streak: Streak, verdict: Verdict, rule: Rule = STANDARD) -> Streak:
    """What is known of a feature after one more window.

    A window that says nothing changes nothing. As many windows as raise an alarm end it: one quiet window in the middle
    of a drift is no all-clear.

    """
    if verdict.moved is None:
        return streak
    if verdict.moved:
        moved = streak.moved + 1
        return Streak(moved=moved, alarm=streak.alarm or moved >= rule.windows)
    quiet = streak.quiet + 1
    return Streak(quiet=quiet, alarm=streak.alarm and quiet < rule.windows)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A feature's joined cells in the reference and in the window."""

    usual: Ints
    window: Ints


def _usable(feature: Feature, counts: Ints, rule: Rule) -> _Pair | Verdict:
    """What is to be compared, or the verdict that nothing can be."""
    window = cell_counts(counts)
    if window.shape != (feature.cells.size,):
        raise ValueError(f"{feature.name}: counts of {window.size} cells, where there are {feature.cells.size}")
    rows = int(window.sum())
    if rows < rule.min_rows:
        return Verdict(feature.name, rows, because=f"{rows} rows with a value, fewer than {rule.min_rows}")
    usual = np.array(feature.counts, dtype=np.int64)
    groups = joined(usual, rows, ordered=feature.cells.is_ordered)
    if len(groups) < 2:
        return Verdict(feature.name, rows, because="the reference has all rows in one cell: nothing can move")
    return _Pair(together(usual, groups), together(window, groups))


def _compared(
    reference: Sequence[Feature],
    seen: Sequence[_Pair | Verdict],
    spreads: Mapping[str, Spread],
    tests: int,
    rule: Rule,
) -> Iterator[tuple[int, Verdict]]:
    """Place and verdict of all pairs; those with as many cells are computed together, at little more than one costs."""
    by_size: dict[int, list[tuple[int, _Pair]]] = {}
    for place, one in enumerate(seen):
        if isinstance(one, _Pair):
            by_size.setdefault(one.usual.size, []).append((place, one))
    for pairs in by_size.values():
        learnt = [spreads.get(reference[place].name, INDEPENDENT) for place, _ in pairs]
        window = np.stack([pair.window for _, pair in pairs])
        found = distance(
            np.stack([pair.usual for _, pair in pairs]),
            window,
            Spread(np.array([one.mean for one in learnt]), np.array([one.variance for one in learnt])),
        )
        p = np.minimum(found.p * tests, 1.0)
        moved = (found.psi > rule.max_psi) & (p < rule.level)
        numbers = (window.sum(axis=1), found.psi, found.low, found.high, p, moved)
        for (place, _), values in zip(pairs, zip(*(one.tolist() for one in numbers), strict=True), strict=True):
            yield place, Verdict(reference[place].name, *values)
