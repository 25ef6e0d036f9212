"""What a look makes of the readings: the watch as it is then, and what follows from it.

Called by `plan.plan` when roles are known. Pure. Readings that were counted already change nothing, so a look costs
next to nothing between two rounds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from modelway.api.conditions import Condition, Reason
from modelway.api.kinds import CONFIG_MAP
from modelway.api.monitoring import DEFAULT_WINDOW, Monitoring
from modelway.api.monitoring_quality import Quality
from modelway.api.monitoring_status import MonitoringStatus
from modelway.api.names import LABEL_OBSERVES, LABEL_REVISION, MONITORING_KEY, MONITORING_SUFFIX, child_name
from modelway.api.observing import Observe
from modelway.api.status import Status
from modelway.api.units import seconds, time_of
from modelway.plan.monitoring.keeping import content_of, watch_from
from modelway.plan.monitoring.readings import Served, Watching
from modelway.plan.monitoring.rounds import Round, RouterMark, begun, carried
from modelway.plan.monitoring.telling import Sight, stale_at, status_of, verdicts
from modelway.plan.monitoring.watch import Watch
from modelway.plan.observers import observer_trouble
from modelway.plan.revisions import Revision
from modelway.plan.routing.live import targets
from modelway.plan.types import ChildKey, Happening, Observed, Verdict

_OF_FEATURES: Final = frozenset({Condition.DATA_DRIFT, Condition.DATA_QUALITY_ISSUE})
_TOLD_SECONDS: Final = 60.0
"""What is no transition is written at most this often."""


@dataclass(frozen=True, slots=True)
class Monitored:
    """What follows from the watch.

    Attributes:
        watch: what is to be remembered until the next look.
        verdicts: conditions.
        status: `status.monitoring`.
        watching: whom to read; None: nobody.
        look_again_after: seconds until a condition changes though nothing else has; None: never.
        happenings: conditions that have come, or gone.
        trained_at: when the model that serves was trained, where that is known.
    """

    watch: Watch | None = None
    verdicts: Mapping[Condition, Verdict] = field(default_factory=dict)
    status: MonitoringStatus | None = None
    watching: Watching | None = None
    look_again_after: float | None = None
    happenings: tuple[Happening, ...] = ()
    trained_at: datetime | None = None

    @property
    def is_keyless(self) -> bool:
        """Whether a pod has no key to sign prediction ids with."""
        quality = self.watch.quality if self.watch is not None else None
        return quality is not None and bool(quality.keyless)


def monitor(
    observed: Observed,
    stable: Revision | None,
    wanted: Revision | None,
    *,
    observe: Observe | None,
    routed: bool,
    now: datetime,
) -> Monitored:
    """What is known of the model that serves, and what is to be told of it.

    Args:
        observed: what is seen.
        stable: the revision that serves.
        wanted: that of the spec; None while it is not acted on.
        observe: how the revision that serves is observed; None where it is not.
        routed: whether requests go through routers.
        now: the moment.
    """
    given = observed.resource.spec.monitoring
    if given is None:
        return Monitored()
    before = observed.resource.status
    found = found_watch(observed)
    trained_at = _trained_at(observed, stable, wanted, found)
    is_ours = stable is not None and stable.has_own_server
    is_counted = is_ours or observe is not None
    watch, watching, trouble = None, None, ("", "")
    if stable is not None and (is_counted or (routed and given.slo is not None)):
        quality = given.quality if is_ours else None  # which needs ids that only our server gives
        label = LABEL_REVISION if is_ours else LABEL_OBSERVES
        asked = targets(observed.pods, label, {stable.hash}, ending=True) if is_counted else frozenset()
        if observe is not None:
            trouble = _trouble(observed, stable.hash, is_read=bool(asked))
        watch = _after(observed, stable, found, given, quality, routed=routed)
        if watch is not None and watch.trained_at != trained_at:
            watch = replace(watch, trained_at=trained_at)
        watch = _with_content(watch, found)
        watching = Watching(
            targets=asked,
            every=seconds(given.window or DEFAULT_WINDOW),
            counted=watch.closed_at if watch is not None else None,
            served=given.slo is not None and not routed,
            quality=quality is not None,
        )
    collected = observed.collected
    sight = Sight(
        given=given,
        watch=watch,
        layout=collected.layouts.get(watch.layout) if watch is not None else None,
        before=before,
        now=now,
        trained_at=trained_at,
        observed=is_counted or stable is None,
        labelled=is_ours or stable is None,
        measured=is_ours or routed,
        unreachable=collected.unreachable,
        trouble=trouble,
    )
    status, told = _told(sight)
    if watch is not None and _says_more(before, status, told):
        if watch.told_at is not None and (now - watch.told_at).total_seconds() < _TOLD_SECONDS:
            status, told = before.monitoring or status, told | _standing(before, told)
        else:
            watch = replace(watch, told_at=now)
    until = stale_at(given, trained_at)
    return Monitored(
        watch=watch,
        verdicts=told,
        status=status,
        watching=watching,
        look_again_after=(until - now).total_seconds() if until is not None and until > now else None,
        happenings=_happenings(before, told),
        trained_at=trained_at,
    )


def found_watch(observed: Observed) -> Watch | None:
    """What the last look remembered; after a start, what its written form tells; None when there is none."""
    if observed.watch is not None:
        return observed.watch
    live = observed.children.get(ChildKey(CONFIG_MAP, child_name(observed.resource.metadata.name, MONITORING_SUFFIX)))
    content = (live.get("data") or {}).get(MONITORING_KEY) if live else None
    return watch_from(content) if content is not None else None


def _after(
    observed: Observed,
    stable: Revision,
    found: Watch | None,
    given: Monitoring,
    quality: Quality | None,
    *,
    routed: bool,
) -> Watch | None:
    """The watch after the last round, which may be counted already."""
    of, collected = stable.digest or stable.hash, observed.collected
    watch = found if found is not None and found.of == of else None
    readings = tuple(one for one in collected.readings if one.of.revision == stable.hash)
    if collected.at is None or (watch is not None and collected.at <= watch.closed_at):
        return watch
    round_ = Round(
        collected=replace(collected, readings=readings),
        at=collected.at,
        present={pod["metadata"]["uid"] for pod in observed.pods},
        routers=_routers(observed, stable) if routed else None,
        given=given,
        revision=stable.hash,
        quality=quality,
    )
    if watch is not None:
        return carried(watch, round_)
    if found is not None and collected.at <= found.closed_at:
        return None  # a round of the model before this one
    return begun(of, round_) if readings or not collected.unreachable else None


def _with_content(watch: Watch | None, before: Watch | None) -> Watch | None:
    """The watch with what is to stand in the ConfigMap, which stays as it is while nobody asks anything."""
    if watch is None or watch is before:
        return watch
    is_same_model = before is not None and watch.of == before.of and watch.trained_at == before.trained_at
    if is_same_model and before is not None and watch.written is not None and _is_idle(watch, before):
        return watch
    return replace(watch, written=content_of(watch))


def _is_idle(watch: Watch, before: Watch) -> bool:
    """Whether the last round has found nothing that has to outlive the operator."""
    if watch.closed_at == before.closed_at:
        return True
    window = watch.last
    is_empty = window is None or not (
        window.rows or window.answers or window.refused or window.served.requests or window.gaps
    )
    return is_empty and (watch.marks.keys(), watch.layout) == (before.marks.keys(), before.layout)


def _told(sight: Sight) -> tuple[MonitoringStatus, dict[Condition, Verdict]]:
    status = status_of(sight)
    told = verdicts(sight, status)
    # Which pod it is that cannot be read, and why, may be another each time: that is no news.
    told |= {
        kind: one
        for kind, one in _standing(sight.before, told).items()
        if one[1] == told[kind][1] == Reason.SOURCE_DOWN
    }
    before = sight.before.monitoring
    if before is None or sight.watch is None or sight.layout is not None or not sight.watch.layout:
        return status, told
    # Since the start nobody has told what the features are called: what is said of them goes on standing there.
    kept = {
        kind: one
        for kind, one in _standing(sight.before, told).items()
        if kind in _OF_FEATURES and told[kind][1] != Reason.SOURCE_DOWN
    }
    fields = {name: getattr(before, name) for name in ("reference", "drifted_features", "drifted", "issues")}
    return status.model_copy(update=fields), told | kept


def _standing(before: Status, told: Mapping[Condition, Verdict]) -> dict[Condition, Verdict]:
    """What the conditions say at present."""
    return {
        kind: ({"True": True, "False": False}.get(one.status), one.reason, one.message)
        for one in before.conditions
        for kind in told
        if one.type == kind
    }


def _says_more(before: Status, status: MonitoringStatus, told: Mapping[Condition, Verdict]) -> bool:
    """Whether what is to be told differs from what stands there, and by more than figures does not."""
    old = _standing(before, told)
    is_transition = {kind: one[:2] for kind, one in old.items()} != {kind: one[:2] for kind, one in told.items()}
    return not is_transition and (old != told or before.monitoring != status)


def _trained_at(
    observed: Observed, stable: Revision | None, wanted: Revision | None, found: Watch | None
) -> datetime | None:
    """When the model that serves was trained. The spec tells it of the revision that it asks for."""
    model = observed.resource.spec.model
    said = model.training_time if model is not None else None
    is_of_stable = stable is None or (wanted is not None and wanted.hash == stable.hash)
    return said if is_of_stable or found is None else found.trained_at


def _trouble(observed: Observed, revision: str, *, is_read: bool) -> tuple[str, str]:
    """What is in the way of the observer: of requests, and of answers."""
    if not is_read:
        told = observer_trouble(observed.pods, revision)
        return told, told
    told_by = [one.trouble for one in observed.collected.readings if one.of.revision == revision]
    of_requests, of_answers = (max((trouble[place] for trouble in told_by), default="") for place in (0, 1))
    return of_requests, of_answers or of_requests


def _routers(observed: Observed, stable: Revision) -> tuple[RouterMark, ...]:
    created = {pod["metadata"]["uid"]: time_of(pod["metadata"]["creationTimestamp"]) for pod in observed.pods}
    return tuple(
        RouterMark(
            reading.pod.uid,
            reading.epoch,
            created[reading.pod.uid],
            Served(arm.requests, arm.server_errors, arm.at_most),
        )
        for reading in observed.measured.routers
        if reading.pod.uid in created and (arm := reading.arms.get(stable.hash)) is not None
    )


def _happenings(before: Status, told: Mapping[Condition, Verdict]) -> tuple[Happening, ...]:
    old = {one.type: one.status == "True" for one in before.conditions}
    found = []
    for kind, (holds, reason, message) in told.items():
        if bool(holds) != old.get(kind, False):
            kind_of_event = "Warning" if holds else "Normal"
            words = message if holds else f"{kind} is over: {message}"
            found.append(Happening(type=kind_of_event, reason=str(reason), message=words, action="Watch"))
    return tuple(found)
