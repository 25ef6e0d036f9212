"""Trees as an ONNX node: every row falls into the leaf that the tree itself sends it to."""

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from modelway.packing.trees import EQUAL, LEAF, LESS, LESS_OR_EQUAL, Growing, Tree, attributes

WIDTH = 3
NUMBERS = st.sampled_from([-1.0, 0.0, 0.1, np.nextafter(0.1, 1), np.nextafter(0.1, 0), float(np.float32(0.1)), 7.0])


def run(trees: list[Tree], rows: np.ndarray, *, outputs: int = 1, base=()) -> np.ndarray:
    node = helper.make_node(
        "TreeEnsembleRegressor", ["X"], ["Y"], domain="ai.onnx.ml", **attributes(trees, outputs=outputs, base=base)
    )
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, WIDTH])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, outputs])],
    )
    sets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=sets, ir_version=10)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"X": rows})[0]


def walk(tree: Tree, row: np.ndarray) -> np.ndarray:
    """The leaf's values, by the definition."""
    node = 0
    while tree.left[node] != LEAF:
        value, threshold = row[tree.feature[node]], tree.threshold[node]
        holds = {
            LESS_OR_EQUAL: value <= threshold,
            LESS: value < threshold,
            EQUAL: value == threshold,
        }[tree.modes.get(node, tree.mode)]
        if np.isnan(value):
            holds = tree.missing_left[node]
        node = tree.left[node] if holds else tree.right[node]
    return tree.value[node]


@st.composite
def trees(draw) -> Tree:
    growing = Growing()

    def grow(depth: int) -> int:
        if depth == 0 or draw(st.booleans()):
            return growing.leaf(draw(st.integers(-50, 50)) / 4)
        mode = draw(st.sampled_from([LESS_OR_EQUAL, LESS, EQUAL]))
        node = growing.branch(draw(st.integers(0, WIDTH - 1)), draw(NUMBERS), mode, missing_left=draw(st.booleans()))
        growing.lead(node, left=grow(depth - 1))
        growing.lead(node, right=grow(depth - 1))
        return node

    grow(4)
    return growing.tree()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(trees(), min_size=1, max_size=3),
    st.lists(st.tuples(*[NUMBERS | st.just(float("nan"))] * WIDTH), min_size=1, max_size=20),
)
def test_every_row_falls_into_the_leaf_that_the_trees_send_it_to(forest, rows):
    array = np.array(rows, dtype=np.float64)
    expected = [sum(walk(tree, row)[0] for tree in forest) for row in array]
    assert run(forest, array)[:, 0] == pytest.approx(expected, abs=1e-6)


def stump(threshold: float, values, *, target: int = 0) -> Tree:
    return Tree(
        np.array([1, LEAF, LEAF]),
        np.array([2, LEAF, LEAF]),
        np.array([0, 0, 0]),
        np.array([threshold, 0.0, 0.0]),
        np.array([[0.0] * len(values[0]), *values]),
        np.array([False, False, False]),
        target=target,
    )


def test_thresholds_keep_the_digits_that_single_precision_has_not():
    rows = np.zeros((2, WIDTH))
    rows[:, 0] = [0.1, np.nextafter(0.1, 1)]
    assert run([stump(0.1, [[1.0], [2.0]])], rows)[:, 0].tolist() == [1.0, 2.0]


def test_a_leaf_may_hold_a_value_for_each_output():
    rows = np.zeros((2, WIDTH))
    rows[1, 0] = 5
    answer = run([stump(1.0, [[1.0, 2.0], [3.0, 4.0]])], rows, outputs=2, base=[10.0, 20.0])
    assert answer.tolist() == [[11.0, 22.0], [13.0, 24.0]]


def test_trees_of_several_outputs_add_up_apart():
    rows = np.zeros((1, WIDTH))
    forest = [stump(1.0, [[1.0], [0.0]]), stump(1.0, [[4.0], [0.0]], target=1), stump(1.0, [[2.0], [0.0]])]
    assert run(forest, rows, outputs=2).tolist() == [[3.0, 4.0]]
