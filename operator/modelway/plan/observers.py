"""What counts the requests and answers of an image of the user's own: a pod beside those that serve. Pure.

Called by `plan.plan` for the revision that serves. It is a Deployment of its own, not a container in the model's pod or
in the router's: there its crash, its image or a model that cannot be fetched a second time would make the pod unready,
and its CPU would count for the autoscaler (docs/adr/0021). Its pods carry no label of a revision, as those that serve
do, but one that says whom they observe.
"""

from collections.abc import Iterable
from typing import Final

from modelway.api.kinds import DEPLOYMENT, NETWORK_POLICY, SERVICE
from modelway.api.model_source import ModelSource
from modelway.api.names import (
    CONTAINER_OBSERVER,
    LABEL_OBSERVES,
    MODEL_DIRECTORY,
    child_labels,
    observer_name,
    observer_selector,
)
from modelway.api.observing import DEFAULT_REQUEST_PATH, DEFAULT_RESPONSE_PATH, DEFAULT_SHARE, Observe
from modelway.api.pods import Resources
from modelway.api.resource import ModelDeployment
from modelway.plan.children import owned
from modelway.plan.failures import troubles
from modelway.plan.fetching import fetch_container, model_mounts, model_volumes
from modelway.plan.pods import DRAIN_SECONDS, HTTP_PORT
from modelway.plan.restricted import container_security, pod_security
from modelway.plan.revisions import Revision
from modelway.plan.routing.children import router_selector
from modelway.plan.routing.observing import OBSERVER_PORT, READY_PATH
from modelway.plan.types import Child, Object, Settings

_RESOURCES: Final = Resources(requests={"cpu": "100m", "memory": "128Mi"}, limits={"memory": "512Mi"})
_FROM_TEMPLATE: Final = ("serviceAccountName", "imagePullSecrets", "priorityClassName")
"""What the observer's pod has as the model's: it fetches the same model, from the same places."""


def observer_children(
    resource: ModelDeployment, revision: Revision, observe: Observe, settings: Settings
) -> list[Child]:
    """All that the observer of `revision` consists of."""
    return [
        _deployment(resource, revision, observe, settings),
        _service(resource, revision),
        _network_policy(resource, revision, settings),
    ]


def observer_trouble(pods: Iterable[Object], revision: str) -> str:
    """Why there is no observer of `revision` that could be read."""
    mine = [pod for pod in pods if pod["metadata"]["labels"].get(LABEL_OBSERVES) == revision]
    for pod in sorted(mine, key=lambda pod: str(pod["metadata"]["name"])):
        for _, message in troubles(pod):
            return f"the observer is not ready: {message}"
    return "the observer is not ready yet"


def _deployment(resource: ModelDeployment, revision: Revision, observe: Observe, settings: Settings) -> Child:
    name = resource.metadata.name
    body = owned(
        resource,
        DEPLOYMENT,
        observer_name(name, revision.hash),
        spec={
            "selector": {"matchLabels": observer_selector(name, revision.hash)},
            "template": {
                "metadata": {"labels": child_labels(name) | observer_selector(name, revision.hash)},
                "spec": _pod(name, revision, observe, settings),
            },
            # The counts of the one that goes are read to its end.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "revisionHistoryLimit": 0,
            "progressDeadlineSeconds": 2147483647,
            "paused": False,
            "minReadySeconds": 0,
        },
    )
    return Child(DEPLOYMENT, body, replicas=1)


def _pod(name: str, revision: Revision, observe: Observe, settings: Settings) -> Object:
    model = _model(revision)
    spec: Object = {
        "containers": [_container(name, revision, model, observe, settings)],
        "volumes": model_volumes(name, revision.hash, model),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": DRAIN_SECONDS + 10,
    }
    if model is not None:
        spec["initContainers"] = [fetch_container(model, _RESOURCES, settings)]
    theirs = revision.template["spec"]
    return spec | {field: theirs[field] for field in _FROM_TEMPLATE if field in theirs}


def _model(revision: Revision) -> ModelSource | None:
    """The model as it lies at its URI: what its maker says of it lies beside it, converted or not."""
    said = revision.spec.get("model")
    return ModelSource.model_validate(dict(said) | {"convert": None}) if said else None


def _container(
    name: str, revision: Revision, model: ModelSource | None, observe: Observe, settings: Settings
) -> Object:
    arguments = [
        "observe",
        f"--name={name}",
        f"--revision={revision.hash}",
        f"--request-path={DEFAULT_REQUEST_PATH if observe.request_path is None else observe.request_path}",
        f"--response-path={DEFAULT_RESPONSE_PATH if observe.response_path is None else observe.response_path}",
        f"--share={observe.share or DEFAULT_SHARE}",
        f"--port={HTTP_PORT}",
        f"--grpc-port={OBSERVER_PORT}",
        f"--drain={DRAIN_SECONDS}s",
    ]
    if model is not None:
        arguments.append(f"--model-dir={MODEL_DIRECTORY}")
        arguments += [f"--version={model.version}"] if model.version else []
    ready = {"httpGet": {"path": READY_PATH, "port": "http"}}
    return {
        "name": CONTAINER_OBSERVER,
        "image": settings.server_image,
        "imagePullPolicy": settings.server_image_pull_policy,
        "args": arguments,
        "ports": [
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
            {"name": "grpc", "containerPort": OBSERVER_PORT, "protocol": "TCP"},
        ],
        "resources": {"requests": dict(_RESOURCES.requests or {}), "limits": dict(_RESOURCES.limits or {})},
        "volumeMounts": model_mounts(MODEL_DIRECTORY, model),
        "securityContext": container_security(),
        "startupProbe": ready | {"periodSeconds": 1, "failureThreshold": 60, "timeoutSeconds": 2},
        "readinessProbe": ready | {"periodSeconds": 5, "failureThreshold": 3, "timeoutSeconds": 2},
        "livenessProbe": ready | {"periodSeconds": 10, "failureThreshold": 3, "timeoutSeconds": 5},
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _service(resource: ModelDeployment, revision: Revision) -> Child:
    """Resolves to the observer's pod, for the routers."""
    name = resource.metadata.name
    spec = {
        "type": "ClusterIP",
        "clusterIP": "None",
        "selector": observer_selector(name, revision.hash),
        "ports": [{"name": "grpc", "port": OBSERVER_PORT, "protocol": "TCP", "targetPort": "grpc"}],
    }
    return Child(SERVICE, owned(resource, SERVICE, observer_name(name, revision.hash), spec=spec))


def _network_policy(resource: ModelDeployment, revision: Revision, settings: Settings) -> Child:
    """The routers of the same resource show it requests; the operator alone reads counts."""
    name = resource.metadata.name
    counts: Object = {"ports": [{"port": HTTP_PORT, "protocol": "TCP"}]}
    if settings.namespace:
        counts["from"] = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": settings.namespace}}}]
    shown = {
        "ports": [{"port": port, "protocol": "TCP"} for port in (HTTP_PORT, OBSERVER_PORT)],
        "from": [{"podSelector": {"matchLabels": router_selector(name)}}],
    }
    spec = {
        "podSelector": {"matchLabels": observer_selector(name, revision.hash)},
        "policyTypes": ["Ingress"],
        "ingress": [shown, counts],
    }
    return Child(NETWORK_POLICY, owned(resource, NETWORK_POLICY, observer_name(name, revision.hash), spec=spec))
