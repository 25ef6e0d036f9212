"""Slices of the predictions: what labels say of each value of a name, and which of them are beyond their limit. Pure.

Each slice is judged as all predictions are (`quality`), by its own state, once there are labels enough of it. Of many
slices one is beyond its limit by chance sooner than of one: so the interval that must be wholly beyond it is at 95 %
for all slices together (Bonferroni). Slices are told apart by their places in the spec, and only the spec names them.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import NormalDist
from typing import Final

from modelway.api.monitoring_quality import Quality, QualityStatus, Slice, SliceStatus
from modelway.api.monitoring_status import MOST_TOLD
from modelway.plan.monitoring.quality_groups import groups, judged, last_groups, limit_of, summed
from modelway.plan.monitoring.quality_state import ANSWERED, QualityState, SliceKey, Windows, add, advanced
from modelway.stats.quality import Metric
from modelway.stats.quality_counts import OTHER, QualityCounts
from modelway.stats.quality_figures import figures, metric_of

_ERROR: Final = 0.05
"""Of all intervals together."""


@dataclass(frozen=True, slots=True)
class Sliced:
    """A slice as it stands.

    Attributes:
        name: what predictions are told apart by.
        value: which of them.
        quality: what is asked for, with the slice's own limit.
        figure: the metric over the last groups; None while there are too few labels.
        degraded: whether it is beyond the limit; None before that was found.
    """

    name: str
    value: str
    quality: Quality
    figure: Metric | None
    degraded: bool | None


def taken(
    before: Mapping[SliceKey, QualityState],
    fresh: QualityState,
    told: Mapping[str, tuple[str, QualityCounts]],
    quality: Quality,
    *,
    revision: str,
    oldest: int,
    present: Collection[str],
    first: int,
    now: datetime,
) -> dict[SliceKey, QualityState]:
    """The states of all slices after one more round of readings.

    Args:
        before: the states until then.
        fresh: a state of which nothing is known.
        told: by uid of a pod the epoch of its process and what it counts.
        quality: what is asked for.
        revision: the one whose predictions are judged.
        oldest: age of the labels that count.
        present: uids of pods that are there.
        first: window from which on is remembered.
        now: the moment.
    """
    found = {}
    by_pod = {uid: (epoch, _windows(counts, quality, revision, oldest)) for uid, (epoch, counts) in told.items()}
    for key in _keys(quality):
        of_slice = {uid: (epoch, windows.get(key, {})) for uid, (epoch, windows) in by_pod.items()}
        found[key] = advanced(before.get(key, fresh), of_slice, present=present, first=first)
    enough = sum(next(groups(state, quality, now), None) is not None for state in found.values())
    z = NormalDist().inv_cdf(1.0 - _ERROR / 2 / max(enough, 1))
    return {key: replace(state, degraded=judged(state, _asked(quality, key), now, z=z)) for key, state in found.items()}


def sliced(states: Mapping[SliceKey, QualityState], quality: Quality, now: datetime) -> Iterator[Sliced]:
    """All slices that are asked for, in the order of the spec."""
    return (_sliced(states.get(key), quality, key, now) for key in _keys(quality))


def beyond(states: Mapping[SliceKey, QualityState], quality: Quality, now: datetime) -> list[Sliced]:
    """Those that are beyond their limit."""
    return [
        _sliced(state, quality, key, now)
        for key in _keys(quality)
        if (state := states.get(key)) is not None and state.degraded
    ]


def _sliced(state: QualityState | None, quality: Quality, key: SliceKey, now: datetime) -> Sliced:
    asked, (name, value) = _asked(quality, key), _named(quality, key)
    last = last_groups(state, asked, now) if state is not None else []
    figure = metric_of(summed(last), asked.metric) if last else None
    return Sliced(name, value, asked, figure, state.degraded if state is not None else None)


def status_of(
    states: Mapping[SliceKey, QualityState],
    quality: Quality,
    now: datetime,
    before: QualityStatus | None,
    *,
    hide: bool,
) -> tuple[SliceStatus, ...]:
    """Those that are beyond their limit, with figures that stay as long as they lie within the interval."""
    known = {(one.name, one.value): one for one in before.slices} if before is not None else {}
    found = []
    for one in beyond(states, quality, now)[:MOST_TOLD]:
        name, value = shown(one, quality, hide=hide)
        old = known.get((name, value))
        if one.figure is None:
            figure = old.figure if old is not None else "-"
        elif old is not None and old.figure != "-" and one.figure.low <= float(old.figure) <= one.figure.high:
            figure = old.figure
        else:
            figure = f"{one.figure.value:.3g}"
        found.append(SliceStatus(name=name, value=value, figure=figure))
    return tuple(found)


def shown(one: Sliced, quality: Quality, *, hide: bool) -> tuple[str, str]:
    """Name and value as people may read them."""
    if not hide:
        return one.name, one.value
    place, of = next((place, of) for place, of in enumerate(quality.slices, 1) if of.name == one.name)
    value = one.value if one.value == OTHER else f"value {of.values.index(one.value) + 1}"
    return f"slice {place}", value


def words(one: Sliced, quality: Quality, what: str, *, hide: bool) -> str:
    """That a slice is beyond its limit."""
    name, value = shown(one, quality, hide=hide)
    limit = f"{'max' if one.quality.max is not None else 'min'} {limit_of(one.quality):g}"
    return f'{what} where {name} is "{value}" is beyond its limit, {limit}'


def _keys(quality: Quality) -> Iterator[SliceKey]:
    for place, one in enumerate(quality.slices):
        for value in range(len(one.values) + 1):
            yield place, value


def _named(quality: Quality, key: SliceKey) -> tuple[str, str]:
    of = quality.slices[key[0]]
    return of.name, of.values[key[1]] if key[1] < len(of.values) else OTHER


def _asked(quality: Quality, key: SliceKey) -> Quality:
    """What is asked for of a slice: with its own limit, where it has one."""
    of: Slice = quality.slices[key[0]]
    own = {name: limit for name in ("min", "max") if (limit := getattr(of, name)) is not None}
    return quality.model_copy(update=own)


def _windows(counts: QualityCounts, quality: Quality, revision: str, oldest: int) -> dict[SliceKey, Windows]:
    keys = {_named(quality, key): key for key in _keys(quality)}
    found: dict[SliceKey, dict[int, tuple[int, ...]]] = {}
    for place, labelled in counts.sliced.items():
        key = keys.get((place.name, place.value))
        if key is not None and place.revision == revision and place.age <= oldest:
            numbers = (0,) * ANSWERED + figures(labelled, quality.metric, quality.label or "")
            add(found.setdefault(key, {}), {place.window: numbers})
    return dict(found)
