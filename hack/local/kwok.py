"""Simulated nodes: kwok answers for their kubelets, so pods get Ready without a container."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .api import Api

STAGES = Path(__file__).resolve().parent / "manifests" / "kwok-stages.yaml"
ANNOTATION = "kwok.x-k8s.io/node"
_LABEL = "type=kwok"


POD_RANGE = "10.128.0.0/9"
"""More addresses than a benchmark has pods; nothing listens on them."""


def command(binary: Path, *, kubeconfig: Path, stages: Path = STAGES, pod_range: str = POD_RANGE) -> list[str]:
    """Only nodes with the annotation are simulated: real ones beside them are left alone."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        f"--config={stages}",
        f"--cidr={pod_range}",
        f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
        "--node-lease-duration-seconds=200",
    ]


def node(name: str, *, taints: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
    """A node far larger than any test needs."""
    capacity = {"cpu": "256", "memory": "1Ti", "pods": "5000", "ephemeral-storage": "1Ti"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {ANNOTATION: "fake", "node.alpha.kubernetes.io/ttl": "0"},
            "labels": {"type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
        },
        "spec": {"taints": list(taints)},
        "status": {"allocatable": capacity, "capacity": capacity},
    }


TAINT = {"key": ANNOTATION, "value": "fake", "effect": "NoSchedule"}


def add_nodes(api: Api, count: int, *, taints: Sequence[dict[str, str]] = ()) -> None:
    """Makes the nodes kwok-0 … kwok-<count-1> where they are missing."""
    for number in range(count):
        api.create("/api/v1/nodes", node(f"kwok-{number}", taints=taints))


def remove_nodes(api: Api) -> None:
    api.delete(f"/api/v1/nodes?labelSelector={_LABEL}")


def count_ready(api: Api) -> int:
    nodes = api.get(f"/api/v1/nodes?labelSelector={_LABEL}")["items"]
    return sum(is_ready(item) for item in nodes)


def is_ready(item: dict[str, Any]) -> bool:
    conditions = item.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
