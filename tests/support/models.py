"""Models that tests train or build on the spot."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, helper
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


def slow_onnx() -> bytes:
    """A model whose cost is its input: it counts to the largest number in `n` and answers `n`.

    Some 3 to 10 µs a count: 1,000 are over a millisecond, 1,000,000 take seconds.
    """
    one = helper.make_tensor("one", TensorProto.INT64, [], [1])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_in"], ["go_out"]),
            helper.make_node("Add", ["count_in", "one"], ["count_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("count_in", TensorProto.INT64, []),
        ],
        [
            helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("count_out", TensorProto.INT64, []),
        ],
        [one],
    )
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMax", ["n"], ["trips"], keepdims=0),
            helper.make_node("Loop", ["trips", "go", "zero"], ["counted"], body=body),
            helper.make_node("Min", ["counted", "zero"], ["nothing"]),
            helper.make_node("Add", ["n", "nothing"], ["answer"]),
        ],
        "slow",
        [helper.make_tensor_value_info("n", TensorProto.INT64, [None, 1])],
        [helper.make_tensor_value_info("answer", TensorProto.INT64, [None, 1])],
        [
            helper.make_tensor("go", TensorProto.BOOL, [], [True]),
            helper.make_tensor("zero", TensorProto.INT64, [], [0]),
        ],
    )
    return _model(graph)


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
