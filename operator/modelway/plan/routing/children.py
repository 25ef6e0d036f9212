"""Builders of what the routers consist of, one function a kind. Pure; called by `plan.routing.route`.

Names: `<name>-router`, which no other resource's children can have, but for the kinds of which a resource has one under
its own name; there it is `<name>.router`, which is no name of a resource.
"""

import math
from collections.abc import Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

import orjson

from modelway.api.kinds import CONFIG_MAP, DEPLOYMENT, DISRUPTION_BUDGET, NETWORK_POLICY
from modelway.api.names import (
    COMPONENT_ROUTER,
    CONTAINER_ROUTER,
    LABEL_COMPONENT,
    LABEL_NAME,
    child_labels,
    child_name,
)
from modelway.api.resource import ModelDeployment
from modelway.api.traffic import DEFAULT_ROUTERS, Traffic
from modelway.plan.canonical import digest_of
from modelway.plan.children import owned
from modelway.plan.pods import DRAIN_SECONDS, GRPC_PORT, HTTP_PORT
from modelway.plan.routing.bootstrap import bootstrap
from modelway.plan.routing.clusters import clusters_file
from modelway.plan.routing.envoy import (
    ADMIN_PORT,
    BOOTSTRAP_FILE,
    BOOTSTRAP_IPV4_FILE,
    CLUSTERS_FILE,
    DIRECTORY,
    READY_PATH,
    ROUTES_FILE,
    STATUS_PORT,
)
from modelway.plan.routing.live import Versions
from modelway.plan.routing.routes import routes_file
from modelway.plan.routing.split import Split
from modelway.plan.types import Child, Object, Settings

_SUFFIX: Final = "router"
_ANNOTATION_BOOTSTRAP: Final = "modelway.dev/bootstrap"
"""On the routers' pods: hash of what Envoy has started with."""
_USER: Final = 65532
_CONCURRENCY: Final = 2
"""Worker threads of a router. By itself Envoy takes one for each CPU of the node, and memory for each."""

# Each start of the process is told apart by a word of its own, in all that it tells. `if_inet6` is there where the
# kernel knows IPv6, be there such an address or not.
_START: Final = (
    "read -r MODELWAY_EPOCH </proc/sys/kernel/random/uuid && export MODELWAY_EPOCH"
    f" && if [ -e /proc/net/if_inet6 ]; then file={BOOTSTRAP_FILE}; else file={BOOTSTRAP_IPV4_FILE}; fi"
    f' && exec envoy --config-path "{DIRECTORY}/$file" "$@"'
)
# From now on each answer asks its client to come back on another connection; the old ones go on being answered.
_DRAIN: Final = (
    f"exec 3<>/dev/tcp/127.0.0.1/{ADMIN_PORT}"
    " && printf 'POST /healthcheck/fail HTTP/1.1\\r\\nhost: admin\\r\\nconnection: close\\r\\n\\r\\n' >&3"
    " && cat <&3; exec sleep {seconds}"
)


def router_selector(name: str) -> dict[str, str]:
    """Labels that select the routers' pods of a resource."""
    return {LABEL_NAME: name, LABEL_COMPONENT: COMPONENT_ROUTER}


class _Files(NamedTuple):
    """The files of a split as the ConfigMap holds them, by name, and what a router reports once it has taken them."""

    data: Mapping[str, str]
    versions: Versions


def versions(resource: ModelDeployment, split: Split, settings: Settings) -> Versions:
    """What a router reports once it has taken `split`."""
    return _files_of(resource, split, settings).versions


def router_children(resource: ModelDeployment, split: Split, settings: Settings) -> list[Child]:
    """All that the routers of `resource` consist of, in the order in which it is to be written."""
    return [
        _config_map(resource, _files_of(resource, split, settings)),
        _deployment(resource, split, settings),
        _disruption_budget(resource),
        _network_policy(resource, settings),
    ]


def _files_of(resource: ModelDeployment, split: Split, settings: Settings) -> _Files:
    sticky = resource.spec.traffic.sticky if resource.spec.traffic else None
    header = sticky.header.lower() if sticky else None
    return _files(split.settled, resource.metadata.namespace, settings.cluster_domain, header)


