"""The hard rule: a candidate whose containers end three times by themselves is given up, whatever the counters say.

Restarts that the candidate is not to blame for are left out: a pod that was evicted, deleted or lost with its node is
another pod afterwards, and a container that its node has lost says so. Pure; called by `decide`.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from modelway.api.names import CONTAINER_SERVER, LABEL_REVISION
from modelway.plan.types import Object

MOST_EXITS: Final = 3
"""So many container ends are no accident."""

_NODES_DOING: Final = frozenset({"ContainerStatusUnknown", "Unknown"})
"""What the kubelet says of a container that it finds gone after a restart of the node."""


def count_exits(known: Mapping[str, int], pods: Iterable[Object], revision: str) -> tuple[Mapping[str, int], int]:
    """The containers' ends as they stand now, by the pod's uid, and how many are new.

    A pod that is seen for the first time begins with what it has: those before the candidate had requests are not held
    against it, for then its readiness decides.
    """
    seen, fresh = {}, 0
    for pod in pods:
        metadata = pod["metadata"]
        if metadata.get("labels", {}).get(LABEL_REVISION) != revision or metadata.get("deletionTimestamp"):
            continue
        ends, blamed = _ends(pod)
        before = known.get(metadata["uid"], ends)
        seen[metadata["uid"]] = max(ends, before)
        if blamed:
            fresh += max(0, ends - before)
    return seen, fresh


def _ends(pod: Object) -> tuple[int, bool]:
    """How often the serving container has ended, and whether the last time was its own doing."""
    for container in pod.get("status", {}).get("containerStatuses", ()):
        if container["name"] == CONTAINER_SERVER:
            last = container.get("lastState", {}).get("terminated") or {}
            return int(container.get("restartCount", 0)), last.get("reason") not in _NODES_DOING
    return 0, False
