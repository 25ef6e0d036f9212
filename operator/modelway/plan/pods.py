"""The pod template of a revision. Called once in a revision's life, when it is first seen. Pure.

Pods are locked down by default (`restricted`), without an API token. What loosens that is said in the resource and
nowhere else. Credentials reach the container that fetches the model and no other (`fetching`).
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from modelway.api.model_source import FULL_FORMATS, ModelSource
from modelway.api.monitoring_quality import DEFAULT_QUALITY_WINDOW
from modelway.api.names import (
    CONTAINER_SERVER,
    FEEDBACK_DIRECTORY,
    FEEDBACK_KEY,
    FEEDBACK_SLOTS,
    MODEL_DIRECTORY,
    child_labels,
    feedback_name,
    pod_selector,
)
from modelway.api.pods import ContainerSecurity, PodTemplate
from modelway.api.serving import Container, Serving
from modelway.api.spec import Spec
from modelway.api.units import quantity_value, seconds
from modelway.plan.canonical import dumped, given
from modelway.plan.fetching import fetch_container, loading_arguments, model_mounts, model_volumes
from modelway.plan.restricted import container_security, default_resources, pod_security
from modelway.plan.types import Object, Settings

HTTP_PORT: Final = 8080
GRPC_PORT: Final = 9000
DRAIN_SECONDS: Final = 10
"""How long a pod that is to end goes on answering, so that nobody is sent to it any more when it stops: longer than
endpoints, kube-proxy and DNS take to forget it."""

_SERVICE_PORTS: Final = {"http": 80, "grpc": 9000}
DEFAULT_TIMEOUT: Final = "5s"
DEFAULT_STARTUP_TIMEOUT: Final = "10m"
_THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def pod_template(name: str, revision: str, spec: Spec, settings: Settings) -> Object:
    """The pod template of `revision`, complete, as it is stored and applied.

    Args:
        name: of the ModelDeployment.
        revision: hash; enters labels and environment.
        spec: of the resource; only its resolved part is read.
        settings: images of this installation.
    """
    serving, extra = spec.serving, spec.serving.pod_template or PodTemplate()
    labels = dict(extra.labels or {}) | child_labels(name, revision) | pod_selector(name, revision)
    annotations = dict(extra.annotations or {}) | {"kubectl.kubernetes.io/default-container": CONTAINER_SERVER}
    return {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": given(
            initContainers=[fetch_container(spec.model, serving.resources, settings)] if spec.model else None,
            containers=[_serving_container(name, revision, spec, settings)],
            volumes=model_volumes(name, revision, spec.model) + _keys_volumes(name, spec),
            automountServiceAccountToken=False,
            enableServiceLinks=False,
            serviceAccountName=serving.service_account_name,
            securityContext=pod_security(_loosened(serving.container)),
            terminationGracePeriodSeconds=_grace(serving),
            topologySpreadConstraints=[_spread(name, revision)],
            nodeSelector=dict(extra.node_selector or {}) or None,
            tolerations=dumped(extra.tolerations),
            affinity=extra.affinity,
            priorityClassName=extra.priority_class_name,
            imagePullSecrets=dumped(extra.image_pull_secrets),
        ),
    }


def service_ports(template: Mapping[str, Any]) -> list[Object]:
    """Ports of a Service that leads to pods of `template`: `http` 80 and `grpc` 9000, or what a foreign image has."""
    ports = []
    for name in named_ports(template):
        port = {"name": name, "port": _SERVICE_PORTS[name], "protocol": "TCP", "targetPort": name}
        ports.append(port | {"appProtocol": "kubernetes.io/h2c"} if name == "grpc" else port)
    return ports


def pod_ports(template: Mapping[str, Any]) -> list[int]:
    """The ports that pods of `template` listen on."""
    return list(named_ports(template).values())


def named_ports(template: Mapping[str, Any]) -> dict[str, int]:
    """The ports that pods of `template` listen on, by name: `http`, `grpc` or both."""
    ports = template["spec"]["containers"][0]["ports"]
    return {port["name"]: int(port["containerPort"]) for port in ports}


def _port_name(foreign: Container | None) -> str:
    return "grpc" if foreign is not None and foreign.protocol == "GRPC" else "http"


def _serving_container(name: str, revision: str, spec: Spec, settings: Settings) -> Object:
    serving, foreign = spec.serving, spec.serving.container
    extra = serving.pod_template or PodTemplate()
    resources = default_resources(serving.resources)
    environment = _environment(name, revision, spec, threads=_threads(resources, workers=serving.workers or 1))
    theirs = {variable.name for variable in extra.env}
    return given(
        name=CONTAINER_SERVER,
        image=foreign.image if foreign else _server_image(serving, spec.model, settings),
        imagePullPolicy=foreign.image_pull_policy if foreign else settings.server_image_pull_policy,
        command=list(foreign.command) or None if foreign else None,
        args=(list(foreign.args) or None) if foreign else _serve_arguments(name, spec),
        ports=[{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in _listening(foreign).items()],
        env=[variable for variable in environment if variable["name"] not in theirs] + (dumped(extra.env) or []),
        resources=resources,
        volumeMounts=model_mounts(_model_path(foreign), spec.model) + _keys_mounts(spec),
        securityContext=container_security(_loosened(foreign)),
        terminationMessagePolicy="FallbackToLogsOnError",
        **_probes(serving),
        # The built-in server drains by itself at SIGTERM; a foreign one is told late enough.
        lifecycle={"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}} if foreign else None,
    )


def _server_image(serving: Serving, model: ModelSource | None, settings: Settings) -> str:
    needs_all = model is not None and model.format in FULL_FORMATS and not model.convert
    is_full = serving.runtime == "modelway-full" or (serving.runtime is None and needs_all)
    return (settings.server_full_image if is_full else "") or settings.server_image


def _listening(foreign: Container | None) -> dict[str, int]:
    """What the serving container listens on, by the name of the port."""
    if foreign is None:
        return {"http": HTTP_PORT, "grpc": GRPC_PORT}
    return {_port_name(foreign): foreign.port}


def _serve_arguments(name: str, spec: Spec) -> list[str]:
    model = spec.model
    arguments = [
        "serve",
        f"--name={name}",
        f"--model-dir={MODEL_DIRECTORY}",
        f"--port={HTTP_PORT}",
        f"--grpc-port={GRPC_PORT}",
    ]
    arguments += [f"--timeout={spec.serving.timeout or DEFAULT_TIMEOUT}", f"--drain={DRAIN_SECONDS}s"]
    if spec.serving.workers:
        arguments.append(f"--workers={spec.serving.workers}")
    if (quality := spec.quality) is not None:
        arguments.append(f"--feedback-keys={FEEDBACK_DIRECTORY}")
        arguments.append(f"--feedback-window={quality.window or DEFAULT_QUALITY_WINDOW}")
        if quality.slices:
            slices = {one.name: sorted(one.values) for one in quality.slices}
            # Kubernetes replaces $(NAME) in arguments by variables; JSON can say a dollar otherwise.
            arguments.append("--feedback-slices=" + json.dumps(slices, sort_keys=True).replace("$", "\\u0024"))
    if model is None:
        return arguments
    if model.version:
        arguments.append(f"--version={model.version}")
    return [*arguments, *loading_arguments(model)]


def _environment(name: str, revision: str, spec: Spec, *, threads: int) -> list[Object]:
    values = {"MODELWAY_MODEL_NAME": name, "MODELWAY_REVISION": revision, "MODELWAY_THREADS": str(threads)}
    if spec.model is not None:
        values["MODELWAY_MODEL_DIR"] = _model_path(spec.serving.container)
        if spec.model.version:
            values["MODELWAY_MODEL_VERSION"] = spec.model.version
    values |= dict.fromkeys(_THREAD_VARIABLES, str(threads))
    return [{"name": key, "value": value} for key, value in values.items()]


def _keys_volumes(name: str, spec: Spec) -> list[Object]:
    """The keys for prediction ids: of both places, for which of them has one changes with time."""
    if spec.quality is None:
        return []
    sources = [
        {
            "secret": {
                "name": feedback_name(name, slot),
                "items": [{"key": FEEDBACK_KEY, "path": slot}],
                "optional": True,
            }
        }
        for slot in FEEDBACK_SLOTS
    ]
    return [{"name": "feedback", "projected": {"sources": sources}}]


def _keys_mounts(spec: Spec) -> list[Object]:
    if spec.quality is None:
        return []
    return [{"name": "feedback", "mountPath": FEEDBACK_DIRECTORY, "readOnly": True}]


def _probes(serving: Serving) -> Object:
    startup = math.ceil(seconds(serving.startup_timeout or DEFAULT_STARTUP_TIMEOUT))
    foreign = serving.container
    if foreign is None:
        ready: Object = {"httpGet": {"path": "/v2/health/ready", "port": "http"}}
        alive: Object = {"httpGet": {"path": "/v2/health/live", "port": "http"}}
    else:
        port = _port_name(foreign)
        alive = {"tcpSocket": {"port": port}}
        ready = alive
        if foreign.probe is not None and foreign.probe.path is not None:
            ready = {"httpGet": {"path": foreign.probe.path, "port": port}}
        elif foreign.protocol == "GRPC":
            ready = {"grpc": {"port": foreign.port}}
    return {
        "startupProbe": ready | {"periodSeconds": 1, "failureThreshold": startup, "timeoutSeconds": 2},
        "readinessProbe": ready | {"periodSeconds": 5, "failureThreshold": 3, "timeoutSeconds": 2},
        "livenessProbe": alive | {"periodSeconds": 10, "failureThreshold": 6, "timeoutSeconds": 5},
    }


def _loosened(foreign: Container | None) -> ContainerSecurity | None:
    return foreign.security_context if foreign else None


def _spread(name: str, revision: str) -> Object:
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": pod_selector(name, revision)},
    }


def _model_path(foreign: Container | None) -> str:
    return foreign.model_path if foreign and foreign.model_path else MODEL_DIRECTORY


def _grace(serving: Serving) -> int:
    return DRAIN_SECONDS + math.ceil(seconds(serving.timeout or DEFAULT_TIMEOUT)) + 10


def _threads(resources: Object, *, workers: int) -> int:
    """Threads that numeric libraries may use in one process: its share of the CPU limit, else of what is reserved."""
    cores = quantity_value(resources["limits"].get("cpu", resources["requests"]["cpu"]))
    return max(1, math.ceil(cores / workers))
