"""Traffic with a daily and weekly rhythm: what the plain reference makes of it, and what hours of the week do.

Both see the same windows of five minutes, by the code of the operator: two weeks that are learnt from, then stable ones
in which every alarm is false, and from where these two weeks have left them drifts at any time of the week.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import orjson

from bench.drift_worlds import CELLS, REFERENCE_ROWS, read, shares
from modelway.plan.monitoring.family import Family
from modelway.plan.monitoring.season_record import content_of
from modelway.stats.drift import Rule, Streak
from modelway.stats.drift_cells import Cells
from modelway.stats.drift_reference import Feature
from modelway.stats.drift_season import HOURS, LEARNT, Hour

FEATURES: Final = 10
ROWS: Final = 1000
_AN_HOUR: Final = 12
_LONGEST: Final = 60
_DRIFTS: Final = ((0.1, 0.32), (0.25, 0.505), (0.5, 0.72))
"""PSI, and the shift of the mean in deviations that is one."""
_DRIFTED: Final = 3
_CORRELATION: Final = 0.002
MONDAY: Final = 24 * 4
"""A Monday at 0:00, in hours since 1970."""

Run = Callable[[np.random.Generator, float], dict[str, Any]]


@dataclass(slots=True)
class World:
    """A rhythm, and what two watches have learnt of it.

    Args:
        rng: of all chance.
        means: of all features in each hour of the week, in deviations.

    """

    rng: np.random.Generator
    means: np.ndarray
    watches: dict[str, Family] = field(init=False)

    def __post_init__(self) -> None:
        edges = tuple(float(place) for place in range(CELLS - 1))
        cells = Cells(edges=edges, lowest=-1.0, highest=float(CELLS))
        # The training rows are of all hours.
        week = np.rint(shares(self.means, 1.0).mean(axis=0) * REFERENCE_ROWS).astype(np.int64)
        usual = [Feature(f"f{place}", cells, tuple(week.tolist())) for place in range(FEATURES)]
        self.watches = {"plain": Family.of(usual), "hours": Family.of(usual)}

    def windows(self, first: int, hours: int, shift: float = 0.0) -> Iterator[tuple[int, list[np.ndarray]]]:
        """Hour and counts of windows; three features are shifted."""
        means = np.zeros(FEATURES)
        means[:_DRIFTED] = shift
        for hour in range(first, first + hours):
            for _ in range(_AN_HOUR):
                wobble = self.rng.standard_normal(FEATURES) * np.sqrt(_CORRELATION)
                drawn = shares(self.means[(hour - MONDAY) % HOURS] + wobble + means, np.sqrt(1.0 - _CORRELATION))
                counts = self.rng.multinomial(ROWS, drawn)
                yield hour, read(counts)


def season(amplitude: float) -> np.ndarray:
    """A wave a day, lower and half as high at the weekend, with business hours that begin and end at once."""
    hours = np.arange(HOURS)
    is_weekend = hours >= 5 * 24
    wave = np.sin(2 * np.pi * (hours - 8) / 24) * np.where(is_weekend, 0.5, 1.0)
    business = np.where(~is_weekend & (hours % 24 >= 9) & (hours % 24 < 17), 0.5, 0.0)
    return np.asarray(amplitude * (wave + business - np.where(is_weekend, 0.5, 0.0)))


def cells(rule: Rule) -> Iterator[tuple[str, Run]]:
    """Name and work of each row of the table."""
    for amplitude in (0.2, 0.4, 0.8):
        yield f"{amplitude} deviations", _run(amplitude, rule)


def _run(amplitude: float, rule: Rule) -> Run:
    def run(rng: np.random.Generator, effort: float) -> dict[str, Any]:
        world = World(rng, season(amplitude))
        _see(world, world.windows(MONDAY, LEARNT + 1), rule)
        learnt = dict(world.watches)
        size = len(orjson.dumps(content_of(learnt["hours"].season)))
        weeks = max(1, round(4 * effort))
        found: dict[str, Any] = {"windows": weeks * HOURS * _AN_HOUR, "bytes": size}
        for name, (alarms, during) in _see(world, world.windows(MONDAY + LEARNT + 1, weeks * HOURS), rule).items():
            found |= {f"{name}_alarms": alarms, f"{name}_in_alarm": during}
        for psi, shift in _DRIFTS:
            for name, delays in _delays(world, learnt, shift, max(5, round(50 * effort)), rule).items():
                seen = [one for one in delays if one]
                found[f"{name}_{psi}"] = {
                    "runs": len(delays),
                    "told": len(seen),
                    "median": float(np.median(seen)) if seen else None,
                }
        return found

    return run


def _see(world: World, windows: Iterator[tuple[int, list[np.ndarray]]], rule: Rule) -> dict[str, tuple[int, int]]:
    """Alarms that began, and windows in alarm, of each watch."""
    found = {name: [0, 0] for name in world.watches}
    for hour, window in windows:
        for name, family in world.watches.items():
            before = {one.place for one in family.drifted()}
            after = family.after(window, rule, Hour(hour) if name == "hours" else None)
            now = {one.place for one in after.drifted()}
            world.watches[name] = after
            found[name][0] += bool(now - before)
            found[name][1] += bool(now)
    return {name: (began, during) for name, (began, during) in found.items()}


def _delays(world: World, learnt: dict[str, Family], shift: float, runs: int, rule: Rule) -> dict[str, list[int]]:
    """Windows until one of the shifted features alarms; 0: not within 60."""
    found: dict[str, list[int]] = {name: [] for name in learnt}
    for _ in range(runs):
        first = MONDAY + LEARNT + 1 + int(world.rng.integers(HOURS))
        windows = list(world.windows(first, _LONGEST // _AN_HOUR, shift))
        for name, family in learnt.items():
            calm = replace(family, standings=tuple(replace(one, streak=Streak()) for one in family.standings))
            found[name].append(_until_told(calm, windows, rule, is_seasonal=name == "hours"))
    return found


def _until_told(family: Family, windows: list[tuple[int, list[np.ndarray]]], rule: Rule, *, is_seasonal: bool) -> int:
    for place, (hour, window) in enumerate(windows, 1):
        family = family.after(window, rule, Hour(hour) if is_seasonal else None)
        if any(one.place < _DRIFTED for one in family.drifted()):
            return place
    return 0
