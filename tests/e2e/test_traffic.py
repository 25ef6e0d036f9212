"""Requests through routers: real Envoy pods that the operator made, on the real cluster."""

import json
from math import sqrt
from typing import Any

import numpy as np
import pytest
from hack.demo.kubectl import Kubectl
from hack.demo.load import ClusterLoad

from support.deployments import Bucket, ask, model_deployment, status_of, wait_until_serving

pytestmark = pytest.mark.timeout(900)

NAME = "routed"
ROUTERS = f"modelway.dev/name={NAME},app.kubernetes.io/component=model-router"
TENSOR = {"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}
BODY = {"inputs": [TENSOR]}

GRPC_CLIENT = """
import sys
import grpc
from modelway.server.rpc import inference_pb2 as pb

request = pb.ModelInferRequest(model_name=sys.argv[2])
tensor = request.inputs.add(name="X", datatype="FP32", shape=[1, 4])
tensor.contents.fp32_contents.extend([5.1, 3.5, 1.4, 0.2])
with grpc.insecure_channel(sys.argv[1]) as channel:
    call = channel.unary_unary(
        "/inference.GRPCInferenceService/ModelInfer",
        request_serializer=pb.ModelInferRequest.SerializeToString,
        response_deserializer=pb.ModelInferResponse.FromString,
    )
    versions = {call(request, timeout=10).model_version for _ in range(50)}
print(",".join(sorted(versions)))
"""

SHARE_CLIENT = """
import http.client, json, sys, threading
from collections import Counter

host, path, count, body = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4].encode()
found, users = Counter(), {}
turns = iter(range(count))

def client():
    connection = http.client.HTTPConnection(host, timeout=30)
    for turn in turns:
        user = f"user-{turn % (count // 2)}"
        connection.request("POST", path, body, {"content-type": "application/json", "x-user-id": user})
        answer = connection.getresponse()
        content = answer.read()
        version = json.loads(content)["model_version"] if answer.status == 200 else str(answer.status)
        found[version] += 1
        users.setdefault(user, set()).add(version)

class Turns:
    lock = threading.Lock()
    def __iter__(self):
        return self
    def __next__(self, given=turns):
        with self.lock:
            return next(given)

turns = Turns()
threads = [threading.Thread(target=client) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps({"found": found, "moved": sum(len(versions) > 1 for versions in users.values())}))
"""


@pytest.fixture(scope="module")
def routed(kubectl: Kubectl, bucket: Bucket, onnx_bytes: bytes) -> str:
    """A ModelDeployment at version 1, with the Service alone."""
    for version in ("1", "2", "3"):
        bucket.put(f"routed/{version}/model.onnx", onnx_bytes)
    kubectl.apply(model_deployment(NAME, bucket.uri("routed/1/"), version="1", replicas=2))
    wait_until_serving(kubectl, NAME, version="1")
    return NAME


def patch(kubectl: Kubectl, **spec: Any) -> None:
    kubectl.run("patch", "mdep", NAME, "--type=merge", f"--patch={json.dumps({'spec': spec})}")


def component(kubectl: Kubectl) -> str | None:
    """What the Service leads to."""
    selector: dict[str, str] = kubectl.get("service", NAME)["spec"]["selector"]
    return selector.get("app.kubernetes.io/component")


def leads_to(kubectl: Kubectl, wanted: str) -> None:
    kubectl.wait(
        f"the Service leads to {wanted}",
        lambda: component(kubectl) == wanted,
        seconds=120,
        show=("get", "pods,services", "--output=wide"),
    )


def test_routers_come_and_go_and_a_revision_follows_another_without_a_lost_request(
    kubectl: Kubectl, bucket: Bucket, routed: str, environment: dict[str, str]
) -> None:
    load = ClusterLoad(
        kubectl,
        name="load",
        image=environment["SERVER_IMAGE"],
        url=f"http://{routed}.{kubectl.namespace}/v2/models/{routed}/infer",
        body=BODY,
        rate=60,
        seconds=150,
        count_by="model_version",
    )
    load.started()
    patch(kubectl, traffic={"router": "Envoy"})
    leads_to(kubectl, "model-router")
    assert len(kubectl.list("pods", ROUTERS)) == 2
    patch(kubectl, model={"uri": bucket.uri("routed/2/"), "version": "2"})
    wait_until_serving(kubectl, routed, version="2")
    kubectl.run("delete", "pod", kubectl.list("pods", ROUTERS)[0]["metadata"]["name"], "--wait=false")
    patch(kubectl, traffic={"replicas": 3})
    kubectl.wait(
        "there are three routers",
        lambda: kubectl.get("deployment", f"{routed}-router").get("status", {}).get("readyReplicas") == 3,
        seconds=90,
        show=("get", "pods"),
    )
    patch(kubectl, traffic={"router": "Service"})
    leads_to(kubectl, "model-server")
    kubectl.wait("the routers are gone", lambda: not kubectl.list("pods", ROUTERS), seconds=60, show=("get", "pods"))
    counts = load.finish()
    load.stop()
    assert counts["failed"] == 0, counts
    assert counts["requests"] >= 8000, counts
    assert set(counts["answers"]) == {"1", "2"}, counts


def run_client(kubectl: Kubectl, name: str, image: str, *command: str) -> str:
    """What a Python program prints in a pod of its own."""
    container = {"name": "client", "image": image, "command": ["python3", "-c", *command]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]},
    }
    kubectl.apply(pod)
    kubectl.wait(
        f"{name} has ended",
        lambda: kubectl.get("pod", name)["status"]["phase"] in {"Succeeded", "Failed"},
        seconds=120,
        show=("logs", name),
    )
    told = kubectl.run("logs", name).strip()
    kubectl.run("delete", "pod", name, "--wait=false")
    return told


