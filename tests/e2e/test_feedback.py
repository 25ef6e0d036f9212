"""Labels on a real cluster: ids are signed with a key that the operator made, and labels decide a condition."""

import json
from typing import Any

import numpy as np
import pytest
from hack.demo.kubectl import Kubectl, KubectlError

from support.deployments import Bucket, ask, condition, model_deployment, wait_until_serving

pytestmark = pytest.mark.timeout(600)

NAME = "judged"
FEEDBACK = f"/v1/models/{NAME}/feedback"
ROWS = 50
"""Of a request; as many labels are judged together."""
OPERATOR = "system:serviceaccount:modelway-system:modelway"


@pytest.fixture(scope="module")
def judged(kubectl: Kubectl, bucket: Bucket, onnx_bytes: bytes) -> str:
    """A model that answers with prediction ids."""
    resource = model_deployment(NAME, bucket.put("judged.onnx", onnx_bytes), replicas=2)
    quality = {"metric": "accuracy", "min": 0.9, "minLabels": ROWS, "windows": 2, "window": "10s"}
    quality["slices"] = [{"name": "country", "values": ["DE", "FR"]}]
    resource["spec"]["monitoring"] = {"window": "10s", "quality": quality}
    kubectl.apply(resource)
    wait_until_serving(kubectl, NAME)
    waited(kubectl, "both pods have the key", lambda: all(predicted(kubectl)["id"] for _ in range(20)))
    return NAME


def waited(kubectl: Kubectl, what: str, holds: Any, seconds: float = 180) -> Any:
    return kubectl.wait(what, holds, seconds=seconds, show=("get", "mdep", NAME, "--output=yaml"))


def predicted(kubectl: Kubectl, rows: int = 1) -> dict[str, Any]:
    """The answer's id, empty where it has none, and the labels that were predicted."""
    values = np.random.default_rng(3).uniform(0, 8, (rows, 4)).round(1)
    tensor = {"name": "X", "datatype": "FP32", "shape": [rows, 4], "data": values.ravel().tolist()}
    answer = ask(kubectl, NAME, f"/v2/models/{NAME}/infer", {"inputs": [tensor]})
    return {"id": answer.get("id", ""), "labels": answer["outputs"][0]["data"]}


def labelled(kubectl: Kubectl, *, right: bool, **slices: str) -> None:
    """Predictions whose labels come at once."""
    answer = predicted(kubectl, ROWS)
    labels = [label if right else (label + 1) % 3 for label in answer["labels"]]
    told = ask(kubectl, NAME, FEEDBACK, {"id": answer["id"], "label": labels, "slices": slices})
    assert (told["accepted"], told["unsliced"]) == (ROWS, 0), told


def holds(kubectl: Kubectl, *, right: bool) -> str:
    """What the condition says after some more labels."""
    labelled(kubectl, right=right)
    return str(condition(kubectl, NAME, "PerformanceDegraded").get("status"))


def test_labels_decide_whether_the_model_is_degraded_and_it_stays_ready(kubectl: Kubectl, judged: str) -> None:
    waited(kubectl, "right labels show a good model", lambda: holds(kubectl, right=True) == "False")
    waited(kubectl, "wrong labels show a bad one", lambda: holds(kubectl, right=False) == "True")
    assert "accuracy is beyond its limit" in condition(kubectl, judged, "PerformanceDegraded")["message"]
    assert condition(kubectl, judged, "Ready")["status"] == "True"
    figures = kubectl.get("mdep", judged)["status"]["monitoring"]["quality"]
    assert float(figures["high"]) < 0.9
    waited(kubectl, "it is well again", lambda: holds(kubectl, right=True) == "False")
    events = kubectl.list("events", "")
    assert any(event["reason"] == "BeyondLimit" for event in events)


def test_a_slice_that_is_bad_by_itself_is_named(kubectl: Kubectl, judged: str) -> None:
    def said(*, right: bool) -> str:
        labelled(kubectl, right=True, country="FR")
        labelled(kubectl, right=right, country="DE")
        found = condition(kubectl, judged, "PerformanceDegraded")
        return f"{found.get('status')}: {found.get('message')}"

    waited(kubectl, "it is named", lambda: 'country is "DE" is beyond its limit, min 0.9' in said(right=False))
    quality = kubectl.get("mdep", judged)["status"]["monitoring"]["quality"]
    assert [(one["name"], one["value"]) for one in quality["slices"]] == [("country", "DE")]
    waited(kubectl, "it is well again", lambda: said(right=True).startswith("False: "))


def test_a_label_of_one_pod_is_taken_by_any_and_forged_ones_by_none(kubectl: Kubectl, judged: str) -> None:
    assert judged == NAME
    for _ in range(6):
        answer = predicted(kubectl)
        told = ask(kubectl, NAME, FEEDBACK, [{"id": answer["id"], "label": 1}])
        assert told["accepted"] == 1
        forged = answer["id"][:-6] + ("AAAAAA" if not answer["id"].endswith("AAAAAA") else "BBBBBB")
        assert ask(kubectl, NAME, FEEDBACK, {"id": forged, "label": 1})["forged"] == 1


def test_the_key_is_in_its_secret_and_nowhere_else(kubectl: Kubectl, judged: str) -> None:
    secret = kubectl.get("secret", f"{judged}-feedback-a")
    assert secret["metadata"]["ownerReferences"][0]["kind"] == "ConfigMap"
    key = secret["data"]["key"]
    others = "mdep,configmaps,events,controllerrevisions,deployments,pods"
    everything = kubectl.run("get", others, "--output=json")
    assert json.loads(everything)["items"]
    assert key[:32] not in everything
    assert kubectl.run("auth", "can-i", "create", "secrets", f"--as={OPERATOR}").strip() == "yes"
    for verb in ("get", "list", "watch", "update", "patch", "delete"):
        with pytest.raises(KubectlError):  # the exit code says no
            kubectl.run("auth", "can-i", verb, "secrets", f"--as={OPERATOR}")


def test_without_quality_the_key_goes(kubectl: Kubectl, judged: str) -> None:
    kubectl.run(
        "patch", "mdep", judged, "--type=json", '--patch=[{"op": "remove", "path": "/spec/monitoring/quality"}]'
    )
    waited(kubectl, "nothing of the key is left", lambda: not kubectl.list("secrets", f"modelway.dev/name={judged}"))
    assert condition(kubectl, judged, "PerformanceDegraded") == {}
