"""Whether the routers have taken what they were given, and which of their pods the kubelet is to look at again. Pure.

A router's pod carries an annotation that names the files it is to have, the moment when that was written, and how often
it was: `<clusters>.<routes>@<moment>#<time>`. A reading counts only when it was taken after that moment: files may come
back to what they once were. The moment is that of the write itself, not of the plan: where the API server is slow there
lie seconds between them, in which no router could have taken anything.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from modelway.api.names import ANNOTATION_ROUTING, COMPONENT_ROUTER, LABEL_COMPONENT
from modelway.plan.measured import SHADOW, Measured, PodKey, RouterReading, Target
from modelway.plan.types import Object, Touch

_AGAIN_AFTER: Final = timedelta(seconds=2)
"""A kubelet that saw the annotation before the files is told once more after this time; and after twice as long each
time that did not help, for then it is slow, and more to do makes it no faster."""
_MOST_DOUBLINGS: Final = 4
"""So it is told twice a minute at most. By itself a kubelet looks at files about once in that time."""

_ANNOTATION: Final = re.compile(r"(?P<mark>[^@]+)@(?P<moment>[^#]+)(?:#(?P<time>[1-9][0-9]{0,5}))?")


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of the two files that a router watches: `cds.version_text` and `rds.<name>.version_text` of Envoy."""

    clusters: str
    routes: str

    @property
    def mark(self) -> str:
        """Both as one word."""
        return f"{self.clusters}.{self.routes}"


def router_pods(pods: Iterable[Object]) -> tuple[Object, ...]:
    """Those of `pods` that are routers and are not ending."""
    return tuple(
        pod
        for pod in pods
        if pod["metadata"]["labels"].get(LABEL_COMPONENT) == COMPONENT_ROUTER
        and not pod["metadata"].get("deletionTimestamp")
    )


def ready_routers(pods: Iterable[Object]) -> tuple[Object, ...]:
    """Those that the Service may lead to."""
    return tuple(pod for pod in router_pods(pods) if is_ready(pod))


def working_routers(measured: Measured, pods: Iterable[Object]) -> tuple[Object, ...]:
    """Those that may be sending requests: the ready ones, and others that answer us.

    Clients keep their connections to a router that Kubernetes calls unready, for its node could not report or its probe
    was late; it goes on by whatever it has taken last. One that does not answer is given up.
    """
    return tuple(pod for pod, _ in _working(measured, pods))


def live(measured: Measured, wanted: Versions, pods: Iterable[Object]) -> bool:
    """Whether every working router reports `wanted`; without one nothing is live."""
    working = _working(measured, pods)
    return bool(working) and all(_has_taken(reading, wanted, pod) for pod, reading in working)


def reach(measured: Measured, revision: str, pods: Iterable[Object]) -> int:
    """How many pods of `revision` every working router has found and holds for well.

    A pod may be ready for a while before a router hears of it by DNS. Until then it gets nothing, and a request for a
    revision of which a router knows no pod fails.
    """
    return min((_found(reading, revision) for _, reading in _working(measured, pods)), default=0)


def is_found(measured: Measured, revision: str, pods: Iterable[Object]) -> bool:
    """Whether a request for `revision` finds a pod by whatever router it comes; hoped where no router can be asked."""
    if not measured.routers:
        return bool(measured.unreachable)
    return all(_found(reading, revision) > 0 for _, reading in _working(measured, pods) if reading is not None)


def _working(measured: Measured, pods: Iterable[Object]) -> list[tuple[Object, RouterReading | None]]:
    """The working routers, with what each has told."""
    readings = measured.by_router
    found = ((pod, readings.get(PodKey.of(pod))) for pod in router_pods(pods))
    return [(pod, reading) for pod, reading in found if reading is not None or is_ready(pod)]


def _found(reading: RouterReading | None, revision: str) -> int:
    """Pods that take requests, and copies of requests where some may be sent."""
    healthy = reading.healthy if reading is not None else {}
    return min((healthy[arm] for arm in (revision, revision + SHADOW) if arm in healthy), default=0)


def router_targets(pods: Iterable[Object]) -> frozenset[Target]:
    """The routers that can be asked."""
    running = (pod for pod in router_pods(pods) if _has_address(pod) and (is_ready(pod) or _is_running(pod)))
    return frozenset(Target.of(pod)._replace(is_ready=is_ready(pod)) for pod in running)


def targets(
    pods: Iterable[Object], label: str, revisions: Collection[str], *, ending: bool = False
) -> frozenset[Target]:
    """The pods of `revisions` that can be asked what these were asked and answered.

    Args:
        pods: all of the resource's.
        label: by which they have their revision: our servers serve it, observers observe it.
        revisions: the hashes.
        ending: also those that are about to end, and so no longer ready; they may still have something to tell.
    """
    return frozenset(
        Target.of(pod, pod["metadata"]["labels"][label])
        for pod in pods
        if pod["metadata"]["labels"].get(label) in revisions
        and _has_address(pod)
        and (is_ready(pod) or (ending and pod["metadata"].get("deletionTimestamp")))
    )


def is_ready(pod: Object) -> bool:
    """Whether the pod says that it can answer."""
    conditions = pod.get("status", {}).get("conditions", ())
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def touches(measured: Measured, wanted: Versions, pods: Iterable[Object]) -> tuple[Touch, ...]:
    """The pods whose kubelet is to be told of `wanted`: for the first time, or again where that did not help."""
    readings = measured.by_router
    running = [pod for pod in router_pods(pods) if _is_running(pod)]
    told = ((PodKey.of(pod), _time_to_tell(readings.get(PodKey.of(pod)), wanted, pod)) for pod in running)
    return tuple(Touch(pod, wanted.mark, time) for pod, time in told if time is not None)


def annotation(touch: Touch, now: datetime) -> str:
    """What the annotation is to say when it is written at `now`."""
    return f"{touch.mark}@{now.astimezone(UTC).isoformat(timespec='milliseconds')}#{touch.time}"


def _time_to_tell(reading: RouterReading | None, wanted: Versions, pod: Object) -> int | None:
    """Which time it would be, told of `wanted` now; None when it is not to be told."""
    told = _told(pod)
    if told is None or told.mark != wanted.mark:
        return 1
    patience = _AGAIN_AFTER * 2 ** min(told.time - 1, _MOST_DOUBLINGS)
    is_late = reading is not None and reading.taken_at - told.since > patience
    return told.time + 1 if is_late and not _has_taken(reading, wanted, pod) else None


def _has_taken(reading: RouterReading | None, wanted: Versions, pod: Object) -> bool:
    told = _told(pod)
    if reading is None or told is None or told.mark != wanted.mark or reading.taken_at < told.since:
        return False
    return Versions(reading.clusters_version, reading.routes_version) == wanted


class _Told(NamedTuple):
    """What the annotation of a router's pod says."""

    mark: str
    since: datetime
    time: int


def _told(pod: Object) -> _Told | None:
    """What the annotation says; None where there is none, or somebody has written something else.

    Operators before this one wrote no number: then it was the first time.
    """
    text = pod["metadata"].get("annotations", {}).get(ANNOTATION_ROUTING, "")
    found = _ANNOTATION.fullmatch(text)
    if found is None:
        return None
    try:
        since = datetime.fromisoformat(found["moment"])
    except ValueError:
        return None
    return _Told(found["mark"], since, int(found["time"] or 1)) if since.tzinfo is not None else None


def _has_address(pod: Object) -> bool:
    return bool(pod.get("status", {}).get("podIP"))


def _is_running(pod: Object) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Running")
