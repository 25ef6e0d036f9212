"""A monitored model on a real cluster: every row counts once, and what drifts is told by name."""

import json
from typing import Any

import numpy as np
import pytest
from hack.demo.kubectl import Kubectl

from modelway.profiling.profiles import profile
from support.deployments import Bucket, ask, condition, model_deployment, status_of, wait_until_serving

pytestmark = pytest.mark.timeout(600)

NAME = "watched"
NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
WINDOW = 15
ROWS = 480
"""Of a window that is full."""
RECEIVER = """
import http.server, sys

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["content-length"])).decode(), flush=True)
        self.send_response(202)
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("", 8080), Receiver).serve_forever()
"""


@pytest.fixture(scope="module")
def receiver(kubectl: Kubectl, environment: dict[str, str]) -> str:
    """Where events are posted to; its log has one a line."""
    labels = {"app": "receiver"}
    container = {
        "name": "receiver",
        "image": environment["OPERATOR_IMAGE"],
        "command": ["python3", "-c", RECEIVER],
        "readinessProbe": {"tcpSocket": {"port": 8080}},
    }
    metadata = {"name": "receiver", "labels": labels}
    kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}})
    ports = [{"port": 80, "targetPort": 8080}]
    kubectl.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": labels, "ports": ports}}
    )
    kubectl.run("wait", "pod/receiver", "--for=condition=Ready", "--timeout=120s")
    return f"http://receiver.{kubectl.namespace}.svc.cluster.local/events"


@pytest.fixture(scope="module")
def watched(kubectl: Kubectl, bucket: Bucket, onnx_bytes: bytes, usual: np.ndarray, receiver: str) -> str:
    """A model that tells what is usual, and is monitored; its first round of readings is over."""
    described = {
        "format": "onnx",
        "featureNames": NAMES,
        "reference": profile(dict(zip(NAMES, usual.T, strict=True))).record(),
    }
    bucket.put(f"{NAME}/1/model.onnx", onnx_bytes)
    bucket.put(f"{NAME}/1/modelway.json", json.dumps(described).encode())
    resource = model_deployment(NAME, bucket.uri(f"{NAME}/1/"), version="1", replicas=2)
    rhythm = {"seasonality": "HourOfWeek", "timeZone": "Europe/Madrid"}
    resource["spec"]["monitoring"] = {
        "window": f"{WINDOW}s",
        "minRows": 100,
        "slo": {"errorRate": "1%"},
        "reference": rhythm,
        "sink": {"url": receiver},
    }
    kubectl.apply(resource)
    wait_until_serving(kubectl, NAME, version="1")
    waited(kubectl, "the first round is over", lambda: kept(kubectl))
    return NAME


@pytest.fixture(scope="module")
def usual(iris: tuple[Any, np.ndarray]) -> np.ndarray:
    """Rows as they usually are."""
    _, rows = iris
    return rows[np.random.default_rng(1).integers(0, len(rows), 5000)]


def kept(kubectl: Kubectl) -> dict[str, Any]:
    """What the operator keeps of the watch; empty while there is nothing."""
    found = kubectl.list("configmaps", f"modelway.dev/name={NAME}")
    content = next((one["data"]["watch"] for one in found if "watch" in one.get("data", {})), "{}")
    read: dict[str, Any] = json.loads(content)
    return read


def counted(kubectl: Kubectl) -> int:
    """Rows that the operator has counted."""
    return int(kept(kubectl)["totals"][2])


def waited(kubectl: Kubectl, what: str, holds: Any, seconds: float = 120) -> Any:
    return kubectl.wait(what, holds, seconds=seconds, show=("get", "mdep", NAME, "--output=yaml"))


def asked_about(kubectl: Kubectl, rows: np.ndarray) -> None:
    for part in np.array_split(rows, 12):
        ask(kubectl, NAME, f"/v1/models/{NAME}:predict", {"instances": part.tolist()})


def test_every_row_counts_once_although_a_pod_ends_before_its_window_does(
    kubectl: Kubectl, watched: str, usual: np.ndarray
) -> None:
    before = counted(kubectl)
    asked_about(kubectl, usual[:ROWS])
    pods = kubectl.list("pods", f"modelway.dev/name={watched}")
    kubectl.run("delete", "pod", pods[0]["metadata"]["name"], "--wait=false")
    waited(kubectl, "all rows are counted", lambda: counted(kubectl) == before + ROWS)
    wait_until_serving(kubectl, NAME, version="1")
    assert kept(kubectl)["totals"][1] == 0, "a gap"


def test_hours_of_the_week_are_being_learnt_and_kept(kubectl: Kubectl, watched: str) -> None:
    def seasonality() -> Any:
        return status_of(kubectl, watched)["monitoring"].get("reference", {}).get("seasonality")

    told = waited(kubectl, "seasonality is told", seasonality)
    assert (told["state"], told["features"]) == ("Learning", 0)
    season = kept(kubectl)["inputs"]["season"]
    assert (season["clock"], len(season["places"])) == ("Europe/Madrid", len(NAMES))


def test_a_shifted_feature_is_told_by_its_name_and_the_model_stays_ready(
    kubectl: Kubectl, watched: str, usual: np.ndarray
) -> None:
    shifted = usual + np.float32([0.0, 0.0, 3.0, 0.0])

    def drifts() -> bool:
        start = counted(kubectl) % 4000
        asked_about(kubectl, shifted[start : start + ROWS])
        return bool(condition(kubectl, watched, "DataDrift").get("status") == "True")

    waited(kubectl, "DataDrift", drifts, seconds=200)
    told = status_of(kubectl, watched)
    assert [one["name"] for one in told["monitoring"]["drifted"]] == ["petal_length"]
    assert "petal_length (PSI" in condition(kubectl, watched, "DataDrift")["message"]
    assert condition(kubectl, watched, "Ready")["status"] == "True"
    assert condition(kubectl, watched, "Degraded")["status"] == "False"


def test_what_has_changed_was_posted_to_the_sink(kubectl: Kubectl, watched: str) -> None:
    """After the test above."""

    def posted() -> list[dict[str, Any]]:
        return [json.loads(line) for line in kubectl.run("logs", "receiver").splitlines()]

    def told() -> list[dict[str, Any]]:
        return [event for event in posted() if (event["subject"], event["data"]["status"]) == ("DataDrift", "True")]

    [event] = waited(kubectl, "DataDrift is posted", told)
    assert event["type"] == "dev.modelway.condition.changed.v1"
    assert event["source"].endswith(f"/namespaces/{kubectl.namespace}/modeldeployments/{watched}")
    assert "petal_length (PSI" in event["data"]["message"]
    events = posted()
    assert next(one for one in events if one["subject"] == "DataDrift")["data"]["status"] != "True"
    assert len({one["id"] for one in events}) == len(events)


def test_what_is_no_longer_monitored_leaves_nothing(kubectl: Kubectl, watched: str) -> None:
    kubectl.run("patch", "mdep", watched, "--type=json", '--patch=[{"op": "remove", "path": "/spec/monitoring"}]')
    waited(kubectl, "the conditions are gone", lambda: not condition(kubectl, watched, "DataDrift"))
    waited(kubectl, "what was kept is gone", lambda: not kept(kubectl))
