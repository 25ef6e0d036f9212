"""What can go wrong with a model only when it is fetched and loaded: each has a reason, a message, and no traffic."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hack.demo.kubectl import Kubectl

from support.deployments import Bucket, ask, condition, model_deployment, wait_for_failure, wait_until_serving

Prepare = Callable[[Bucket, bytes], dict[str, Any]]


class _Evil:
    """A pickle that would run a command."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.system, ("touch /tmp/owned",)


def _no_such_bucket(bucket: Bucket, onnx: bytes) -> dict[str, Any]:
    return {"uri": "s3://no-such-bucket/iris/"}


def _no_such_key(bucket: Bucket, onnx: bytes) -> dict[str, Any]:
    return {"uri": bucket.uri("nothing-here/")}


def _wrong_credentials(bucket: Bucket, onnx: bytes) -> dict[str, Any]:
    return {"uri": bucket.put("credentials/model.onnx", onnx), "credentialsSecretRef": {"name": "wrong"}}


def _missing_secret(bucket: Bucket, onnx: bytes) -> dict[str, Any]:
    return {"uri": bucket.put("secret/model.onnx", onnx), "credentialsSecretRef": {"name": "not-there"}}


def _wrong_digest(bucket: Bucket, onnx: bytes) -> dict[str, Any]:
    return {"uri": bucket.put("digest/model.onnx", onnx), "digest": "sha256:" + "0" * 64}


def _truncated_onnx(bucket: Bucket, onnx: bytes) -> dict[str, Any]:
    return {"uri": bucket.put("truncated/model.onnx", onnx[: len(onnx) // 2])}


def _evil_pickle(bucket: Bucket, onnx: bytes) -> dict[str, Any]:
    return {"uri": bucket.put("evil/model.pkl", pickle.dumps(_Evil())), "code": "AllowList"}


def _wrong_golden(bucket: Bucket, onnx: bytes) -> dict[str, Any]:
    bucket.put("golden/model.onnx", onnx)
    bucket.put("golden/modelway.json", b'{"golden": [{"instances": [[5.1, 3.5, 1.4, 0.2]], "predictions": [2]}]}')
    return {"uri": bucket.uri("golden/")}


@pytest.mark.parametrize(
    ("prepare", "reason", "told"),
    [
        pytest.param(_no_such_bucket, "BucketNotFound", "no-such-bucket", id="no-such-bucket"),
        pytest.param(_no_such_key, "ArtifactNotFound", "nothing-here", id="no-such-key"),
        pytest.param(_wrong_credentials, "AccessDenied", "s3://models/", id="wrong-credentials"),
        pytest.param(_missing_secret, "SecretMissing", "not-there", id="missing-secret"),
        pytest.param(_wrong_digest, "DigestMismatch", "sha256:0000", id="digest-mismatch"),
        pytest.param(_truncated_onnx, "ModelLoadFailed", "model.onnx", id="truncated-onnx"),
        pytest.param(_evil_pickle, "ForbiddenGlobal", "system", id="evil-pickle"),
        pytest.param(_wrong_golden, "GoldenRequestFailed", "golden", id="golden-request"),
    ],
)
def test_the_true_cause_stands_in_the_status(
    kubectl: Kubectl, bucket: Bucket, onnx_bytes: bytes, prepare: Prepare, reason: str, told: str
) -> None:
    wrong = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "hunter2-hunter2"}
    endpoint = kubectl.run("get", "secret", "s3", "--output=jsonpath={.data.AWS_ENDPOINT_URL}")
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "wrong"},
            "stringData": wrong,
            "data": {"AWS_ENDPOINT_URL": endpoint},
        }
    )
    name = reason.lower()[:40]
    model = prepare(bucket, onnx_bytes)
    kubectl.apply(model_deployment(name, model.pop("uri"), **model))
    failure = wait_for_failure(kubectl, name, reason)
    assert told in failure["message"]
    assert "hunter2" not in failure["message"]
    assert condition(kubectl, name, "Ready")["status"] == "False"
    stalled = condition(kubectl, name, "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", reason)
    kubectl.run("delete", "mdep", name, "--wait=false")


@pytest.mark.parametrize("form", ["pickle", "joblib"])
def test_a_scikit_learn_model_loads_through_the_allow_list(
    kubectl: Kubectl, bucket: Bucket, iris: tuple[Any, np.ndarray], form: str, request: pytest.FixtureRequest
) -> None:
    model, rows = iris
    suffix = {"pickle": "pkl", "joblib": "joblib"}[form]
    uri = bucket.put(f"{form}/model.{suffix}", request.getfixturevalue(f"{form}_bytes"))
    kubectl.apply(model_deployment(form, uri, code="AllowList"))
    wait_until_serving(kubectl, form)
    answer = ask(kubectl, form, f"/v1/models/{form}:predict", {"instances": rows.tolist()})
    assert answer["predictions"] == model.predict(rows).tolist()
    kubectl.run("delete", "mdep", form, "--wait=false")


def test_a_candidate_that_fails_leaves_the_old_revision_serving(
    kubectl: Kubectl, bucket: Bucket, onnx_bytes: bytes
) -> None:
    good = bucket.put("fallback/1/model.onnx", onnx_bytes)
    bad = bucket.put("fallback/2/model.onnx", b"these are no ONNX bytes")
    kubectl.apply(model_deployment("fallback", good, version="1"))
    wait_until_serving(kubectl, "fallback", version="1")
    kubectl.apply(model_deployment("fallback", bad, version="2"))
    failure = wait_for_failure(kubectl, "fallback", "ModelLoadFailed")
    assert failure["revision"]
    assert condition(kubectl, "fallback", "Ready")["status"] == "True"
    assert ask(kubectl, "fallback", "/v1/models/fallback:predict", {"instances": [[5.1, 3.5, 1.4, 0.2]]}) == {
        "predictions": [0]
    }
    kubectl.apply(model_deployment("fallback", good, version="1"))
    status = wait_until_serving(kubectl, "fallback", version="1", seconds=30)
    assert "failure" not in status
    kubectl.run("delete", "mdep", "fallback", "--wait=false")
