"""A model from a bucket to answers, its updates, and what happens when somebody meddles."""

import json
from typing import Any

import numpy as np
import pytest
from hack.demo.kubectl import Kubectl
from hack.demo.load import ClusterLoad

from support.deployments import Bucket, ask, condition, model_deployment, status_of, wait_until_serving


@pytest.fixture(scope="module")
def served(kubectl: Kubectl, bucket: Bucket, onnx_bytes: bytes, iris: tuple[Any, np.ndarray]) -> str:
    """A ModelDeployment `iris` at version 1, with golden requests."""
    model, rows = iris
    golden = [{"instances": rows[:3].tolist(), "predictions": model.predict(rows[:3]).tolist()}]
    for version in ("1", "2"):
        bucket.put(f"iris/{version}/model.onnx", onnx_bytes)
        bucket.put(f"iris/{version}/modelway.json", json.dumps({"format": "onnx", "golden": golden}).encode())
    kubectl.apply(model_deployment("iris", bucket.uri("iris/1/"), version="1", replicas=2))
    wait_until_serving(kubectl, "iris", version="1")
    return "iris"


def test_answers_equal_scikit_learn(kubectl: Kubectl, served: str, iris: tuple[Any, np.ndarray]) -> None:
    model, rows = iris
    answer = ask(kubectl, served, f"/v1/models/{served}:predict", {"instances": rows.tolist()})
    assert answer["predictions"] == model.predict(rows).tolist()


def test_the_open_inference_protocol_answers_too(kubectl: Kubectl, served: str, iris: tuple[Any, np.ndarray]) -> None:
    model, rows = iris
    tensor = {"name": "X", "shape": [2, 4], "datatype": "FP32", "data": rows[[0, 100]].ravel().tolist()}
    answer = ask(kubectl, served, f"/v2/models/{served}/infer", {"inputs": [tensor]})
    assert answer["model_version"] == "1"
    assert answer["outputs"][0]["data"] == model.predict(rows[[0, 100]]).tolist()


def test_the_digest_that_the_pods_found_is_the_pin(kubectl: Kubectl, served: str) -> None:
    digest = status_of(kubectl, served)["stable"]["digest"]
    revision = status_of(kubectl, served)["stable"]["revision"]
    assert digest.startswith("sha256:")
    assert kubectl.get("configmap", f"{served}-{revision}")["data"] == {"digest": digest}


def test_pods_hold_no_token_and_no_credentials(kubectl: Kubectl, served: str) -> None:
    pod = kubectl.list("pods", f"modelway.dev/name={served}")[0]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert not [volume for volume in pod["volumes"] if "projected" in volume or "secret" in volume]
    server = next(container for container in pod["containers"] if container["name"] == "model-server")
    assert "envFrom" not in server
    assert server["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert server["securityContext"]["readOnlyRootFilesystem"] is True


def test_an_update_under_load_loses_no_request(
    kubectl: Kubectl, bucket: Bucket, served: str, environment: dict[str, str]
) -> None:
    tensor = {"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}
    load = ClusterLoad(
        kubectl,
        name="load",
        image=environment["SERVER_IMAGE"],
        url=f"http://{served}.{kubectl.namespace}/v2/models/{served}/infer",
        body={"inputs": [tensor]},
        rate=60,
        seconds=45,
        count_by="model_version",
    )
    load.started()
    patch = {"spec": {"model": {"uri": bucket.uri("iris/2/"), "version": "2"}}}
    kubectl.run("patch", "mdep", served, "--type=merge", f"--patch={json.dumps(patch)}")
    wait_until_serving(kubectl, served, version="2")
    counts = load.finish()
    load.stop()
    assert counts["failed"] == 0, counts
    assert counts["requests"] >= 2000, counts
    assert set(counts["answers"]) == {"1", "2"}, counts


def test_the_old_revision_goes_to_zero_and_is_kept(kubectl: Kubectl, served: str) -> None:
    history = status_of(kubectl, served)["history"]
    assert [entry["result"] for entry in history] == ["Promoted", "Promoted"]
    old = f"{served}-{history[1]['revision']}"
    kubectl.wait(
        "the old revision has no pods",
        lambda: kubectl.get("deployment", old)["spec"]["replicas"] == 0,
        seconds=60,
        show=("get", "deployment", old, "--output=yaml"),
    )
    assert kubectl.get("controllerrevision", old)


def test_a_deleted_service_is_back_and_answers(kubectl: Kubectl, served: str) -> None:
    before = kubectl.get("service", served)["metadata"]["uid"]
    kubectl.run("delete", "service", served)
    kubectl.wait(
        "the Service is back",
        lambda: [
            one for one in kubectl.list("services", f"modelway.dev/name={served}") if _is_new(one, served, before)
        ],
        seconds=30,
        show=("get", "services", "--output=yaml"),
    )
    kubectl.wait("it answers", lambda: _answers(kubectl, served), seconds=30, show=("get", "endpointslices"))


def test_other_bytes_at_the_same_uri_are_refused_and_told(
    kubectl: Kubectl, bucket: Bucket, served: str, onnx_bytes: bytes
) -> None:
    pinned = status_of(kubectl, served)["stable"]["digest"]
    bucket.put("iris/2/README", b"a new file in the folder")
    pods = kubectl.list("pods", f"modelway.dev/name={served}")
    kubectl.run("delete", "pod", pods[0]["metadata"]["name"], "--wait=false")
    kubectl.wait(
        "ArtifactChanged is told",
        lambda: condition(kubectl, served, "ArtifactChanged").get("status") == "True",
        seconds=90,
        show=("get", "mdep", served, "--output=yaml"),
    )
    assert pinned in condition(kubectl, served, "ArtifactChanged")["message"]
    assert condition(kubectl, served, "Ready")["status"] == "True"
    assert _answers(kubectl, served)
    obstore_path = bucket.uri("iris/2/README")
    bucket.remove("iris/2/README")
    wait_until_serving(kubectl, served, version="2")
    kubectl.wait(
        f"the pods are whole again without {obstore_path}",
        lambda: condition(kubectl, served, "ArtifactChanged").get("status") == "False",
        seconds=120,
        show=("get", "mdep", served, "--output=yaml"),
    )


def test_deleting_it_leaves_nothing_behind(kubectl: Kubectl, served: str) -> None:
    kubectl.run("delete", "mdep", served, "--wait", "--timeout=60s")
    kinds = "deployments,services,configmaps,controllerrevisions,networkpolicies,poddisruptionbudgets,hpa,pods"
    kubectl.wait(
        "all children are gone",
        lambda: not kubectl.list(kinds, f"modelway.dev/name={served}"),
        seconds=90,
        show=("get", kinds, "--selector", f"modelway.dev/name={served}"),
    )


def _is_new(obj: dict[str, Any], name: str, before: str) -> bool:
    return bool(obj["metadata"]["name"] == name and obj["metadata"]["uid"] != before)


def _answers(kubectl: Kubectl, name: str) -> bool:
    answer = ask(kubectl, name, f"/v1/models/{name}:predict", {"instances": [[5.1, 3.5, 1.4, 0.2]]})
    return bool(answer["predictions"] == [0])
