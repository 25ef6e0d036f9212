"""Objects for tests: a ModelDeployment, its pods and their troubles, in as few words as a test needs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from modelway.api.names import CONTAINER_FETCH, CONTAINER_SERVER, child_labels, child_name, pod_selector
from modelway.api.resource import ModelDeployment
from modelway.plan import Object, Settings
from modelway.plan.routing import router_selector

NAME, NAMESPACE, UID = "fraud", "ml", "11111111-2222-4333-8444-555555555555"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SETTINGS = Settings(server_image="modelway.dev/server:1")
DIGEST = "sha256:" + "1" * 64
OTHER_DIGEST = "sha256:" + "2" * 64


def changed(obj: Mapping[str, Any], fields: Mapping[str, Any]) -> Object:
    """`obj` with `fields` set, each named by its dotted path; None takes a field out. `obj` itself stays as it is."""
    result = dict(obj)
    for path, value in fields.items():
        *way, last = path.split(".")
        inner = result
        for step in way:
            inner[step] = dict(inner.get(step, {}))
            inner = inner[step]
        if value is None:
            inner.pop(last, None)
        else:
            inner[last] = value
    return result


def spec(**fields: Any) -> Object:
    """A valid spec with `fields` changed: `spec(model__version="2")` sets `model.version`."""
    base = {
        "model": {"uri": "s3://models/fraud/1/", "format": "onnx", "digest": DIGEST},
        "serving": {"replicas": 2},
    }
    return changed(base, {path.replace("__", "."): value for path, value in fields.items()})


def stamp(moment: datetime) -> str:
    """A moment in UTC as Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def model_deployment(given: Object | None = None, *, status: Object | None = None, **metadata: Any) -> Object:
    """A ModelDeployment as the API server would give it."""
    return {
        "apiVersion": "modelway.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "uid": UID,
            "generation": 1,
            "resourceVersion": "1",
            **metadata,
        },
        "spec": spec() if given is None else given,
    } | ({"status": status} if status else {})


def parsed(given: Object | None = None, **metadata: Any) -> ModelDeployment:
    """The same, parsed."""
    return ModelDeployment.parse(model_deployment(given, **metadata))


def container(name: str, state: Object, *, last: Object | None = None, ready: bool = False) -> Object:
    """The status of one container of a pod."""
    return {"name": name, "state": state, "lastState": last or {}, "ready": ready}


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def running() -> Object:
    return {"running": {"startedAt": "2026-11-21T12:00:00Z"}}


def ended(code: int, *, reason: str = "", message: str = "", at: str = "2026-11-21T12:00:00Z") -> Object:
    """A container that has ended; `message` is what stands in its termination message."""
    fallback = "Completed" if code == 0 else "Error"
    return {"terminated": {"exitCode": code, "reason": reason or fallback, "message": message, "finishedAt": at}}


def words(**fields: str) -> str:
    """A termination message as the containers of modelway write it."""
    return orjson.dumps(fields).decode()


def fetched(digest: str, *, at: str = "2026-11-21T12:00:00Z") -> Object:
    """The status of the container that has fetched a model with `digest`."""
    return container(CONTAINER_FETCH, ended(0, message=words(digest=digest), at=at), ready=True)


def fetching(state: Object, **more: Any) -> Object:
    """The status of the container that fetches the model."""
    return container(CONTAINER_FETCH, state, **more)


def serving(state: Object, **more: Any) -> Object:
    """The status of the container that serves the model."""
    return container(CONTAINER_SERVER, state, **more)


def pod(
    revision: str,
    *containers: Object,
    name: str = "",
    ready: bool = False,
    conditions: tuple[Object, ...] = (),
    deleted: bool = False,
) -> Object:
    """A pod of `revision`, slim as the store holds it."""
    name = name or f"{child_name(NAME, revision)}-0"
    metadata: Object = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-of-{name}",
        "resourceVersion": "1",
        "creationTimestamp": "2026-11-21T12:00:00Z",
        "labels": child_labels(NAME, revision) | pod_selector(NAME, revision),
    }
    if deleted:
        metadata["deletionTimestamp"] = "2026-11-21T12:00:00Z"
    status = {
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}, *conditions],
        "initContainerStatuses": [one for one in containers if one["name"] == CONTAINER_FETCH],
        "containerStatuses": [one for one in containers if one["name"] != CONTAINER_FETCH],
    }
    return {"metadata": metadata, "status": status}


def router_pod(name: str, labels: Mapping[str, str] | None = None) -> Object:
    """A router's pod that has just been made; with labels, another pod that serves no revision."""
    metadata: Object = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-of-{name}",
        "resourceVersion": "1",
        "creationTimestamp": "2026-11-21T12:00:00Z",
        "labels": child_labels(NAME) | dict(labels or router_selector(NAME)),
    }
    return {"metadata": metadata, "status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]}}


def unschedulable(message: str) -> Object:
    """What the scheduler says of a pod that no node can take."""
    return {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
