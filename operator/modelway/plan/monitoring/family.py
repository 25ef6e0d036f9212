"""Features that are compared together: what is usual for them, and where each of them stands after some windows. Pure.

The inputs of a model are one family, what of its answers is compared another: Bonferroni's correction is by family.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from modelway.stats.counts import Ints
from modelway.stats.drift import Rule, Streak, Verdict, after, judge
from modelway.stats.drift_cells import cell_counts
from modelway.stats.drift_distance import Spread
from modelway.stats.drift_reference import Feature
from modelway.stats.drift_spread import Baseline, supposed

_NEVER: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one feature stands.

    Attributes:
        streak: what the windows up to now say.
        silent: windows in a row that said nothing, for too few rows.
        psi: the last that was told; None where none was.
        baseline: what stable windows have shown.
    """

    streak: Streak = field(default_factory=Streak)
    silent: int = _NEVER
    psi: float | None = None
    baseline: Baseline | None = None


@dataclass(frozen=True, slots=True)
class Drifted:
    """A feature that has drifted.

    Attributes:
        place: which one.
        psi: by how much, when it was last told.
    """

    place: int
    psi: float


@dataclass(frozen=True, slots=True)
class Family:
    """Some features.

    Attributes:
        usual: what is usual for each; None for one that cannot be compared.
        standings: of each.
    """

    usual: tuple[Feature | None, ...]
    standings: tuple[Standing, ...]

    @classmethod
    def of(cls, usual: Sequence[Feature | None]) -> "Family":
        """Features of which no window has been seen."""
        return cls(tuple(usual), tuple(Standing() for _ in usual))

    @property
    def compared(self) -> int:
        """How many can be compared."""
        return sum(feature is not None for feature in self.usual)

    def after(self, window: Sequence[Ints], rule: Rule) -> "Family":
        """They after one more window.

        Args:
            window: what was counted of each.
            rule: when one has drifted.
        """
        standings = list(self.standings)
        for place, verdict in self.judged(window, rule).items():
            feature = self.usual[place]
            if feature is not None:
                standings[place] = _after(standings[place], feature, cell_counts(window[place]), verdict, rule)
        return replace(self, standings=tuple(standings))

    def judged(self, window: Sequence[Ints], rule: Rule) -> dict[int, Verdict]:
        """What a window says of each that can be compared, by its place.

        Args:
            window: what was counted of each.
            rule: when one has drifted.
        """
        known = {place: feature for place, feature in enumerate(self.usual) if feature is not None}
        spreads = {feature.name: _spread(self.standings[place], feature) for place, feature in known.items()}
        verdicts = judge(list(known.values()), [window[place] for place in known], rule, spreads)
        return dict(zip(known, verdicts, strict=True))

    def drifted(self) -> list[Drifted]:
        """Those that have, the most first."""
        found = [Drifted(place, one.psi or 0.0) for place, one in enumerate(self.standings) if one.streak.alarm]
        return sorted(found, key=lambda one: (-one.psi, one.place))

    def is_silent(self, windows: int) -> bool:
        """Whether so many windows in a row, or all there were, have said nothing of any feature."""
        return all(one.silent >= windows for one in self._compared())

    def _compared(self) -> Iterator[Standing]:
        return (one for one, feature in zip(self.standings, self.usual, strict=True) if feature is not None)


def _spread(standing: Standing, feature: Feature) -> Spread:
    learnt = standing.baseline.spread() if standing.baseline is not None else None
    return learnt if learnt is not None else supposed(feature.cells.size)


def _after(standing: Standing, feature: Feature, cells: Ints, verdict: Verdict, rule: Rule) -> Standing:
    if verdict.moved is None:
        return replace(standing, silent=min(standing.silent + 1, _NEVER))
    baseline = standing.baseline or Baseline(np.zeros_like(cells))
    if not baseline.is_complete:
        baseline = baseline.plus(cells, ordered=feature.cells.is_ordered)
    return Standing(streak=after(standing.streak, verdict, rule), silent=0, psi=verdict.psi, baseline=baseline)
