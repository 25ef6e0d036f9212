"""How good predictions were over time, by their labels; and how the service level is kept. Pure.

Windows are taken together, and held against the limit, by what the operator itself judges with.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from modelway.api.monitoring_quality import Quality
from modelway.plan.monitoring.counting import total
from modelway.plan.monitoring.level import ERRORS, Burn, burns
from modelway.plan.monitoring.quality_groups import groups, is_surely_beyond, is_surely_within, limit_of
from modelway.plan.monitoring.quality_slices import shown, sliced
from modelway.plan.monitoring.quality_state import QualityState
from modelway.report.facts import Facts
from modelway.report.plots import Line, Point, line
from modelway.report.words import Tone
from modelway.stats.quality import Metric
from modelway.stats.quality_figures import metric_of

_NAMES: Final = {ERRORS: "requests that fail"}


@dataclass(frozen=True, slots=True)
class Judged:
    """Labelled predictions of some windows, and how good they were."""

    since: datetime
    until: datetime
    metric: Metric
    tone: Tone


@dataclass(frozen=True, slots=True)
class JudgedSlice:
    """A part of the predictions; no metric while there are too few labels of it."""

    name: str
    value: str
    limit: float
    metric: Metric | None
    tone: Tone


@dataclass(frozen=True, slots=True)
class OverTime:
    """How good predictions were.

    Attributes:
        what: was computed.
        limit: that it is held against, in words.
        groups: the earliest first.
        plot: of them; None where there are none.
        slices: that are asked for.
    """

    what: str
    limit: str
    groups: tuple[Judged, ...]
    plot: Line | None
    slices: tuple[JudgedSlice, ...] = ()


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
    limit = limit_of(asked)
    state = facts.watch.quality if facts.watch is not None else None
    judged = tuple(_judged(state, asked, facts.at))[::-1] if state is not None else ()
    points = [Point(one.until, one.metric.value, one.metric.low, one.metric.high) for one in judged]
    return OverTime(
        what=f"{asked.metric} of {asked.label}" if asked.label else asked.metric,
        limit=f"{'at least' if asked.max is None else 'at most'} {limit:g}",
        groups=judged,
        plot=line(points, limit) if points else None,
        slices=tuple(_slices(facts, state, asked)) if state is not None else (),
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


def _judged(state: QualityState, asked: Quality, now: datetime) -> Iterator[Judged]:
    """The latest first."""
    for group in groups(state, asked, now):
        metric = metric_of(group.figures, asked.metric)
        if metric is not None:
            since, until = (_moment(window * state.seconds) for window in (group.first, group.last + 1))
            yield Judged(since, until, metric, _tone(metric, asked))


def _slices(facts: Facts, state: QualityState, asked: Quality) -> Iterator[JudgedSlice]:
    """As the operator judges them; the interval is that of one slice alone."""
    for one in sliced(state.slices, asked, facts.at):
        tone = Tone.BAD if one.degraded else Tone.UNSURE if one.degraded is None else Tone.GOOD
        yield JudgedSlice(*shown(one, asked, hide=facts.is_hidden), limit_of(one.quality), one.figure, tone)


def _tone(metric: Metric, asked: Quality) -> Tone:
    """By the whole interval: beyond the limit, within it, or neither for sure."""
    if is_surely_beyond(metric.low, metric.high, asked):
        return Tone.BAD
    return Tone.GOOD if is_surely_within(metric.low, metric.high, asked) else Tone.UNSURE


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
