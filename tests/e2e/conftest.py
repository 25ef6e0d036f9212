"""End-to-end tests run on the real cluster that `make cluster images install` leaves: real pods, real S3, real requests.

Each module has a namespace of its own, which is deleted at the end. Nothing here starts or stops the cluster.
"""

import os
import pickle
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hack.demo.kubectl import Kubectl
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from support.deployments import Bucket

_ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """What `make cluster images` has left in `.local/`: images, and the S3 server's address and keys."""
    values: dict[str, str] = {}
    for name in ("images.env", "s3.env"):
        file = _ROOT / ".local" / name
        assert file.exists(), f"{file} is missing: run `make cluster images install` first"
        values |= dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    return values


@pytest.fixture(scope="module")
def kubectl(environment: dict[str, str]) -> Iterator[Kubectl]:
    """A namespace of its own, with the Secret `s3`."""
    kubectl = Kubectl(f"e2e-{uuid.uuid4().hex[:8]}")
    kubectl.run("create", "namespace", kubectl.namespace)
    keys = {name: environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")}
    keys["AWS_ENDPOINT_URL"] = environment["S3_ENDPOINT_IN_CLUSTER"]
    kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"}, "stringData": keys})
    yield kubectl
    kubectl.run("delete", "namespace", kubectl.namespace, "--wait=false")


@pytest.fixture(scope="module")
def bucket(environment: dict[str, str]) -> Iterator[Bucket]:
    bucket = Bucket(environment, f"e2e-{os.getpid()}-{uuid.uuid4().hex[:6]}")
    yield bucket
    bucket.clear()


@pytest.fixture(scope="session")
def iris() -> tuple[Any, np.ndarray]:
    """A model trained on the spot, and its rows."""
    rows, labels = load_iris(return_X_y=True)
    rows = rows.astype(np.float32)
    return LogisticRegression(max_iter=1000).fit(rows, labels), rows


@pytest.fixture(scope="session")
def onnx_bytes(iris: tuple[Any, np.ndarray]) -> bytes:
    model, rows = iris
    onnx = to_onnx(model, rows[:1], options={"zipmap": False})
    del onnx.graph.output[1:]  # the labels alone, as scikit-learn's predict gives them
    content: bytes = onnx.SerializeToString()
    return content


@pytest.fixture(scope="session")
def pickle_bytes(iris: tuple[Any, np.ndarray]) -> bytes:
    return pickle.dumps(iris[0])


@pytest.fixture(scope="session")
def joblib_bytes(iris: tuple[Any, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("joblib") / "model.joblib"
    joblib.dump(iris[0], path, compress=3)
    return path.read_bytes()
