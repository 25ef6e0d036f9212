"""Features that are compared together: what is usual for them, and where each of them stands after some windows. Pure.

The inputs of a model are one family, what of its answers is compared another: Bonferroni's correction is by family.
Where hours of the week are told apart (`stats.drift_season`), those of the features with a rhythm that move most are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from modelway.stats.counts import Ints
from modelway.stats.drift import Rule, Streak, Verdict, after, judge
from modelway.stats.drift_cells import cell_counts
from modelway.stats.drift_distance import Spread
from modelway.stats.drift_reference import Feature
from modelway.stats.drift_season import Hour, Season
from modelway.stats.drift_spread import Baseline, supposed

_NEVER: Final = 1_000_000
MOST_CELLS: Final = 704
"""Of the features whose hours of the week are told apart: 32 of 22 cells. So many are about 30 kB in a ConfigMap."""


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
        season: their rhythm; None where hours of the week are not told apart.
    """

    usual: tuple[Feature | None, ...]
    standings: tuple[Standing, ...]
    season: Season | None = None

    @classmethod
    def of(cls, usual: Sequence[Feature | None]) -> "Family":
        """Features of which no window has been seen."""
        return cls(tuple(usual), tuple(Standing() for _ in usual))

    @property
    def compared(self) -> int:
        """How many can be compared."""
        return sum(feature is not None for feature in self.usual)

    def after(self, window: Sequence[Ints], rule: Rule, hour: Hour | None = None) -> "Family":
        """They after one more window.

        Args:
            window: what was counted of each.
            rule: when one has drifted.
            hour: in which the window lies; None where hours of the week are not told apart, or one is not enough.
        """
        standings = list(self.standings)
        for place, verdict in self.judged(window, rule, hour).items():
            feature = self.usual[place]
            if feature is not None:
                standings[place] = _after(standings[place], feature, cell_counts(window[place]), verdict, rule)
        after = replace(self, standings=tuple(standings))
        return after if hour is None else after.with_season(window, hour)

    def judged(self, window: Sequence[Ints], rule: Rule, hour: Hour | None = None) -> dict[int, Verdict]:
        """What a window says of each that can be compared, by its place.

        Args:
            window: what was counted of each.
            rule: when one has drifted.
            hour: as `after` has it.
        """
        known, seasonal = self._known(), self.seasonal(hour)
        spreads = {feature.name: self._spread(place, feature, seasonal) for place, feature in known.items()}
        verdicts = judge(list((known | seasonal).values()), [window[place] for place in known], rule, spreads)
        return dict(zip(known, verdicts, strict=True))

    def seasonal(self, hour: Hour | None) -> dict[int, Feature]:
        """What is usual in an hour, for those with a rhythm, by their place."""
        if self.season is None or hour is None or not self.season.tells(hour):
            return {}
        return self.season.usual(self._known(), hour.number)

    def _known(self) -> dict[int, Feature]:
        """Those that can be compared, by their place."""
        return {place: feature for place, feature in enumerate(self.usual) if feature is not None}

    def with_season(self, window: Sequence[Ints], hour: Hour) -> "Family":
        """They with one more window learnt from; the arguments are those of `after`."""
        season = self.season or self._begun(hour)
        if season is None:
            return self
        after = season.plus([cell_counts(part) for part in window], self.usual, hour.number)
        if after.used is season.used:
            return replace(self, season=after)
        # What windows in a row have said was said of another reference.
        fresh = {place: replace(self.standings[place], streak=Streak()) for place in after.seasonal}
        standings = tuple(fresh.get(place, one) for place, one in enumerate(self.standings))
        return replace(self, season=after, standings=standings)

    def _begun(self, hour: Hour) -> Season | None:
        """The rhythm of all, or of those that a first day has shown to move most; None before that day is over."""
        known = self._known()
        if sum(one.cells.size for one in known.values()) <= MOST_CELLS:
            return Season.begun(known, hour) if known else None
        left, chosen = MOST_CELLS, []
        for place in sorted(filter(self._has_baseline, known), key=lambda place: -_moves(self.standings[place])):
            left -= known[place].cells.size
            if left < 0:
                break
            chosen.append(place)
        return Season.begun({place: known[place] for place in sorted(chosen)}, hour) if chosen else None

    def _has_baseline(self, place: int) -> bool:
        baseline = self.standings[place].baseline
        return baseline is not None and baseline.is_complete

    def _spread(self, place: int, feature: Feature, seasonal: Mapping[int, Feature]) -> Spread:
        baseline = self.standings[place].baseline
        if self.season is not None and place in seasonal and (learnt := self.season.spread(place)) is not None:
            return learnt
        return baseline.spread() if baseline is not None else supposed(feature.cells.size)

    def drifted(self) -> list[Drifted]:
        """Those that have, the most first."""
        found = [Drifted(place, one.psi or 0.0) for place, one in enumerate(self.standings) if one.streak.alarm]
        return sorted(found, key=lambda one: (-one.psi, one.place))

    def is_silent(self, windows: int) -> bool:
        """Whether so many windows in a row, or all there were, have said nothing of any feature."""
        return all(one.silent >= windows for one in self._compared())

    def _compared(self) -> Iterator[Standing]:
        return (one for one, feature in zip(self.standings, self.usual, strict=True) if feature is not None)


def _moves(standing: Standing) -> float:
    """How far a feature's windows are from each other."""
    return standing.baseline.excess.mean if standing.baseline is not None else 0.0


def _after(standing: Standing, feature: Feature, cells: Ints, verdict: Verdict, rule: Rule) -> Standing:
    if verdict.moved is None:
        return replace(standing, silent=min(standing.silent + 1, _NEVER))
    baseline = standing.baseline or Baseline.of(cells.size)
    if not baseline.is_complete:
        baseline = baseline.plus(cells, ordered=feature.cells.is_ordered, moved=verdict.moved)
    return Standing(streak=after(standing.streak, verdict, rule), silent=0, psi=verdict.psi, baseline=baseline)
