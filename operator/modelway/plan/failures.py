"""What is wrong with a revision's pods, in the words of whoever knows best.

A container that was written for modelway ends with a termination message of the form
`{"reason": "...", "message": "..."}`; everything else is read from what the kubelet and the scheduler say. Pods are
looked at in the order of their names and messages hold no pod's name, so that the same trouble gives the same words.
Called by `plan.plan`. Pure.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from modelway.api.conditions import Reason
from modelway.api.kinds import DEPLOYMENT
from modelway.api.names import CONTAINER_FETCH, LABEL_REVISION
from modelway.api.status import Failure
from modelway.plan.routing.live import is_ready, router_pods
from modelway.plan.types import ChildKey, Object, Refusal

_WAITING: Final = {
    "ImagePullBackOff": Reason.IMAGE_PULL_BACK_OFF,
    "ErrImagePull": Reason.IMAGE_PULL_BACK_OFF,
    "ErrImageNeverPull": Reason.IMAGE_PULL_BACK_OFF,
    "InvalidImageName": Reason.IMAGE_PULL_BACK_OFF,
    "CreateContainerConfigError": Reason.CONTAINER_CANNOT_RUN,
    "CreateContainerError": Reason.CONTAINER_CANNOT_RUN,
    "RunContainerError": Reason.CONTAINER_CANNOT_RUN,
}
_MISSING: Final = re.compile(r"secret|configmap", re.IGNORECASE)
_OVER_QUOTA: Final = re.compile(r"(exceeded|failed) quota|(maximum|minimum) \S+ usage per |limit to request ratio")
"""What the admission of ResourceQuota and of LimitRange say; neither names itself."""
_POD_NAME: Final = re.compile(r'^pods "[^"]*" is ')
_REASON: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
"""What may stand as a condition's and an Event's reason; an image of the user's may say anything."""
_LONGEST: Final = 2000
"""Characters of somebody's words that are passed on."""


def failure_of_refusals(refusals: Mapping[ChildKey, Refusal]) -> Failure | None:
    """The first child that the API server refused, if any. A Gateway API that is missing is told apart, and is none."""
    for key, refusal in sorted(refusals.items(), key=lambda item: (item[0].kind.name, item[0].name)):
        if refusal.reason == Reason.GATEWAY_API_MISSING:
            continue
        return Failure(reason=refusal.reason, message=f"{key.kind.name} {key.name}: {refusal.message}"[:_LONGEST])
    return None


def failure_of_pods(pods: Iterable[Object], revision: str, deployment: Object | None) -> Failure | None:
    """What keeps pods of `revision` from being ready; None when nothing is known to be wrong."""
    mine = [pod for pod in pods if pod["metadata"]["labels"].get(LABEL_REVISION) == revision]
    for pod in sorted(mine, key=lambda pod: str(pod["metadata"]["name"])):
        if pod["metadata"].get("deletionTimestamp") or is_ready(pod):
            continue
        for reason, message in troubles(pod):
            return Failure(reason=reason, message=message[:_LONGEST], revision=revision)
    return _of_deployment(deployment, revision) if deployment is not None else None


def failure_of_routers(pods: Iterable[Object]) -> Failure | None:
    """What keeps routers from being ready; None when nothing is known to be wrong."""
    for pod in sorted(router_pods(pods), key=lambda pod: str(pod["metadata"]["name"])):
        for reason, message in () if is_ready(pod) else troubles(pod):
            return Failure(reason=reason, message=f"router: {message}"[:_LONGEST])
    return None


def digests(pods: Iterable[Object], revision: str) -> dict[str, tuple[str, str]]:
    """What the pods of `revision` have fetched: pod name to (digest, time when the fetch ended)."""
    found = {}
    for pod in pods:
        if pod["metadata"]["labels"].get(LABEL_REVISION) != revision or pod["metadata"].get("deletionTimestamp"):
            continue
        for status in pod.get("status", {}).get("initContainerStatuses", ()):
            ended = status.get("state", {}).get("terminated") or {}
            if status["name"] == CONTAINER_FETCH and ended.get("exitCode") == 0:
                digest = words_of(ended.get("message", "")).get("digest")
                if isinstance(digest, str):
                    found[str(pod["metadata"]["name"])] = (digest, str(ended.get("finishedAt", "")))
    return found


def has_changed_artifact(pods: Iterable[Object], revision: str) -> str | None:
    """What a pod of `revision` says when it found other bytes than those of the pin; None when none did."""
    found = failure_of_pods(pods, revision, None)
    return found.message if found is not None and found.reason == Reason.DIGEST_MISMATCH else None


def troubles(pod: Object) -> Iterator[tuple[str, str]]:
    """What keeps a pod from going on: a reason and a message each, the most telling first."""
    status = pod.get("status", {})
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        if trouble := _of_container(container):
            yield trouble
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            yield Reason.UNSCHEDULABLE, condition.get("message", "no node fits")


def _of_container(container: Object) -> tuple[str, str] | None:
    name, state = container["name"], container.get("state", {})
    waiting = state.get("waiting", {})
    if reason := _WAITING.get(waiting.get("reason", "")):
        said = waiting.get("message") or waiting["reason"]
        if waiting["reason"] == "CreateContainerConfigError" and _MISSING.search(said):
            reason = Reason.SECRET_MISSING
        return reason, f"{name}: {said}"
    ended = state.get("terminated") or container.get("lastState", {}).get("terminated")
    if ended is None or container.get("ready") or (ended.get("exitCode") == 0 and "terminated" in state):
        return None
    if ended.get("reason") == "OOMKilled":
        return (
            Reason.OOM_KILLED,
            f"{name}: used more memory than its limit and was killed; raise resources.limits.memory",
        )
    words = words_of(ended.get("message", ""))
    reason, message = words.get("reason"), words.get("message")
    if isinstance(reason, str) and isinstance(message, str) and _REASON.fullmatch(reason):
        return reason, message
    said = f": {ended['message'].strip()}" if ended.get("message") else ""
    fallback = Reason.FETCH_FAILED if name == CONTAINER_FETCH else Reason.CRASH_LOOP_BACK_OFF
    return fallback, f"{name}: ended with exit code {ended.get('exitCode')}{said}"


def _of_deployment(deployment: Object, revision: str) -> Failure | None:
    for condition in deployment.get("status", {}).get("conditions", ()):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            said = _POD_NAME.sub("", condition.get("message", ""))
            reason = Reason.QUOTA_EXCEEDED if _OVER_QUOTA.search(said) else Reason.CHILD_REFUSED
            message = f"{DEPLOYMENT.name}: pods cannot be made: {said}"
            return Failure(reason=reason, message=message[:_LONGEST], revision=revision)
    return None


def words_of(message: str) -> dict[str, Any]:
    """A termination message as data; empty when it is none of ours."""
    try:
        words = orjson.loads(message)
    except orjson.JSONDecodeError:
        return {}
    return words if isinstance(words, dict) else {}
