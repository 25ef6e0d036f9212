"""Rollouts decided by real requests, through real routers, while something else goes wrong."""

import json
from typing import Any

import pytest
from hack.demo.kubectl import Kubectl
from hack.demo.load import ClusterLoad

from support.deployments import Bucket, model_deployment, status_of, wait_until_serving

pytestmark = pytest.mark.timeout(900)

NAME = "decided"
GOOD, UNLUCKY = [5.1, 3.5, 1.4, 0.2], [9.9, 3.5, 1.4, 0.2]
BODIES = [{"instances": [row]} for row in (GOOD, GOOD, GOOD, UNLUCKY)]

FAILS_FOR_SOME = b"""
def transform(tensors):
    if tensors["X"].max() > 9:
        raise KeyError("a country that nobody knows")
    return tensors["X"]
"""
METADATA = {
    "format": "onnx",
    "transform": {"module": "transform.py"},
    "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}],
}
ROLLOUT = {
    "steps": [{"name": "fifth", "weight": 20, "minDuration": "5s"}, {"name": "half", "weight": 50}],
    "checks": [
        {"name": "errors", "errorRate": {"maxIncrease": "5%"}},
        {"name": "answers", "predictions": {"maxShift": "20%"}},
    ],
}


@pytest.fixture(scope="module")
def decided(kubectl: Kubectl, bucket: Bucket, onnx_bytes: bytes) -> str:
    """A ModelDeployment at version 1, behind routers, with steps and checks for what follows."""
    for version in ("1", "2", "3"):
        bucket.put(f"{NAME}/{version}/model.onnx", onnx_bytes)
    bucket.put(f"{NAME}/3/transform.py", FAILS_FOR_SOME)
    bucket.put(f"{NAME}/3/modelway.json", json.dumps(METADATA).encode())
    resource = model_deployment(NAME, bucket.uri(f"{NAME}/1/"), version="1", code="Trust", replicas=2)
    resource["spec"]["rollout"] = ROLLOUT
    kubectl.apply(resource)
    wait_until_serving(kubectl, NAME, version="1")
    return NAME


@pytest.fixture(scope="module")
def load(kubectl: Kubectl, decided: str, environment: dict[str, str]) -> Any:
    load = ClusterLoad(
        kubectl,
        name="load",
        image=environment["SERVER_IMAGE"],
        url=f"http://{decided}.{kubectl.namespace}/v1/models/{decided}:predict",
        bodies=BODIES,
        rate=60,
        seconds=600,
    )
    load.started()
    yield load
    load.stop()


def deploy(kubectl: Kubectl, bucket: Bucket, version: str) -> str:
    """Change the spec to `version`; gives the candidate's revision."""
    model = {"uri": bucket.uri(f"{NAME}/{version}/"), "version": version}
    kubectl.run("patch", "mdep", NAME, "--type=merge", f"--patch={json.dumps({'spec': {'model': model}})}")
    candidate = kubectl.wait(
        f"version {version} is the candidate",
        lambda: (found := status_of(kubectl, NAME).get("candidate", {})).get("version") == version and found,
        seconds=60,
        show=("get", "mdep", NAME, "--output=yaml"),
    )
    revision: str = candidate["revision"]
    return revision


def wait_for_weight(kubectl: Kubectl, weight: int) -> None:
    kubectl.wait(
        f"{weight} % go to the candidate",
        lambda: status_of(kubectl, NAME).get("rollout", {}).get("liveWeight") == {"min": weight, "max": weight},
        seconds=120,
        show=("get", "mdep", NAME, "--output=yaml"),
    )


def wait_for_end(kubectl: Kubectl, revision: str) -> dict[str, Any]:
    """Wait until something became of `revision`; gives the entry of the history."""
    entry: dict[str, Any] = kubectl.wait(
        f"it is decided about {revision}",
        lambda: next((one for one in status_of(kubectl, NAME).get("history", ()) if one["revision"] == revision), None),
        seconds=300,
        show=("get", "mdep", NAME, "--output=yaml"),
    )
    return entry


def test_an_equal_version_is_promoted_though_the_operators_are_killed_and_a_router_goes(
    kubectl: Kubectl, bucket: Bucket, load: ClusterLoad
) -> None:
    before = load.counts()
    revision = deploy(kubectl, bucket, "2")
    wait_for_weight(kubectl, 20)
    operators = ("--selector=app.kubernetes.io/name=modelway", "--namespace=modelway-system")
    kubectl.run("delete", "pods", *operators, "--grace-period=0", "--force", "--wait=false")
    router = kubectl.list("pods", f"modelway.dev/name={NAME},app.kubernetes.io/component=model-router")[0]
    kubectl.run("delete", "pod", router["metadata"]["name"], "--wait=false")
    entry = wait_for_end(kubectl, revision)
    assert entry["result"] == "Promoted", entry
    wait_until_serving(kubectl, NAME, version="2")
    after = load.counts()
    assert after["failed"] == before["failed"] == 0, json.dumps(after)


def test_a_version_that_fails_for_some_requests_is_rolled_back_and_stays_rejected(
    kubectl: Kubectl, bucket: Bucket, load: ClusterLoad
) -> None:
    before = load.counts()
    revision = deploy(kubectl, bucket, "3")
    entry = wait_for_end(kubectl, revision)
    assert entry["result"] == "Rejected", entry
    assert "errors" in entry["reason"], entry
    kubectl.wait(
        "the stable revision has all the weight and the candidate is gone",
        lambda: (status := status_of(kubectl, NAME))["rollout"]["state"] == "Rejected" and "candidate" not in status,
        seconds=120,
        show=("get", "mdep", NAME, "--output=yaml"),
    )
    status = status_of(kubectl, NAME)
    assert status["stable"]["version"] == "2"
    conditions = {one["type"]: one["status"] for one in status["conditions"]}
    assert (conditions["Ready"], conditions["Stalled"], conditions["Reconciling"]) == ("True", "True", "False")
    caused = load.counts()["failed"] - before["failed"]
    sent = load.counts()["requests"] - before["requests"]
    assert 0 < caused <= 0.25 * 0.5 * sent  # a quarter of the requests, for half of the traffic at most
    settled = load.counts()
    kubectl.wait(
        "two hundred requests more",
        lambda: load.counts()["requests"] >= settled["requests"] + 200,
        seconds=60,
        show=("get", "pods"),
    )
    assert load.counts()["failed"] == settled["failed"]