@lru_cache(maxsize=32)  # one look asks for the same split several times
def _files(split: Split, namespace: str, domain: str, sticky_header: str | None) -> _Files:
    clusters = clusters_file(split, namespace=namespace, domain=domain)
    routes = routes_file(split, sticky_header=sticky_header)
    files = {
        BOOTSTRAP_FILE: bootstrap(),
        BOOTSTRAP_IPV4_FILE: bootstrap(ipv4_only=True),
        CLUSTERS_FILE: clusters,
        ROUTES_FILE: routes,
    }
    data = {name: orjson.dumps(file, option=orjson.OPT_INDENT_2).decode() for name, file in files.items()}
    return _Files(MappingProxyType(data), Versions(clusters["version_info"], routes["version_info"]))


def _config_map(resource: ModelDeployment, files: _Files) -> Child:
    name = child_name(resource.metadata.name, _SUFFIX)
    return Child(CONFIG_MAP, owned(resource, CONFIG_MAP, name, data=dict(files.data)))


def _deployment(resource: ModelDeployment, split: Split, settings: Settings) -> Child:
    name, traffic = resource.metadata.name, resource.spec.traffic or Traffic()
    body = owned(
        resource,
        DEPLOYMENT,
        child_name(name, _SUFFIX),
        spec={
            "selector": {"matchLabels": router_selector(name)},
            "template": _template(resource, split, settings),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "revisionHistoryLimit": 0,
            "progressDeadlineSeconds": 2147483647,
            "paused": False,
            "minReadySeconds": 0,
        },
    )
    return Child(DEPLOYMENT, body, replicas=traffic.replicas or DEFAULT_ROUTERS)


def _template(resource: ModelDeployment, split: Split, settings: Settings) -> Object:
    name, extra = resource.metadata.name, resource.spec.serving.pod_template
    drain = DRAIN_SECONDS + math.ceil(max(backend.timeout for backend in split.backends))
    spec: Object = {
        "containers": [_container(settings, drain=drain)],
        "volumes": [{"name": "config", "configMap": {"name": child_name(name, _SUFFIX)}}],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": drain + 10,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": router_selector(name)},
            }
        ],
    }
    if extra is not None and extra.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": secret.name} for secret in extra.image_pull_secrets]
    if extra is not None and extra.priority_class_name:
        spec["priorityClassName"] = extra.priority_class_name
    return {
        "metadata": {
            "labels": child_labels(name) | router_selector(name),
            "annotations": {_ANNOTATION_BOOTSTRAP: _bootstrap_hash()},
        },
        "spec": spec,
    }


@cache
def _bootstrap_hash() -> str:
    return digest_of(bootstrap())[:16]


def _container(settings: Settings, *, drain: int) -> Object:
    arguments = [
        *("--concurrency", str(_CONCURRENCY)),
        *("--drain-strategy", "immediate"),
        *("--log-level", "warning"),
        "--disable-hot-restart",
    ]
    return {
        "name": CONTAINER_ROUTER,
        "image": settings.router_image,
        "imagePullPolicy": settings.server_image_pull_policy,
        "command": ["/bin/sh", "-c", _START, "router"],
        "args": arguments,
        "env": [{"name": "MODELWAY_POD", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.uid"}}}],
        "ports": [
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
            {"name": "status", "containerPort": STATUS_PORT, "protocol": "TCP"},
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": DIRECTORY, "readOnly": True}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "startupProbe": {"httpGet": {"path": READY_PATH, "port": "status"}, "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {"httpGet": {"path": READY_PATH, "port": "status"}, "periodSeconds": 2, "timeoutSeconds": 2},
        "livenessProbe": {"tcpSocket": {"port": "status"}, "periodSeconds": 10, "failureThreshold": 6},
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/bash", "-c", _DRAIN.format(seconds=drain)]}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _disruption_budget(resource: ModelDeployment) -> Child:
    name = resource.metadata.name
    spec = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": router_selector(name)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return Child(DISRUPTION_BUDGET, owned(resource, DISRUPTION_BUDGET, f"{name}.{_SUFFIX}", spec=spec))


def _network_policy(resource: ModelDeployment, settings: Settings) -> Child:
    """Everybody may send requests; the operator alone reads counters."""
    name = resource.metadata.name
    status: Object = {"ports": [{"port": STATUS_PORT, "protocol": "TCP"}]}
    if settings.namespace:
        namespace = {"matchLabels": {"kubernetes.io/metadata.name": settings.namespace}}
        status["from"] = [{"namespaceSelector": namespace}]
    spec = {
        "podSelector": {"matchLabels": router_selector(name)},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"port": port, "protocol": "TCP"} for port in (HTTP_PORT, GRPC_PORT)]}, status],
    }
    return Child(NETWORK_POLICY, owned(resource, NETWORK_POLICY, f"{name}.{_SUFFIX}", spec=spec))
