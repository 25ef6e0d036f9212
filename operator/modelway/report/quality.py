"""How good predictions were over time, by their labels; and how the service level is kept. Pure.

Labels count in the window of their prediction. Windows are taken together until they have the `minLabels` that are
judged together at least; the newest group may have fewer, and is left out then, as the operator does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from modelway.api.monitoring_quality import DEFAULT_MIN_LABELS, Quality
from modelway.api.units import seconds
from modelway.plan.monitoring.counting import total
from modelway.plan.monitoring.level import ERRORS, Burn, burns
from modelway.plan.monitoring.quality import QualityState
from modelway.report.facts import Facts
from modelway.report.plots import Line, Point, line
from modelway.report.words import Tone
from modelway.stats.quality import Metric
from modelway.stats.quality_figures import FALLING, Figures, metric_of, rows_in, size_of

_NAMES: Final = {ERRORS: "requests that fail"}


@dataclass(frozen=True, slots=True)
class Judged:
    """Labelled predictions of some windows, and how good they were."""

    since: datetime
    until: datetime
    metric: Metric
    tone: Tone


@dataclass(frozen=True, slots=True)
class OverTime:
    """How good predictions were.

    Attributes:
        what: was computed.
        limit: that it is held against, in words.
        groups: the earliest first.
        plot: of them; None where there are none.
    """

    what: str
    limit: str
    groups: tuple[Judged, ...]
    plot: Line | None


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective of the service level, with shares from 0 to 1."""

    name: str
    allowed: float
    long: float
    short: float
    tone: Tone
    state: str


@dataclass(frozen=True, slots=True)
class Level:
    """How requests were answered in the last windows that had some."""

    windows: int
    requests: int
    failed: int
    objectives: tuple[Objective, ...]


def over_time(facts: Facts) -> OverTime | None:
    """Quality, where it is asked for."""
    asked = facts.given.quality
    if asked is None:
        return None
    limit = asked.max if asked.min is None else asked.min
    state = facts.watch.quality if facts.watch is not None else None
    groups = tuple(_groups(state, asked, facts.at)) if state is not None else ()
    points = [Point(one.until, one.metric.value, one.metric.low, one.metric.high) for one in groups]
    return OverTime(
        what=f"{asked.metric} of {asked.label}" if asked.label else asked.metric,
        limit=f"{'at least' if asked.max is None else 'at most'} {limit or 0.0:g}",
        groups=groups,
        plot=line(points, limit) if points else None,
    )


def level_of(facts: Facts) -> Level | None:
    """The service level of the windows that the operator remembers; None where there were none."""
    served = facts.watch.served if facts.watch is not None else ()
    if not served:
        return None
    all_of_them, asked = total(served), facts.given.slo
    return Level(
        windows=len(served),
        requests=all_of_them.requests,
        failed=max(all_of_them.failed, 0),
        objectives=tuple(_objective(facts, one) for one in burns(asked, served)) if asked is not None else (),
    )


def _groups(state: QualityState, asked: Quality, now: datetime) -> Iterator[Judged]:
    delay = seconds(asked.label_delay) if asked.label_delay else 0.0
    least = DEFAULT_MIN_LABELS if asked.min_labels is None else asked.min_labels
    group: list[tuple[int, Figures]] = []
    found: list[Judged] = []
    # From the latest back, so that the last groups are those that the operator judges.
    for window, numbers in sorted(state.merged().items(), reverse=True):
        if (window + 1) * state.seconds + delay > now.timestamp():
            continue  # more of it is to come
        group.append((window, numbers[-size_of(asked.metric) :]))
        together: Figures = tuple(map(sum, zip(*(one for _, one in group), strict=True)))
        if rows_in(together, asked.metric) < least:
            continue
        metric = metric_of(together, asked.metric)
        if metric is not None:
            since, until = (_moment(at * state.seconds) for at in (group[-1][0], group[0][0] + 1))
            found.append(Judged(since, until, metric, _tone(metric, asked)))
        group = []
    yield from reversed(found)


def _tone(metric: Metric, asked: Quality) -> Tone:
    """By the whole interval: beyond the limit, within it, or neither for sure."""
    limit = (asked.max if asked.min is None else asked.min) or 0.0
    worst, best = (metric.high, metric.low) if asked.metric in FALLING else (metric.low, metric.high)
    if asked.metric in FALLING:
        return Tone.BAD if best > limit else Tone.GOOD if worst <= limit else Tone.UNSURE
    return Tone.BAD if best < limit else Tone.GOOD if worst >= limit else Tone.UNSURE


def _objective(facts: Facts, burn: Burn) -> Objective:
    latency = facts.given.slo.latency if facts.given.slo is not None else None
    slow = f"requests slower than {latency.threshold}" if latency is not None else burn.name
    long, short = burn.long * burn.allowed, burn.short * burn.allowed
    if burn.is_missed:
        tone, state = Tone.BAD, "missed"
    elif short > burn.allowed or long > burn.allowed:
        tone, state = Tone.UNSURE, "above what is allowed, and not surely so in both"
    else:
        tone, state = Tone.GOOD, "kept"
    return Objective(_NAMES.get(burn.name, slow), burn.allowed, long, short, tone, state)


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
