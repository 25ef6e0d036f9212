"""What labels say of the revision that serves: from readings to `PerformanceDegraded`. Pure.

A label counts in the window of its prediction, whichever pod it was posted to. So what is known of a window is the sum
of what all pods say of it now, and of what pods that are gone said last: nothing is subtracted, a missed reading loses
nothing, and only what a pod took between its last reading and a sudden end is lost.

Judged are whole windows, from the latest one back, in groups of at least `minLabels` labelled predictions. The metric
is degraded when all of the last groups are beyond the limit and their interval together is so wholly; it is well again
when all of them are within it. In between it stays what it was.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import isclose
from typing import Any, Final

from modelway.api.conditions import Reason
from modelway.api.monitoring_quality import (
    DEFAULT_MIN_LABELS,
    DEFAULT_QUALITY_WINDOW,
    DEFAULT_QUALITY_WINDOWS,
    Quality,
    QualityStatus,
)
from modelway.api.units import seconds
from modelway.plan.monitoring.readings import PodReading
from modelway.stats.quality import Confidence, Metric, expected_accuracy
from modelway.stats.quality_counts import FORMAT, OLDEST, QualityCounts
from modelway.stats.quality_figures import FALLING, Figures, figures, metric_of, rows_in, size_of

KEPT: Final = 64
"""Windows that are remembered, and so the farthest back that labels are judged."""
_MOST_TEXT: Final = 150_000
"""Of the written form; beyond, what pods said that are still there is left out: they will say it again."""
_ANSWERED: Final = 4  # numbers of each window before the metric's own: rows, scored, sure, spread

Windows = Mapping[int, Figures]
"""By window: rows, rows with a probability, their sum and spread; then what the metric needs of the labelled ones."""
Verdict = tuple[bool | None, Reason, str]


@dataclass(frozen=True, slots=True)
class QualityState:
    """What is known of the labels.

    Attributes:
        of: what it is about: revision, metric, class, delay. About something else it begins anew.
        seconds: of a window.
        gone: what pods said that are gone.
        live: what those said last that are there, with the epoch of their process; by uid.
        keyless: pods that had no key when they were read last.
        degraded: what was found last; None before anything was.
    """

    of: str
    seconds: float
    gone: Windows = field(default_factory=dict)
    live: Mapping[str, tuple[str, Windows]] = field(default_factory=dict)
    keyless: frozenset[str] = frozenset()
    degraded: bool | None = None

    def merged(self) -> dict[int, Figures]:
        """By window, of all pods."""
        found = dict(self.gone)
        for _, windows in self.live.values():
            _add(found, windows)
        return found


def taken(
    state: QualityState | None,
    readings: Iterable[PodReading],
    quality: Quality,
    *,
    revision: str,
    present: Collection[str],
    now: datetime,
) -> QualityState:
    """The state after one more round of readings.

    Args:
        state: before it; None at first.
        readings: of all pods that were read, whichever revision they serve.
        quality: what is asked for.
        revision: the one whose predictions are judged.
        present: uids of pods that are there.
        now: the moment.

    """
    width = seconds(quality.window or DEFAULT_QUALITY_WINDOW)
    of = "/".join((revision, quality.metric, quality.label or "", quality.label_delay or ""))
    if state is None or state.of != of or state.seconds != width:
        state = QualityState(of, width)
    first = int(now.timestamp() // width) - KEPT
    gone, live, keyless = dict(state.gone), dict(state.live), set(state.keyless)
    for reading in readings:
        told, uid = reading.quality, reading.of.pod.uid
        counts = _counts(told, width)
        if told is None or counts is None:
            continue
        before = live.get(uid)
        if before is not None and before[0] != reading.epoch:
            _add(gone, before[1])  # its process began anew
        live[uid] = reading.epoch, _windows(counts.from_window(first), quality, revision)
        (keyless.discard if told.get("keys") else keyless.add)(uid)
    for uid in live.keys() - set(present):
        _add(gone, live.pop(uid)[1])
    state = replace(
        state,
        gone={window: one for window, one in gone.items() if window >= first},
        live=live,
        keyless=frozenset(keyless & live.keys()),
    )
    return replace(state, degraded=_judged(state, quality, now))


def verdict(state: QualityState | None, quality: Quality, now: datetime) -> Verdict:
    """`PerformanceDegraded`: whether it holds (None: nobody knows), why, and the message."""
    limit = f"{'max' if quality.max is not None else 'min'} {_limit(quality):g}"
    what = f'{quality.metric} of "{quality.label}"' if quality.label else quality.metric
    if state is None or not state.live:
        return None, Reason.NOT_YET_MEASURED, "no pod has told yet what labels say"
    if state.degraded:
        return True, Reason.BEYOND_LIMIT, f"{what} is beyond its limit, {limit}, as labels show"
    groups = _groups(state, quality, now)
    if state.degraded is False and groups:
        return False, Reason.AS_EXPECTED, f"{what} keeps its limit, {limit}, as labels show"
    if state.keyless:
        return None, Reason.NO_KEYS, f"{len(state.keyless)} pods have no key to sign prediction ids with yet"
    least = DEFAULT_MIN_LABELS if quality.min_labels is None else quality.min_labels
    if not any(rows_in(one[_ANSWERED:], quality.metric) for one in state.merged().values()):
        return None, Reason.NO_LABELS, "no labels came yet: post them to /v1/models/<name>/feedback"
    return None, Reason.TOO_FEW_LABELS, f"labels of fewer than {least:,} predictions that can be judged came so far"


def status_of(
    state: QualityState | None, quality: Quality, now: datetime, before: QualityStatus | None
) -> QualityStatus:
    """Figures, rounded; those of `before` as long as they say the same."""
    told = QualityStatus(metric=quality.metric)
    if state is None:
        return told
    groups = _groups(state, quality, now)
    if groups:
        found = metric_of(_sum(groups), quality.metric)
        if found is None:
            return told
        if before is not None and before.metric == quality.metric and _says_the_same(before, found, quality):
            return before
        value, low, high = (f"{one:.3g}" for one in (found.value, found.low, found.high))
        return told.model_copy(update={"value": value, "low": low, "high": high})
    expected = expected_accuracy(_confidence(state))
    if expected is None:
        return told
    estimate = f"{expected.value:.2f}"
    old = before.estimated_accuracy if before is not None else None
    is_same = old is not None and abs(float(old) - expected.value) < _SLACK
    return told.model_copy(update={"estimated_accuracy": old if is_same else estimate})


_SLACK: Final = 0.015
"""An estimate that has moved by less is not told anew."""


def content_of(state: QualityState | None) -> Any:
    """The written form, plain data."""
    if state is None:
        return None
    live = {uid: [epoch, _written(windows)] for uid, (epoch, windows) in state.live.items()}
    if sum(len(line) for _, lines in live.values() for line in lines) > _MOST_TEXT:
        live = {}
    return {
        "of": state.of,
        "seconds": state.seconds,
        "gone": _written(state.gone),
        "live": live,
        "keyless": sorted(state.keyless & live.keys()),
        "degraded": state.degraded,
    }


def state_from(plain: Any) -> QualityState | None:
    """What `content_of` wrote; None when it cannot be read."""
    try:
        return QualityState(
            of=str(plain["of"]),
            seconds=float(plain["seconds"]),
            gone=_read(plain["gone"]),
            live={str(uid): (str(epoch), _read(windows)) for uid, (epoch, windows) in plain["live"].items()},
            keyless=frozenset(map(str, plain["keyless"])),
            degraded=None if plain["degraded"] is None else bool(plain["degraded"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _counts(told: Mapping[str, Any] | None, width: float) -> QualityCounts | None:
    """What a pod told; None where it told nothing, or counts otherwise."""
    if told is None or told.get("format") != FORMAT or not isinstance(told.get("window"), int | float):
        return None
    try:
        return QualityCounts.of(told) if isclose(told["window"], width) else None
    except ValueError:
        return None


def _windows(counts: QualityCounts, quality: Quality, revision: str) -> dict[int, Figures]:
    found: dict[int, Figures] = {}
    oldest = _oldest(quality)
    nothing = (0,) * size_of(quality.metric)
    for (of, window), answered in counts.answered.items():
        if of == revision:
            sure = answered.confidence
            _add(found, {window: (answered.rows, sure.rows, sure.sure, sure.spread, *nothing)})
    for place, labelled in counts.labelled.items():
        if place.revision == revision and place.age <= oldest:
            numbers = figures(labelled, quality.metric, quality.label or "")
            _add(found, {place.window: (0,) * _ANSWERED + numbers})
    return found


def _oldest(quality: Quality) -> int:
    """The last label age that counts: the first that holds all labels of the delay."""
    if quality.label_delay is None:
        return OLDEST
    windows = seconds(quality.label_delay) / seconds(quality.window or DEFAULT_QUALITY_WINDOW)
    return next((age for age in range(OLDEST) if 2**age >= windows), OLDEST)


def _judged(state: QualityState, quality: Quality, now: datetime) -> bool | None:
    groups = _groups(state, quality, now)
    found = [metric_of(one, quality.metric) for one in groups]
    if not groups or None in found:
        return state.degraded
    wanted = DEFAULT_QUALITY_WINDOWS if quality.windows is None else quality.windows
    beyond = [one is not None and _is_beyond(one.value, quality) for one in found]
    together = metric_of(_sum(groups), quality.metric)
    if len(groups) >= wanted and all(beyond) and together is not None:
        return True if _is_surely_beyond(together.low, together.high, quality) else state.degraded
    if not any(beyond) and (len(groups) >= wanted or state.degraded is None):
        return False
    return state.degraded


def _groups(state: QualityState, quality: Quality, now: datetime) -> list[Figures]:
    """The last groups of windows that can be judged, the latest first."""
    delay = seconds(quality.label_delay) if quality.label_delay else 0.0
    least = DEFAULT_MIN_LABELS if quality.min_labels is None else quality.min_labels
    wanted = DEFAULT_QUALITY_WINDOWS if quality.windows is None else quality.windows
    found: list[Figures] = []
    group: list[Figures] = []
    for window, numbers in sorted(state.merged().items(), reverse=True):
        if (window + 1) * state.seconds + delay > now.timestamp():
            continue  # more of it is to come
        group.append(numbers[_ANSWERED:])
        together = _sum(group)
        if rows_in(together, quality.metric) >= least:
            found.append(together)
            group = []
            if len(found) == wanted:
                break
    return found


def _limit(quality: Quality) -> float:
    limit = quality.max if quality.min is None else quality.min
    return 0.0 if limit is None else limit


def _is_beyond(value: float, quality: Quality) -> bool:
    return value > _limit(quality) if quality.metric in FALLING else value < _limit(quality)


def _is_surely_beyond(low: float, high: float, quality: Quality) -> bool:
    """Whether a whole interval is beyond the limit."""
    return _is_beyond(low if quality.metric in FALLING else high, quality)


def _says_the_same(before: QualityStatus, found: Metric, quality: Quality) -> bool:
    """Whether each figure lies within the interval of the other, and both intervals say the same of the limit."""
    if before.value is None or before.low is None or before.high is None:
        return False
    value, low, high = map(float, (before.value, before.low, before.high))
    is_near = found.low <= value <= found.high and low <= found.value <= high
    return is_near and _is_surely_beyond(low, high, quality) is _is_surely_beyond(found.low, found.high, quality)


def _confidence(state: QualityState) -> Confidence:
    found = Confidence()
    for _, scored, sure, spread, *_ in state.merged().values():
        found += Confidence(scored, sure, spread)
    return found


def _add(own: dict[int, Figures], others: Windows) -> None:
    for window, numbers in others.items():
        before = own.get(window)
        own[window] = numbers if before is None else tuple(map(sum, zip(before, numbers, strict=True)))


def _sum(parts: Iterable[Figures]) -> Figures:
    return tuple(map(sum, zip(*parts, strict=True)))


def _written(windows: Windows) -> list[str]:
    """As texts: sums outgrow what JSON's numbers can hold."""
    return [" ".join(map(str, (window, *numbers))) for window, numbers in sorted(windows.items())]


def _read(written: Iterable[str]) -> dict[int, Figures]:
    rows = [tuple(map(int, line.split())) for line in written]
    return {row[0]: row[1:] for row in rows}
