"""Windows taken together until there are labels enough to judge them, and the limit that they are held against. Pure.

Called by `quality`, which judges the last groups, and by the report, which shows all of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from modelway.api.monitoring_quality import DEFAULT_MIN_LABELS, DEFAULT_QUALITY_WINDOWS, Quality
from modelway.api.units import seconds
from modelway.plan.monitoring.quality_state import ANSWERED, QualityState
from modelway.stats.quality import Z
from modelway.stats.quality_figures import FALLING, Figures, metric_of, rows_in


@dataclass(frozen=True, slots=True)
class Group:
    """Windows that are judged together.

    Attributes:
        first, last: of them: Unix time by the window's length.
        figures: of their labels, what the metric needs.
    """

    first: int
    last: int
    figures: Figures


def groups(state: QualityState, quality: Quality, now: datetime) -> Iterator[Group]:
    """Whole windows with at least `minLabels` labels, the latest group first.

    From the latest back, so that the newest labels always count; the earliest windows may be too few for a group.
    """
    delay = seconds(quality.label_delay) if quality.label_delay else 0.0
    least = DEFAULT_MIN_LABELS if quality.min_labels is None else quality.min_labels
    last = 0
    together: Figures = ()
    for window, numbers in sorted(state.merged().items(), reverse=True):
        if (window + 1) * state.seconds + delay > now.timestamp():
            continue  # more of it is to come
        part = numbers[ANSWERED:]
        last, together = (last, summed((together, part))) if together else (window, part)
        if rows_in(together, quality.metric) >= least:
            yield Group(window, last, together)
            together = ()


def last_groups(state: QualityState, quality: Quality, now: datetime) -> list[Figures]:
    """Of the groups that are judged, the latest first."""
    return [group.figures for group in islice(groups(state, quality, now), _wanted(quality))]


def judged(state: QualityState, quality: Quality, now: datetime, *, z: float = Z) -> bool | None:
    """Whether labels show the metric beyond its limit; what was found before where they say neither.

    Args:
        state: what is known.
        quality: what is asked for.
        now: the moment.
        z: standard deviations of the interval that has to be beyond it wholly.
    """
    last = last_groups(state, quality, now)
    found = [metric_of(one, quality.metric) for one in last]
    if not last or None in found:
        return state.degraded
    is_all = len(last) >= _wanted(quality)
    beyond = [one is not None and is_beyond(one.value, quality) for one in found]
    together = metric_of(summed(last), quality.metric, z)
    if is_all and all(beyond) and together is not None:
        return True if is_surely_beyond(together.low, together.high, quality) else state.degraded
    if not any(beyond) and (is_all or state.degraded is None):
        return False
    return state.degraded


def summed(parts: Iterable[Figures]) -> Figures:
    """The figures of all parts together; there must be one."""
    return tuple(map(sum, zip(*parts, strict=True)))


def limit_of(quality: Quality) -> float:
    """That the metric is held against: the schema asks for one of `min` and `max`, as the metric needs it."""
    limit = quality.max if quality.min is None else quality.min
    return 0.0 if limit is None else limit


def is_beyond(value: float, quality: Quality) -> bool:
    """Whether a value is on the bad side of the limit."""
    return value > limit_of(quality) if quality.metric in FALLING else value < limit_of(quality)


def is_surely_beyond(low: float, high: float, quality: Quality) -> bool:
    """Whether a whole interval is."""
    return is_beyond(low if quality.metric in FALLING else high, quality)


def is_surely_within(low: float, high: float, quality: Quality) -> bool:
    """Whether nothing of an interval is."""
    return not is_beyond(high if quality.metric in FALLING else low, quality)


def _wanted(quality: Quality) -> int:
    return DEFAULT_QUALITY_WINDOWS if quality.windows is None else quality.windows
