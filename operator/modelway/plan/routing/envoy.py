"""What the files of a router share: names, ports, and how Envoy writes an address, a type, a version.

Field names and meanings: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/api.
"""

from typing import Final

from modelway.plan.canonical import digest_of
from modelway.plan.routing.split import Backend
from modelway.plan.types import Object

DIRECTORY: Final = "/etc/envoy"
BOOTSTRAP_FILE: Final = "bootstrap.json"
BOOTSTRAP_IPV4_FILE: Final = "bootstrap-ipv4.json"
"""The same for a node whose kernel knows no IPv6 (`ipv6.disable=1`): there nothing can listen on `::`."""
CLUSTERS_FILE: Final = "clusters.json"
ROUTES_FILE: Final = "routes.json"

STATUS_PORT: Final = 9902
"""Where a router tells whether it is ready and what it has counted, and nothing else."""
ADMIN_PORT: Final = 9901
"""Envoy's own administration, on the pod's loopback only: it can stop the process."""

ROUTES_NAME: Final = "predictions"
READY_PATH: Final = "/ready"
COUNTERS_PATH: Final = "/counters"
EPOCH_HEADER: Final = "x-modelway-epoch"
POD_HEADER: Final = "x-modelway-pod"

GRPC: Final = "-grpc"
"""Ending of the name of the cluster that speaks gRPC; its counters are the same arm's."""

THRESHOLDS: Final = (
    5, 10, 25, 50, 100, 150, 200, 250, 300, 400, 500, 750,
    1_000, 1_500, 2_000, 2_500, 3_000, 5_000, 10_000, 30_000, 60_000,
)  # fmt: skip
"""Milliseconds: the bounds of the histogram of answer times, and so the thresholds that a latency check can have."""

CONNECT_SECONDS: Final = 0.25


def cluster_name(backend: Backend, *, is_grpc: bool, ending: str = "") -> str | None:
    """Name of the cluster of `backend` for a protocol; None where its pods do not speak it."""
    port = backend.grpc_port if is_grpc else backend.http_port
    return None if port is None else backend.revision + ending + (GRPC if is_grpc else "")


def versioned(resources: list[Object]) -> Object:
    """A file that Envoy watches, with the version that it tells back once it has taken the file."""
    return {"version_info": digest_of(resources)[:16], "resources": resources}


def watched(file: str) -> Object:
    """Where such a file is. The folder is watched, because the kubelet changes a link in it and never the file."""
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": f"{DIRECTORY}/{file}", "watched_directory": {"path": DIRECTORY}},
    }


def typed(message: str, /, **fields: object) -> Object:
    """A message of one of Envoy's extensions."""
    return {"@type": f"type.googleapis.com/envoy.{message}", **fields}


def address(host: str, port: int) -> Object:
    """A TCP address."""
    return {"socket_address": {"address": host, "port_value": port}}


def everywhere(port: int, *, ipv4_only: bool) -> Object:
    """All addresses of the pod, of both families by one socket: IPv4, IPv6 and dual-stack clusters need no setting."""
    if ipv4_only:
        return address("0.0.0.0", port)
    return {"socket_address": {"address": "::", "port_value": port, "ipv4_compat": True}}
