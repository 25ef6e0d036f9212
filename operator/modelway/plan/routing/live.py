"""Whether the routers have taken what they were given, and which of their pods the kubelet is to look at again. Pure.

A router's pod carries an annotation that names the files it is to have and the moment when that was written. A reading
counts only when it was taken after that moment: files may come back to what they once were.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from modelway.api.names import ANNOTATION_ROUTING, COMPONENT_ROUTER, LABEL_COMPONENT, LABEL_REVISION
from modelway.plan.measured import SHADOW, Measured, PodKey, RouterReading, Target
from modelway.plan.types import Object, Touch

_AGAIN_AFTER: Final = timedelta(seconds=2)
"""A kubelet that saw the annotation before the files is told once more after this time."""


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


def live(measured: Measured, wanted: Versions, pods: Iterable[Object]) -> bool:
    """Whether every ready router reports `wanted`; without a ready router nothing is live."""
    readings = {reading.pod: reading for reading in measured.routers}
    ready = ready_routers(pods)
    return bool(ready) and all(_has_taken(readings.get(PodKey.of(pod)), wanted, pod) for pod in ready)


def reach(measured: Measured, revision: str, pods: Iterable[Object]) -> int:
    """How many pods of `revision` every ready router has found and holds for well.

    A pod may be ready for a while before a router hears of it by DNS. Until then it gets nothing, and a request for a
    revision of which a router knows no pod fails.
    """
    readings = {reading.pod: reading for reading in measured.routers}
    return min((_found(readings.get(PodKey.of(pod)), revision) for pod in ready_routers(pods)), default=0)


def _found(reading: RouterReading | None, revision: str) -> int:
    """Pods that take requests, and copies of requests where some may be sent."""
    healthy = reading.healthy if reading is not None else {}
    return min((healthy[arm] for arm in (revision, revision + SHADOW) if arm in healthy), default=0)


def targets(pods: Iterable[Object]) -> frozenset[Target]:
    """The routers that can be asked."""
    return frozenset(Target(PodKey.of(pod), pod["status"]["podIP"]) for pod in ready_routers(pods) if _has_address(pod))


def server_targets(pods: Iterable[Object], revisions: Collection[str]) -> frozenset[Target]:
    """The pods of `revisions` that can be asked what they have answered."""
    return frozenset(
        Target(PodKey.of(pod), pod["status"]["podIP"], pod["metadata"]["labels"][LABEL_REVISION])
        for pod in pods
        if pod["metadata"]["labels"].get(LABEL_REVISION) in revisions and is_ready(pod) and _has_address(pod)
    )


def is_ready(pod: Object) -> bool:
    """Whether the pod says that it can answer."""
    conditions = pod.get("status", {}).get("conditions", ())
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def touches(measured: Measured, wanted: Versions, pods: Iterable[Object], now: datetime) -> tuple[Touch, ...]:
    """The pods whose kubelet is to be told of `wanted`: for the first time, or again where that did not help."""
    readings = {reading.pod: reading for reading in measured.routers}
    value = f"{wanted.mark}@{now.astimezone(UTC).isoformat(timespec='milliseconds')}"
    return tuple(
        Touch(PodKey.of(pod), value)
        for pod in router_pods(pods)
        if _is_running(pod) and _is_to_be_told(readings.get(PodKey.of(pod)), wanted, pod)
    )


def _is_to_be_told(reading: RouterReading | None, wanted: Versions, pod: Object) -> bool:
    mark, since = _told(pod)
    if mark != wanted.mark or since is None:
        return True
    late = reading is not None and reading.taken_at - since > _AGAIN_AFTER
    return late and not _has_taken(reading, wanted, pod)


def _has_taken(reading: RouterReading | None, wanted: Versions, pod: Object) -> bool:
    mark, since = _told(pod)
    if reading is None or since is None or mark != wanted.mark or reading.taken_at < since:
        return False
    return Versions(reading.clusters_version, reading.routes_version) == wanted


def _told(pod: Object) -> tuple[str, datetime | None]:
    """What the annotation says; nothing where there is none, or somebody has written something else."""
    mark, _, moment = pod["metadata"].get("annotations", {}).get(ANNOTATION_ROUTING, "").partition("@")
    try:
        since = datetime.fromisoformat(moment)
    except ValueError:
        return "", None
    return (mark, since) if since.tzinfo is not None else ("", None)


def _has_address(pod: Object) -> bool:
    return bool(pod.get("status", {}).get("podIP"))


def _is_running(pod: Object) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Running")
