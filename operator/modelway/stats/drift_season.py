"""What is usual in each hour of the week, for features with a rhythm: learnt from two weeks of windows.

Mornings are unlike evenings and Sundays unlike Mondays, so against one reference for all of them a rhythm is either
drift (a weekend is, after a Monday was learnt from) or spread, in which drifts hide. Here each hour of the week has
shares of its own. They are not compared with by themselves: how an hour differs from the whole week, as a ratio of
shares, is multiplied into the reference that is there (the seasonal index of a classical multiplicative decomposition,
cell by cell). So a constant difference between the live rows and the reference stays what it is: drift.

The second week says what the rhythm is worth: each of its windows is compared with the same hour a week before. What
differs still is the spread that remains. A feature of which hours do not differ from the week by more than that has no
rhythm, and nothing is changed for it; so a drift in the midst of the two weeks is no rhythm either.

Shares are kept as square roots in 48ths, a byte each, in which counting noise is the same for large and small shares.
That moves PSI by cells/3 · 48⁻², 0.003 for 22 cells. Whatever was learnt stays. Pure; numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import numpy as np

from modelway.stats.drift_distance import distance
from modelway.stats.drift_spread import LEAST_WINDOWS, Excess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from modelway.stats.counts import Floats, Ints
    from modelway.stats.drift_distance import Spread
    from modelway.stats.drift_reference import Feature

    Levels = NDArray[np.uint8]

HOURS: Final = 168
LEARNT: Final = 2 * HOURS
"""Hours that are learnt from."""
STEPS: Final = 48
LEAST_RHYTHM: Final = 0.01
"""PSI of the hours beside the week, above what remains, from which on there is a rhythm: less matters to no rule."""
_MONDAY: Final = 72
"""Hours from the last Monday before 1970, at 0:00, to 1970, which began on a Thursday."""
_HALF: Final = 0.5
_LEAST_ROWS: Final = 100
"""Of an hour, and of a reference, that are looked at together."""


class Hour(NamedTuple):
    """An hour.

    Args:
        number: of it, from 1970 on, by the clocks of a time zone.
        clock: the name of that zone.

    """

    number: int
    clock: str = "Etc/UTC"


@dataclass(frozen=True, slots=True)
class Season:
    """The rhythm of some features.

    Args:
        places: of these among all that are compared.
        sizes: cells of each.
        clock: the time zone by which hours are counted.
        began: number of the hour of the first window.
        hour: that is under way.
        open: what it has counted up to now, [cells]; the cells of all features are one after the other.
        levels: square roots of the shares in each hour of the week, [HOURS, cells].
        rows: of each hour of the week.
        values: rows with a value of each feature.
        again: windows that were compared with the same hour a week before.
        rest: what differed then, of each.
        used: which of them have a rhythm; None while it is being learnt.

    """

    places: tuple[int, ...]
    sizes: tuple[int, ...]
    clock: str
    began: int
    hour: int
    open: Ints
    levels: Levels
    rows: Ints
    values: Ints
    rest: tuple[Excess, ...]
    again: int = 0
    used: tuple[bool, ...] | None = None

    @classmethod
    def begun(cls, features: Mapping[int, Feature], hour: Hour) -> Self:
        """Of these features, before the first window.

        Args:
            features: by their place.
            hour: of the first window.

        """
        sizes = tuple(one.cells.size for one in features.values())
        cells = sum(sizes)
        return cls(
            places=tuple(features),
            sizes=sizes,
            clock=hour.clock,
            began=hour.number,
            hour=hour.number,
            open=np.zeros(cells, np.int64),
            levels=np.zeros((HOURS, cells), np.uint8),
            rows=np.zeros(HOURS, np.int64),
            values=np.zeros(len(sizes), np.int64),
            rest=(Excess(),) * len(sizes),
        )

    @property
    def seasonal(self) -> tuple[int, ...]:
        """Places of the features that have a rhythm."""
        return tuple(place for place, used in zip(self.places, self.used or (), strict=False) if used)

    def tells(self, hour: Hour | None) -> bool:
        """Whether it says what is usual in an hour: by the clock that it was learnt by, and of some feature."""
        return hour is not None and hour.clock == self.clock and bool(self.seasonal)

    def plus(self, window: Sequence[Ints], features: Sequence[Feature | None], hour: int) -> Season:
        """It and one more window; the same when it has been learnt.

        Args:
            window: rows in each cell, of all that are compared.
            features: all of them.
            hour: in which the window lies, by the same clock.

        """
        if self.used is not None:
            return self
        season = self if hour == self.hour else replace(_closed(self), hour=hour)
        if hour - self.began >= LEARNT and season.again >= LEAST_WINDOWS:
            return replace(season, used=tuple(_has_rhythm(season, index) for index in range(len(self.places))))
        parts = [window[place] for place in self.places]
        values = np.array([part.sum() for part in parts], np.int64)
        return replace(
            season,
            open=season.open + np.concatenate(parts),
            values=season.values + values,
            rest=tuple(_rest(season, parts, [features[place] for place in self.places])),
            again=season.again + bool(season.rows[_of_week(hour)] and values.any()),
        )

    def usual(self, features: Mapping[int, Feature], hour: int) -> dict[int, Feature]:
        """The features with a rhythm as they are usual in an hour, by their place.

        With as many rows as its counts are sure of: the reference's and the hour's together tell no more than the
        fewer of them. What was hardly ever seen in that hour of the week is left out.

        Args:
            features: as they are usual on the whole.
            hour: that is asked for.

        """
        found = {}
        at = _of_week(hour)
        for index, place in enumerate(self.places):
            if self.used is not None and self.used[index] and place in features:
                shares, rows = self.hours(index)
                if min(rows[at], features[place].rows) >= _LEAST_ROWS:
                    found[place] = _tilted(features[place], shares[at], rows[at], rows @ shares)
        return found

    def spread(self, place: int) -> Spread | None:
        """How much windows differ from what is usual in their hour."""
        return self.rest[self.places.index(place)].spread(least=LEAST_WINDOWS)

    def hours(self, index: int) -> tuple[Floats, Floats]:
        """Shares of one feature in each hour of the week, and the rows with a value that tell them.

        Args:
            index: of the feature among those of `places`.

        """
        levels = self.levels[:, self.part(index)]
        with_value = min(int(self.values[index]) / max(int(self.rows.sum()), 1), 1.0)
        return _shares(levels), np.where(levels.any(axis=1), self.rows * with_value, 0.0)

    def part(self, index: int) -> slice:
        """Where the cells of one feature are."""
        first = sum(self.sizes[:index])
        return slice(first, first + self.sizes[index])


def _of_week(hour: int) -> int:
    """Hours since Monday, 0:00."""
    return (hour + _MONDAY) % HOURS


def _closed(season: Season) -> Season:
    """It with the hour that is over added to its hour of the week."""

    def each(numbers: Ints) -> Ints:
        return np.repeat(numbers, season.sizes)

    begins = np.cumsum([0, *season.sizes[:-1]])
    at, seen = _of_week(season.hour), np.add.reduceat(season.open, begins)
    rows, known = int(seen.max()), int(season.rows[at])
    if not rows:
        return season
    squares = season.levels[at].astype(np.int64) ** 2
    before = squares / each(np.maximum(np.add.reduceat(squares, begins), 1))
    now = np.where(each(seen) > 0, season.open / each(np.maximum(seen, 1)), before)
    levels, counted = season.levels.copy(), season.rows.copy()
    levels[at] = np.rint(np.sqrt((known * before + rows * now) / (known + rows)) * STEPS)
    counted[at] = known + rows
    return replace(season, levels=levels, rows=counted, open=np.zeros_like(season.open))


def _rest(season: Season, window: Sequence[Ints], features: Sequence[Feature | None]) -> list[Excess]:
    """What differs from the same hour a week before, with this window."""
    at = _of_week(season.hour)
    rows, found = int(season.rows[at]), []
    for index, (rest, part, feature) in enumerate(zip(season.rest, window, features, strict=True)):
        usual = np.rint(_shares(season.levels[at, season.part(index)]) * rows).astype(np.int64)
        is_known = feature is not None and usual.any() and part.any()
        found.append(rest.plus(usual, part, ordered=feature.cells.is_ordered) if is_known and feature else rest)
    return found


def _has_rhythm(season: Season, index: int) -> bool:
    """Whether hours differ from the week by more than they differ from themselves a week later."""
    shares, rows = season.hours(index)
    counts = np.rint(shares * rows[:, None]).astype(np.int64)
    counts = counts[counts.any(axis=1)]
    if not len(counts):
        return False
    seen = distance(np.broadcast_to(counts.sum(axis=0), counts.shape), counts)
    return float(np.average(seen.psi, weights=counts.sum(axis=1))) > season.rest[index].mean + LEAST_RHYTHM


def _shares(levels: Levels) -> Floats:
    """Of one feature; all 0 where there are no levels."""
    squares = levels.astype(np.float64) ** 2
    return np.asarray(squares / np.maximum(squares.sum(axis=-1, keepdims=True), 1.0))


def _tilted(feature: Feature, share: Floats, rows: float, week: Floats) -> Feature:
    """The reference in an hour, by how that hour differs from the week.

    Args:
        feature: as it is usual on the whole.
        share: in the hour.
        rows: of the hour.
        week: rows in each cell, of all hours.

    """
    expected = np.array(feature.counts, np.float64) * _smoothed(share * rows) / _smoothed(week)
    certain = 1.0 / (1.0 / feature.rows + 1.0 / rows)
    counts = np.rint(expected * (certain / expected.sum())).astype(np.int64)
    return replace(feature, counts=tuple(counts.tolist()), missing=round(feature.missing * certain / feature.rows))


def _smoothed(counts: Floats) -> Floats:
    """Shares, with half a row more in each cell."""
    return np.asarray((counts + _HALF) / (counts.sum() + _HALF * counts.size))
