"""Rollouts that labels decide, on a real cluster: ids through real routers, labels to whichever pod, and back."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hack.demo.kubectl import Kubectl

from support.deployments import Bucket, ask, model_deployment, status_of, wait_until_serving

pytestmark = pytest.mark.timeout(900)

NAME = "labelled"
ROWS = 20
"""Of a request, all of which one revision answers."""
CONFUSED = b"""
def transform(tensors):
    return tensors["X"][:, ::-1].copy()
"""
METADATA = {
    "format": "onnx",
    "transform": {"module": "transform.py"},
    "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}],
}
CHECK = {"name": "right", "feedback": {"metric": "accuracy", "maxDecrease": "10%"}}
QUALITY = {"metric": "accuracy", "min": 0.1, "window": "10s"}


class World:
    """Flowers, and what became of them: as version 1 says, for it is always right."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        self._random = np.random.default_rng(5)
        self._flowers = self._random.uniform(0, 8, (400, 4)).round(1)
        self._truth: list[int] = []

    def learn(self) -> None:
        """While version 1 serves alone."""
        self._truth = []
        for part in np.split(self._flowers, len(self._flowers) // ROWS):
            self._truth += self._answered(part)["outputs"][0]["data"]

    def has_ids(self) -> bool:
        return all(self._answered(self._flowers[:1]).get("id") for _ in range(10))

    def labels_come(self, requests: int = 10) -> None:
        """Predictions, and labels for them through the Service, to whichever pod."""
        for _ in range(requests):
            chosen = self._random.choice(len(self._flowers), ROWS, replace=False)
            identity = self._answered(self._flowers[chosen])["id"]
            labels = [self._truth[one] for one in chosen]
            told = ask(self._kubectl, NAME, f"/v1/models/{NAME}/feedback", {"id": identity, "label": labels})
            assert told["accepted"] == ROWS, told

    def _answered(self, rows: Any) -> dict[str, Any]:
        tensor = {"name": "X", "datatype": "FP32", "shape": list(rows.shape), "data": rows.ravel().tolist()}
        answer: dict[str, Any] = ask(self._kubectl, NAME, f"/v2/models/{NAME}/infer", {"inputs": [tensor]})
        return answer


@pytest.fixture(scope="module")
def world(kubectl: Kubectl, bucket: Bucket, onnx_bytes: bytes) -> World:
    """Version 1 behind routers, with keys for ids; version 2 is as good, and version 3 reads its columns backwards."""
    for version in ("1", "2", "3"):
        bucket.put(f"{NAME}/{version}/model.onnx", onnx_bytes)
    bucket.put(f"{NAME}/3/transform.py", CONFUSED)
    bucket.put(f"{NAME}/3/modelway.json", json.dumps(METADATA).encode())
    resource = model_deployment(NAME, bucket.uri(f"{NAME}/1/"), version="1", code="Trust", replicas=2)
    resource["spec"]["monitoring"] = {"quality": QUALITY}
    resource["spec"]["rollout"] = {"steps": [{"name": "half", "weight": 50}], "checks": [CHECK]}
    kubectl.apply(resource)
    wait_until_serving(kubectl, NAME, version="1")
    world = World(kubectl)
    waited(kubectl, "pods have the key", world.has_ids)
    world.learn()
    return world


def waited(kubectl: Kubectl, what: str, holds: Callable[[], Any], seconds: float = 300) -> Any:
    return kubectl.wait(what, holds, seconds=seconds, show=("get", "mdep", NAME, "--output=yaml"))


def deployed(kubectl: Kubectl, bucket: Bucket, version: str) -> str:
    """Ask for a version; gives its revision once it has half of the requests."""
    model = {"uri": bucket.uri(f"{NAME}/{version}/"), "version": version}
    kubectl.run("patch", "mdep", NAME, "--type=merge", f"--patch={json.dumps({'spec': {'model': model}})}")

    def shares() -> Any:
        status = status_of(kubectl, NAME)
        candidate, live = status.get("candidate", {}), status.get("rollout", {}).get("liveWeight")
        return candidate if candidate.get("version") == version and live == {"min": 50, "max": 50} else None

    revision: str = waited(kubectl, f"version {version} has half of the requests", shares)["revision"]
    return revision


def ended(kubectl: Kubectl, world: World, revision: str) -> dict[str, Any]:
    """Labels come until something became of the revision; gives the entry of the history."""

    def entry() -> Any:
        world.labels_come()
        history = status_of(kubectl, NAME).get("history", ())
        return next((one for one in history if one["revision"] == revision), None)

    found: dict[str, Any] = waited(kubectl, f"it is decided about {revision}", entry)
    return found


def test_without_labels_nothing_is_decided_and_with_good_ones_it_is_promoted(
    kubectl: Kubectl, bucket: Bucket, world: World
) -> None:
    revision = deployed(kubectl, bucket, "2")
    world.has_ids()  # requests of both, without labels
    rollout = waited(
        kubectl,
        "it waits for labels",
        lambda: (
            world.has_ids()
            and (told := status_of(kubectl, NAME)["rollout"]).get("reason") == "NoLabels"
            and "no labels yet of predictions" in told.get("message", "")
            and told
        ),
    )
    assert rollout["state"] == "Holding"
    entry = ended(kubectl, world, revision)
    assert entry["result"] == "Promoted", entry
    wait_until_serving(kubectl, NAME, version="2")


def test_a_version_that_answers_wrongly_without_an_error_is_rolled_back_by_its_labels(
    kubectl: Kubectl, bucket: Bucket, world: World
) -> None:
    revision = deployed(kubectl, bucket, "3")
    entry = ended(kubectl, world, revision)
    assert entry["result"] == "Rejected", entry
    assert "labelled rows" in entry["reason"], entry
    assert "were wrong, of the stable revision's" in entry["reason"], entry
    waited(kubectl, "nobody is asked any more", lambda: "candidate" not in status_of(kubectl, NAME))
    assert status_of(kubectl, NAME)["stable"]["version"] == "2"
