"""Requests from outside of the cluster: a real Gateway (Contour and its Envoy), real models behind it."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack.demo.kubectl import Kubectl
from hack.local import gateway

from support.deployments import SMALL, Bucket, condition, wait_until_serving
from support.entrance import PARENT, Client, answers, asking, entrance

__all__ = ["entrance"]

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).resolve().parent.parent.parent
NAME, HOST = "fraud", "fraud.example.com"


@pytest.fixture(scope="module")
def routed(kubectl: Kubectl, bucket: Bucket, onnx_bytes: bytes, entrance: str) -> str:
    """The example of docs/traffic.md, with this test's model and Gateway, through routers."""
    for version in ("1", "2"):
        bucket.put(f"{NAME}/{version}/model.onnx", onnx_bytes)
    (example,) = [one for one in examples() if one["kind"] == "ModelDeployment"]
    assert example["spec"]["traffic"]["hostnames"] == [HOST]
    example["spec"] |= {"model": model_at(bucket, "1"), "serving": {"replicas": 2, "resources": SMALL}}
    example["spec"]["traffic"] |= {"parentRefs": [PARENT], "router": "Envoy"}
    kubectl.apply(example)
    wait_until_serving(kubectl, NAME, version="1")
    wait_for_route(kubectl, "True", "Accepted")
    wait_for_answers(kubectl, entrance, 200)
    return NAME


def examples() -> list[Any]:
    """All objects of the section about Gateways in docs/traffic.md."""
    section = (ROOT / "docs" / "traffic.md").read_text().partition("## From outside")[2].partition("\n## ")[0]
    return [obj for block in re.findall(r"```yaml\n(.*?)```", section, re.DOTALL) for obj in yaml.safe_load_all(block)]


def model_at(bucket: Bucket, version: str) -> dict[str, Any]:
    return {"uri": bucket.uri(f"{NAME}/{version}/"), "version": version, "credentialsSecretRef": {"name": "s3"}}


def patch(kubectl: Kubectl, kind: str, **fields: Any) -> None:
    kubectl.run("patch", kind, NAME, "--type=merge", f"--patch={json.dumps({'spec': fields})}")


def wait_for_route(kubectl: Kubectl, status: str, reason: str) -> str:
    """Wait until RouteAccepted says this; gives its message."""

    def told() -> dict[str, Any] | None:
        found = condition(kubectl, NAME, "RouteAccepted")
        return found if (found.get("status"), found.get("reason")) == (status, reason) else None

    found = kubectl.wait(
        f"RouteAccepted is {status} with {reason}",
        told,
        seconds=120,
        show=("get", "mdep,httproute", NAME, "--output=yaml"),
    )
    return str(found["message"])


def wait_for_answers(kubectl: Kubectl, entrance: str, *statuses: int) -> None:
    """Wait until requests for the host are answered by one of `statuses`; 0: nobody listens."""
    kubectl.wait(
        f"{HOST}: {statuses}",
        lambda: answers(entrance, HOST, *statuses, model=NAME),
        seconds=60,
        show=("get", "httproute", "--output=yaml"),
    )


def test_requests_for_the_host_are_answered_by_the_model_and_others_are_not(
    kubectl: Kubectl, routed: str, entrance: str
) -> None:
    assert Client(entrance, HOST, model=NAME).ask() == (200, "1")
    assert Client(entrance, "other.example.com", model=NAME).ask()[0] == 404
    message = condition(kubectl, routed, "RouteAccepted")["message"]
    assert message == (
        f"requests for {HOST} are led to the Service by Gateway {gateway.NAMESPACED_NAME}, listener http"
    )


def test_the_examples_of_the_docs_are_accepted(kubectl: Kubectl, routed: str) -> None:
    for example in examples():
        example["metadata"].pop("namespace", None)
        kubectl.run("apply", "--dry-run=server", "--validate=strict", "--filename=-", stdin=json.dumps(example))


FILTER = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-theirs"]}}


def test_an_edited_route_is_put_back_and_a_version_follows_another_without_a_lost_request(
    kubectl: Kubectl, bucket: Bucket, routed: str, entrance: str
) -> None:
    before = kubectl.get("httproute", routed)["spec"]
    outcomes: Counter[str] = Counter()
    with asking(entrance, HOST, outcomes, model=NAME):
        patch(kubectl, "httproute", hostnames=[HOST, "theirs.example.com"])
        wait_until_put_back(kubectl, before)
        edited = [before["rules"][0] | {"filters": [FILTER]}]
        patch(kubectl, "httproute", rules=edited)
        wait_until_put_back(kubectl, before)
        patch(kubectl, "mdep", model=model_at(bucket, "2"))
        wait_until_serving(kubectl, routed, version="2")
        kubectl.wait(
            "version 2 answers",
            lambda: Client(entrance, HOST, model=NAME).ask() == (200, "2"),
            seconds=30,
            show=("get", "pods"),
        )
    wait_for_route(kubectl, "True", "Accepted")
    assert outcomes.keys() == {"1", "2"}, outcomes
    assert Client(entrance, "theirs.example.com", model=NAME).ask()[0] == 404


def wait_until_put_back(kubectl: Kubectl, before: Any) -> None:
    kubectl.wait(
        "the route is as it was",
        lambda: kubectl.get("httproute", NAME)["spec"] == before,
        seconds=60,
        show=("get", "httproute", NAME, "--output=yaml"),
    )


def test_a_gateway_that_does_not_exist_or_does_not_take_the_host_is_told_and_the_model_serves(
    kubectl: Kubectl, routed: str, entrance: str
) -> None:
    patch(kubectl, "mdep", traffic={"parentRefs": [PARENT | {"name": "nowhere"}]})
    message = wait_for_route(kubectl, "Unknown", "Pending")
    assert "Gateway modelway-local/nowhere, listener http: no controller has answered yet" in message
    wait_for_answers(kubectl, entrance, 0, 404)

    patch(kubectl, "mdep", traffic={"parentRefs": [PARENT | {"sectionName": "internal"}]})
    message = wait_for_route(kubectl, "False", "NoMatchingListenerHostname")
    assert message.startswith("Gateway modelway-local/local, listener internal: NoMatchingListenerHostname: ")
    assert condition(kubectl, routed, "Ready")["status"] == "True"
    assert condition(kubectl, routed, "Stalled")["status"] == "False"

    patch(kubectl, "mdep", traffic={"parentRefs": [PARENT]})
    wait_for_route(kubectl, "True", "Accepted")
    wait_for_answers(kubectl, entrance, 200)


def test_without_parents_there_is_no_route_and_no_condition(kubectl: Kubectl, routed: str, entrance: str) -> None:
    patch(kubectl, "mdep", traffic=None)
    kubectl.wait(
        "the route is gone",
        lambda: routed not in kubectl.run("get", "httproutes", "--output=name"),
        seconds=60,
        show=("get", "httproutes", "--output=yaml"),
    )
    kubectl.wait(
        "the condition is gone",
        lambda: not condition(kubectl, routed, "RouteAccepted"),
        seconds=60,
        show=("get", "mdep", routed, "--output=yaml"),
    )
    wait_for_answers(kubectl, entrance, 0, 404)
    assert condition(kubectl, routed, "Ready")["status"] == "True"
