"""Models that tests train or build on the spot."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
from onnx import helper
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


@dataclass(frozen=True, slots=True)
class Iris:
    """Iris rows, an estimator trained on them, and its ONNX form."""

    rows: np.ndarray
    labels: np.ndarray
    estimator: object
    onnx: bytes
    onnx_with_zipmap: bytes


@cache
def iris() -> Iris:
    rows, labels = load_iris(return_X_y=True)
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)
    sample = rows[:1].astype(np.float32)
    return Iris(
        rows,
        labels,
        estimator,
        to_onnx(estimator, sample, options={"zipmap": False}).SerializeToString(),
        to_onnx(estimator, sample).SerializeToString(),
    )


def typed_onnx(tensor_type: int) -> bytes:
    """The identity on a matrix of some type."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [helper.make_tensor_value_info("x", tensor_type, [None, None])],
        [helper.make_tensor_value_info("y", tensor_type, [None, None])],
    )
    return _model(graph)


def _model(graph: onnx.GraphProto) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()