def test_grpc_and_http_go_through_the_same_routers(
    kubectl: Kubectl, routed: str, environment: dict[str, str], iris: tuple[Any, np.ndarray]
) -> None:
    patch(kubectl, traffic={"router": "Envoy", "replicas": 2})
    leads_to(kubectl, "model-router")
    model, rows = iris
    answer = ask(kubectl, routed, f"/v1/models/{routed}:predict", {"instances": rows.tolist()})
    assert answer["predictions"] == model.predict(rows).tolist()
    address = f"{routed}.{kubectl.namespace}:9000"
    assert run_client(kubectl, "grpc-client", environment["SERVER_IMAGE"], GRPC_CLIENT, address, routed) == "2"


def test_routers_hold_no_token_and_run_restricted(kubectl: Kubectl, routed: str) -> None:
    for pod in kubectl.list("pods", ROUTERS):
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert {next(iter(volume.keys() - {"name"})) for volume in pod["spec"]["volumes"]} == {"configMap"}
        security = pod["spec"]["containers"][0]["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}


REQUESTS = 2000


def interval(weight: int) -> tuple[float, float]:
    """Where the candidate's requests lie in 99.9 % of all cases, if its share is its weight."""
    share = weight / 100
    spread = 3.29 * sqrt(REQUESTS * share * (1 - share)) + 1
    return REQUESTS * share - spread, REQUESTS * share + spread


@pytest.mark.parametrize("sticky", [False, True], ids=["any", "sticky"])
def test_the_share_that_clients_see_is_the_weight(
    kubectl: Kubectl, bucket: Bucket, routed: str, environment: dict[str, str], sticky: bool
) -> None:
    """Three weights, each held by a pause until a human approves; the last one leads to promotion."""
    before = status_of(kubectl, routed)["stable"]["version"]
    version = str(int(before) + 1)
    bucket.put(f"routed/{version}/model.onnx", bucket.get("routed/1/model.onnx"))
    steps: list[dict[str, Any]] = []
    for weight in (5, 25, 50):
        steps += [{"name": f"weight-{weight}", "weight": weight}, {"name": f"pause-{weight}", "pause": {}}]
    patch(
        kubectl,
        traffic={"router": None, "replicas": 2, "sticky": {"header": "x-user-id"} if sticky else None},
        rollout={"steps": steps},
        model={"uri": bucket.uri(f"routed/{version}/"), "version": version},
    )
    for weight in (5, 25, 50):
        kubectl.wait(
            f"{weight} % go to the candidate and the rollout waits",
            lambda weight=weight: _is_held_at(status_of(kubectl, routed), weight),
            seconds=90,
            show=("get", "mdep", routed, "--output=yaml"),
        )
        told = run_client(
            kubectl,
            f"share-{weight}",
            environment["SERVER_IMAGE"],
            SHARE_CLIENT,
            f"{routed}.{kubectl.namespace}",
            f"/v2/models/{routed}/infer",
            str(REQUESTS),
            json.dumps(BODY),
        )
        counts = json.loads(told)
        low, high = interval(weight)
        if sticky:  # each user asks twice, so it is users who are divided
            low, high = low - (high - low) / 4, high + (high - low) / 4
            assert counts["moved"] == 0
        assert counts["found"].keys() <= {before, version}, counts
        assert low <= counts["found"].get(version, 0) <= high, counts
        revision = status_of(kubectl, routed)["candidate"]["revision"]
        approval = f"modelway.dev/approve={revision}/pause-{weight}"
        kubectl.run("annotate", "mdep", routed, approval, "--overwrite")
    if sticky:  # requests of one user depend on each other, so a human has the last word
        kubectl.run("annotate", "mdep", routed, f"modelway.dev/promote={revision}", "--overwrite")
    wait_until_serving(kubectl, routed, version=version)


def _is_held_at(status: dict[str, Any], weight: int) -> bool:
    rollout = status.get("rollout", {})
    return rollout.get("step") == f"pause-{weight}" and rollout.get("liveWeight") == {"min": weight, "max": weight}
