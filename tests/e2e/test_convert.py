"""`convert: ONNX`: a scikit-learn model is served as ONNX, answers as it did, and is refused where it cannot be."""

import pickle

import numpy as np
from hack.demo.kubectl import Kubectl
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from modelway.artifacts import digest
from support.deployments import (
    Bucket,
    ask,
    condition,
    model_deployment,
    status_of,
    wait_for_failure,
    wait_until_serving,
)

ROWS, LABELS = load_iris(return_X_y=True)


def test_a_pickled_forest_is_served_as_onnx_and_answers_as_scikit_learn(
    kubectl: Kubectl, bucket: Bucket, tmp_path
) -> None:
    forest = RandomForestClassifier(50, random_state=0).fit(ROWS, LABELS)
    content = pickle.dumps(forest)
    (tmp_path / "model.pkl").write_bytes(content)
    uri = bucket.put("forest/model.pkl", content)
    kubectl.apply(model_deployment("forest", uri, code="AllowList", convert="ONNX"))
    wait_until_serving(kubectl, "forest")
    answer = ask(
        kubectl,
        "forest",
        "/v2/models/forest/infer",
        {
            "inputs": [{"name": "X", "datatype": "FP64", "shape": list(ROWS.shape), "data": ROWS.tolist()}],
            "outputs": [{"name": "predict"}, {"name": "predict_proba"}],
        },
    )
    labels, shares = (output["data"] for output in answer["outputs"])
    assert labels == forest.predict(ROWS).tolist()
    assert np.abs(np.array(shares).reshape(-1, 3) - forest.predict_proba(ROWS)).max() < 1e-5
    assert ask(kubectl, "forest", "/v1/models/forest:predict", {"instances": ROWS.tolist()})["predictions"] == labels
    # The digest is that of what lies in the bucket; ONNX is what runs.
    assert status_of(kubectl, "forest")["stable"]["digest"] == digest.of_path(tmp_path / "model.pkl").value
    pod = kubectl.list("pods", "modelway.dev/name=forest")[0]["metadata"]["name"]
    assert '"format":"onnx"' in kubectl.run("logs", pod, "--container=model-server")
    kubectl.run("delete", "mdep", "forest", "--wait=false")


def test_a_model_without_an_onnx_form_is_refused_with_the_cause(kubectl: Kubectl, bucket: Bucket) -> None:
    rooted = make_pipeline(FunctionTransformer(np.sqrt), LogisticRegression(max_iter=1000)).fit(ROWS, LABELS)
    uri = bucket.put("rooted/model.pkl", pickle.dumps(rooted))
    model = {"code": "AllowList", "allowedGlobals": ["numpy.sqrt"], "convert": "ONNX"}
    kubectl.apply(model_deployment("rooted", uri, **model))
    failure = wait_for_failure(kubectl, "rooted", "ConversionFailed", seconds=180)
    assert "skl2onnx cannot convert this Pipeline" in failure["message"]
    assert (condition(kubectl, "rooted", "Stalled")["reason"], condition(kubectl, "rooted", "Ready")["status"]) == (
        "ConversionFailed",
        "False",
    )
    kubectl.run("delete", "mdep", "rooted", "--wait=false")
