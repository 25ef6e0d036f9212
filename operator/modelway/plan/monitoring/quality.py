"""What labels say of the revision that serves: from readings to `PerformanceDegraded`. Pure.

A label counts in the window of its prediction, whichever pod it was posted to. So what is known of a window is the sum
of what all pods say of it now, and of what pods that are gone said last: nothing is subtracted, a missed reading loses
nothing, and only what a pod took between its last reading and a sudden end is lost.

Judged are whole windows, from the latest one back, in groups of at least `minLabels` labelled predictions. The metric
is degraded when all of the last groups are beyond the limit and their interval together is so wholly; it is well again
when all of them are within it. In between it stays what it was.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from math import isclose
from typing import Any, Final

from modelway.api.conditions import Reason
from modelway.api.monitoring_quality import (
    DEFAULT_MIN_LABELS,
    DEFAULT_QUALITY_WINDOW,
    Quality,
    QualityStatus,
)
from modelway.api.monitoring_status import MOST_TOLD
from modelway.api.units import seconds
from modelway.plan.monitoring import quality_slices
from modelway.plan.monitoring.quality_groups import is_surely_beyond, judged, last_groups, limit_of, summed
from modelway.plan.monitoring.quality_state import ANSWERED, QualityState, add, advanced
from modelway.plan.monitoring.readings import PodReading
from modelway.plan.types import Verdict
from modelway.stats.quality import Confidence, Metric, expected_accuracy
from modelway.stats.quality_counts import FORMAT, KEPT, OLDEST, QualityCounts, oldest_within
from modelway.stats.quality_figures import Figures, figures, metric_of, rows_in, size_of


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
    first = int(now.timestamp() // width) - KEPT + 1
    told: dict[str, tuple[str, QualityCounts]] = {}
    keyless = set(state.keyless)
    for reading in readings:
        counts, uid = _counts(reading.quality, width), reading.of.pod.uid
        if counts is not None and reading.quality is not None:
            told[uid] = reading.epoch, counts.from_window(first)
            (keyless.discard if reading.quality.get("keys") else keyless.add)(uid)
    windows = {uid: (epoch, _windows(counts, quality, revision)) for uid, (epoch, counts) in told.items()}
    state = advanced(state, windows, present=present, first=first)
    state = replace(
        state,
        keyless=frozenset(keyless & state.live.keys()),
        slices=quality_slices.taken(
            state.slices,
            QualityState(of, width),
            told,
            quality,
            revision=revision,
            oldest=_oldest(quality),
            present=present,
            first=first,
            now=now,
        ),
    )
    return replace(state, degraded=judged(state, quality, now))


def verdict(state: QualityState | None, quality: Quality, now: datetime, *, hide: bool = False) -> Verdict:
    """`PerformanceDegraded`: whether it holds (None: nobody knows), why, and the message.

    Args:
        state: what is known.
        quality: what is asked for.
        now: the moment.
        hide: whether slices are told by their place.
    """
    limit = f"{'max' if quality.max is not None else 'min'} {limit_of(quality):g}"
    what = f'{quality.metric} of "{quality.label}"' if quality.label else quality.metric
    if state is None or not state.live:
        return None, Reason.NOT_YET_MEASURED, "no pod has told yet what labels say"
    beyond = [f"{what} is beyond its limit, {limit}"] if state.degraded else []
    slices = quality_slices.beyond(state.slices, quality, now)
    beyond += [quality_slices.words(one, quality, what, hide=hide) for one in slices[:MOST_TOLD]]
    if beyond:
        more = [f"and {len(slices) - MOST_TOLD} more slices"] if len(slices) > MOST_TOLD else []
        return True, Reason.BEYOND_LIMIT, f"{'; '.join(beyond + more)}, as labels show"
    if state.degraded is False and last_groups(state, quality, now):
        too = ", and so does each slice with enough of them" if quality.slices else ""
        return False, Reason.AS_EXPECTED, f"{what} keeps its limit, {limit}, as labels show{too}"
    if state.keyless:
        return None, Reason.NO_KEYS, f"{len(state.keyless)} pods have no key to sign prediction ids with yet"
    least = DEFAULT_MIN_LABELS if quality.min_labels is None else quality.min_labels
    if not any(rows_in(one[ANSWERED:], quality.metric) for one in state.merged().values()):
        return None, Reason.NO_LABELS, "no labels came yet: post them to /v1/models/<name>/feedback"
    return None, Reason.TOO_FEW_LABELS, f"labels of fewer than {least:,} predictions that can be judged came so far"


def status_of(
    state: QualityState | None, quality: Quality, now: datetime, before: QualityStatus | None, *, hide: bool = False
) -> QualityStatus:
    """Figures, rounded; those of `before` as long as they say the same."""
    told = _overall(state, quality, now, before)
    slices = quality_slices.status_of(state.slices, quality, now, before, hide=hide) if state is not None else ()
    return told.model_copy(update={"slices": slices})


def _overall(
    state: QualityState | None, quality: Quality, now: datetime, before: QualityStatus | None
) -> QualityStatus:
    told = QualityStatus(metric=quality.metric)
    if state is None:
        return told
    if last := last_groups(state, quality, now):
        found = metric_of(summed(last), quality.metric)
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
            add(found, {window: (answered.rows, sure.rows, sure.sure, sure.spread, *nothing)})
    for place, labelled in counts.labelled.items():
        if place.revision == revision and place.age <= oldest:
            numbers = figures(labelled, quality.metric, quality.label or "")
            add(found, {place.window: (0,) * ANSWERED + numbers})
    return found


def _oldest(quality: Quality) -> int:
    if quality.label_delay is None:
        return OLDEST
    return oldest_within(seconds(quality.label_delay), seconds(quality.window or DEFAULT_QUALITY_WINDOW))


def _says_the_same(before: QualityStatus, found: Metric, quality: Quality) -> bool:
    """Whether each figure lies within the interval of the other, and both intervals say the same of the limit."""
    if before.value is None or before.low is None or before.high is None:
        return False
    value, low, high = map(float, (before.value, before.low, before.high))
    is_near = found.low <= value <= found.high and low <= found.value <= high
    return is_near and is_surely_beyond(low, high, quality) is is_surely_beyond(found.low, found.high, quality)


def _confidence(state: QualityState) -> Confidence:
    found = Confidence()
    for _, scored, sure, spread, *_ in state.merged().values():
        found += Confidence(scored, sure, spread)
    return found
