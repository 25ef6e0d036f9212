"""The models and requests of the benchmark; made on the spot, the same in every run."""

import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelway.server.rpc.inference_pb2 import ModelInferRequest

ROWS = (1, 64)


@dataclass(frozen=True, slots=True)
class Models:
    """Folders with a model each, and what to ask.

    Args:
        linear: a logistic regression in ONNX; it answers probabilities.
        forest: a random forest of 100 trees in ONNX.
        pickled: the same forest, pickled.
        rows: 64 rows of 30 features, FP32.
        probabilities: what scikit-learn answers to them with the regression.

    """

    linear: Path
    forest: Path
    pickled: Path
    rows: np.ndarray
    probabilities: np.ndarray


def make(folder: Path) -> Models:
    """Train, convert and write the models."""
    x, y = load_breast_cancer(return_X_y=True)
    linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    forest = RandomForestClassifier(n_estimators=100, random_state=0).fit(x, y)
    sample = x[:1].astype(np.float32)
    answers = json.dumps({"outputs": [{"name": "probabilities"}]})
    for name, estimator in (("linear", linear), ("forest", forest)):
        (folder / name).mkdir()
        onnx = to_onnx(estimator, sample, options={"zipmap": False})
        (folder / name / "model.onnx").write_bytes(onnx.SerializeToString())
        (folder / name / "modelway.json").write_text(answers)
    (folder / "pickled").mkdir()
    (folder / "pickled" / "model.pkl").write_bytes(pickle.dumps(forest))
    (folder / "pickled" / "modelway.json").write_text(json.dumps({"outputs": [{"name": "predict_proba"}]}))
    rows = x[: max(ROWS)].astype(np.float32)
    return Models(folder / "linear", folder / "forest", folder / "pickled", rows, linear.predict_proba(rows))


def v1(rows: np.ndarray) -> bytes:
    """A V1 request, numbers as a client's JSON library writes them."""
    return json.dumps({"instances": _numbers(rows)}).encode()


def v2(rows: np.ndarray) -> bytes:
    """A V2 request for the probabilities, in JSON."""
    data = [number for row in _numbers(rows) for number in row]
    tensor = {"name": "X", "shape": list(rows.shape), "datatype": "FP32", "data": data}
    return json.dumps({"inputs": [tensor], "outputs": [{"name": "probabilities"}]}).encode()


def v2_binary(rows: np.ndarray) -> tuple[bytes, int]:
    """The same with the binary extension, in and out; gives the body and the length of its JSON part."""
    data = rows.tobytes()
    tensor = {
        "name": "X",
        "shape": list(rows.shape),
        "datatype": "FP32",
        "parameters": {"binary_data_size": len(data)},
    }
    output = {"name": "probabilities", "parameters": {"binary_data": True}}
    head = json.dumps({"inputs": [tensor], "outputs": [output]}).encode()
    return head + data, len(head)


def grpc(rows: np.ndarray) -> bytes:
    """A ModelInferRequest for the probabilities, with raw data."""
    request = ModelInferRequest(model_name="m", raw_input_contents=[rows.tobytes()])
    request.inputs.add(name="X", datatype="FP32", shape=rows.shape)
    request.outputs.add(name="probabilities")
    return request.SerializeToString()


def answered(body: bytes, head_length: int | None) -> np.ndarray:
    """The probabilities in an answer, whichever protocol it is of."""
    if head_length is not None:
        return np.frombuffer(body[head_length:], dtype=np.float32).reshape(-1, 2)
    answer = json.loads(body)
    if "predictions" in answer:
        return np.array(answer["predictions"])
    (output,) = answer["outputs"]
    return np.array(output["data"]).reshape(output["shape"])


def _numbers(rows: np.ndarray) -> list[list[float]]:
    # 20.57 and not 20.569999694824219: what is measured is not the parsing of digits that nobody sends.
    return [[float(np.format_float_positional(value, trim="-")) for value in row] for row in rows]
