"""Any image: the Flask and the FastAPI example, built from their own Dockerfiles, behind the same Service.

The FastAPI image brings its own model; the Flask one finds it where modelway mounts it. Both are updated under load.
"""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import yaml
from hack.demo.kubectl import Kubectl
from hack.demo.load import ClusterLoad

from modelway.profiling.profiles import profile
from support.deployments import Bucket, ask, condition, status_of, wait_until_serving

_ROOT = Path(__file__).resolve().parent.parent.parent
_FLOWER = [5.1, 3.5, 1.4, 0.2]
_NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


@pytest.fixture(scope="module")
def images() -> dict[str, str]:
    """Images of the examples, built and loaded."""
    built = {}
    for name in ("flask", "fastapi"):
        done = subprocess.run(
            [sys.executable, "-m", "hack.local", "image", f"examples/{name}", f"modelway.dev/example-{name}"],
            cwd=_ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        built[name] = done.stdout.strip().splitlines()[-1]
    return built


def _example(name: str, image: str) -> dict[str, Any]:
    """The example's own manifest, with the image that was built just now."""
    manifest: dict[str, Any] = yaml.safe_load((_ROOT / "examples" / name / "modeldeployment.yaml").read_text())
    manifest["spec"]["serving"]["container"]["image"] = image
    return manifest


@contextmanager
def _no_request_is_lost(
    kubectl: Kubectl, environment: dict[str, str], name: str, *, seconds: int, least: int
) -> Iterator[None]:
    """Under a load that lasts so long, and is of so many requests at least."""
    load = ClusterLoad(
        kubectl,
        name=f"load-{name}",
        image=environment["SERVER_IMAGE"],
        url=f"http://{name}.{kubectl.namespace}/predict",
        body={"rows": [_FLOWER]},
        rate=40,
        seconds=seconds,
    )
    load.started()
    yield
    counts = load.finish()
    load.stop()
    assert counts["failed"] == 0, counts
    assert counts["requests"] >= least, counts


def _update(kubectl: Kubectl, name: str, update: dict[str, Any]) -> None:
    before = kubectl.get("mdep", name)["status"]["stable"]["revision"]
    kubectl.run("patch", "mdep", name, "--type=merge", f"--patch={json.dumps(update)}")
    kubectl.wait(
        "the new revision serves",
        lambda: kubectl.get("mdep", name)["status"]["stable"]["revision"] != before,
        seconds=120,
        show=("get", "mdep", name, "--output=yaml"),
    )


def _put(bucket: Bucket, folder: str, model: Any) -> str:
    """Upload a model as examples/flask reads it; the folder's URI."""
    stream = io.BytesIO()
    joblib.dump(model, stream)
    bucket.put(f"{folder}model.joblib", stream.getvalue())
    return bucket.uri(folder)


def test_flask_serves_a_fetched_model_and_is_updated_without_a_lost_request(
    kubectl: Kubectl,
    bucket: Bucket,
    environment: dict[str, str],
    images: dict[str, str],
    iris: tuple[Any, np.ndarray],
) -> None:
    model, rows = iris
    folders = {version: _put(bucket, f"flask/{version}/", model) for version in ("1", "2")}
    manifest = _example("flask", images["flask"])
    manifest["spec"]["model"]["uri"] = folders["1"]
    kubectl.apply(manifest)
    wait_until_serving(kubectl, "flask", version="1")
    assert ask(kubectl, "flask", "/predict", {"rows": rows.tolist()})["classes"] == model.predict(rows).tolist()
    assert kubectl.list("hpa", "modelway.dev/name=flask")

    update = {"spec": {"model": {"uri": folders["2"], "version": "2"}}}
    with _no_request_is_lost(kubectl, environment, "flask", seconds=50, least=1500):
        _update(kubectl, "flask", update)


def test_fastapi_brings_its_own_model_and_is_updated_without_a_lost_request(
    kubectl: Kubectl, environment: dict[str, str], images: dict[str, str]
) -> None:
    kubectl.apply(_example("fastapi", images["fastapi"]))
    wait_until_serving(kubectl, "fastapi")
    assert ask(kubectl, "fastapi", "/predict", {"rows": [_FLOWER]}) == {"classes": [0], "version": "1"}

    update = {"spec": {"serving": {"podTemplate": {"env": [{"name": "APP_VERSION", "value": "2"}]}}}}
    with _no_request_is_lost(kubectl, environment, "fastapi", seconds=50, least=1500):
        _update(kubectl, "fastapi", update)
    assert ask(kubectl, "fastapi", "/predict", {"rows": [_FLOWER]})["version"] == "2"


def test_what_flask_is_asked_is_observed_and_a_killed_observer_costs_no_request(
    kubectl: Kubectl,
    bucket: Bucket,
    environment: dict[str, str],
    images: dict[str, str],
    iris: tuple[Any, np.ndarray],
) -> None:
    model, rows = iris
    usual = rows[np.random.default_rng(1).integers(0, len(rows), 5000)]
    folder = _put(bucket, "observed/1/", model)
    reference = profile(dict(zip(_NAMES, usual.T, strict=True))).record()
    bucket.put("observed/1/modelway.json", json.dumps({"featureNames": _NAMES, "reference": reference}).encode())
    manifest = _example("flask", images["flask"])
    manifest["metadata"]["name"] = "observed"
    manifest["spec"]["model"]["uri"] = folder
    manifest["spec"]["traffic"] = {"router": "Envoy"}
    observe = {"requestPath": "/rows/*", "responsePath": "/classes/*"}
    manifest["spec"]["monitoring"] = {"window": "15s", "minRows": 100, "observe": observe}
    kubectl.apply(manifest)
    wait_until_serving(kubectl, "observed", version="1")

    def told(kind: str) -> str:
        return str(condition(kubectl, "observed", kind).get("status"))

    def asked_about(rows: np.ndarray) -> None:
        for part in np.array_split(rows, 12):
            ask(kubectl, "observed", "/predict", {"rows": part.tolist()})

    def waited(what: str, holds: Any) -> None:
        kubectl.wait(what, holds, seconds=240, show=("get", "mdep", "observed", "--output=yaml"))

    def is_quiet() -> bool:
        asked_about(usual[:600])
        return told("DataDrift") == told("DataQualityIssue") == "False"

    waited("the inputs are as usual", is_quiet)
    assert status_of(kubectl, "observed")["monitoring"]["reference"] == {"source": "Model", "features": 4}

    shifted = usual + np.float32([0.0, 0.0, 3.0, 0.0])

    def drifts() -> bool:
        asked_about(shifted[:600])
        return told("DataDrift") == "True"

    waited("DataDrift", drifts)
    assert "petal_length (PSI" in condition(kubectl, "observed", "DataDrift")["message"]
    assert told("Ready") == "True"

    (observer,) = kubectl.list("pods", "modelway.dev/name=observed,app.kubernetes.io/component=model-observer")
    with _no_request_is_lost(kubectl, environment, "observed", seconds=20, least=500):
        kubectl.run("delete", "pod", observer["metadata"]["name"], "--force", "--grace-period=0", "--wait=false")
