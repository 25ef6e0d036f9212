"""Decision trees as one ONNX node that compares and adds in double precision.

What the trees of scikit-learn, XGBoost and LightGBM become. Libraries' own exporters write thresholds in single
precision, and a row that lies between a threshold and its rounded form then falls into the other branch: the answer is
not a little off but another leaf's. Here thresholds and leaves keep all their digits.

The node is `TreeEnsembleRegressor` of ai.onnx.ml 3, the first with doubles, and the last in which a leaf may hold
several values (https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleRegressor.html). onnxruntime adds in double and
gives single precision. A node's children may be shared, so a test for one of several categories is a chain of
equalities that lead to the same child.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

LEAF: Final = -1
LESS_OR_EQUAL: Final = "BRANCH_LEQ"
LESS: Final = "BRANCH_LT"
EQUAL: Final = "BRANCH_EQ"

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree of n nodes, the root first.

    Args:
        left: for each node where it goes when its test holds; LEAF for a leaf.
        right: and when it does not.
        feature: the column that is tested.
        threshold: what it is compared with.
        value: of each leaf, (n, k) for the k outputs from `target` on.
        missing_left: whether a missing value goes left.
        target: the output that the first of `value` is added to.
        mode: the test of every node that is not in `modes`.
        modes: tests of single nodes.

    """

    left: Integers
    right: Integers
    feature: Integers
    threshold: Floats
    value: Floats
    missing_left: NDArray[np.bool_]
    target: int = 0
    mode: str = LESS_OR_EQUAL
    modes: Mapping[int, str] = field(default_factory=dict)


class Growing:
    """A tree whose nodes come one by one, as dumps tell them; `tree()` when it is complete."""

    def __init__(self) -> None:
        self._left: list[int] = []
        self._right: list[int] = []
        self._feature: list[int] = []
        self._threshold: list[float] = []
        self._value: list[float] = []
        self._missing_left: list[bool] = []
        self._modes: dict[int, str] = {}

    def leaf(self, value: float) -> int:
        """Add a leaf; gives its number."""
        return self._add(LEAF, LEAF, 0, 0.0, value, missing_left=False)

    def branch(self, feature: int, threshold: float, mode: str, *, missing_left: bool) -> int:
        """Add a test, whose children are told by `lead` when they are known; gives its number."""
        number = self._add(0, 0, feature, threshold, 0.0, missing_left=missing_left)
        self._modes[number] = mode
        return number

    def lead(self, node: int, *, left: int | None = None, right: int | None = None) -> None:
        """Tell where a test leads."""
        if left is not None:
            self._left[node] = left
        if right is not None:
            self._right[node] = right

    def tree(self, target: int = 0) -> Tree:
        """The tree of all that was added; the first node is the root."""
        return Tree(
            np.array(self._left),
            np.array(self._right),
            np.array(self._feature),
            np.array(self._threshold),
            np.array(self._value).reshape(-1, 1),
            np.array(self._missing_left),
            target=target,
            modes=self._modes,
        )

    def _add(self, left: int, right: int, feature: int, threshold: float, value: float, *, missing_left: bool) -> int:
        self._left.append(left)
        self._right.append(right)
        self._feature.append(feature)
        self._threshold.append(threshold)
        self._value.append(value)
        self._missing_left.append(missing_left)
        return len(self._left) - 1


def attributes(trees: Sequence[Tree], *, outputs: int, base: Sequence[float] = ()) -> dict[str, Any]:
    """The attributes of a TreeEnsembleRegressor that adds up `trees`.

    Args:
        trees: at least one.
        outputs: how many values a row has.
        base: what is added to each of them.

    """
    counts = [len(tree.left) for tree in trees]
    numbers = [np.arange(count) for count in counts]
    leaves = [np.flatnonzero(tree.left == LEAF) for tree in trees]
    widths = [tree.value.shape[1] for tree in trees]
    found: dict[str, Any] = {
        "n_targets": outputs,
        "aggregate_function": "SUM",
        "post_transform": "NONE",
        "nodes_treeids": np.repeat(np.arange(len(trees)), counts).tolist(),
        "nodes_nodeids": np.concatenate(numbers).tolist(),
        "nodes_featureids": np.concatenate([np.where(tree.left == LEAF, 0, tree.feature) for tree in trees]).tolist(),
        "nodes_modes": [mode for tree in trees for mode in _modes(tree)],
        "nodes_values_as_tensor": _doubles(
            np.concatenate([np.where(tree.left == LEAF, 0.0, tree.threshold) for tree in trees])
        ),
        "nodes_truenodeids": np.concatenate([np.where(tree.left == LEAF, 0, tree.left) for tree in trees]).tolist(),
        "nodes_falsenodeids": np.concatenate([np.where(tree.left == LEAF, 0, tree.right) for tree in trees]).tolist(),
        "nodes_missing_value_tracks_true": np.concatenate([tree.missing_left for tree in trees]).astype(int).tolist(),
        "target_treeids": np.repeat(
            np.arange(len(trees)), [len(own) * width for own, width in zip(leaves, widths, strict=True)]
        ).tolist(),
        "target_nodeids": np.concatenate(
            [np.repeat(own, width) for own, width in zip(leaves, widths, strict=True)]
        ).tolist(),
        "target_ids": np.concatenate(
            [
                np.tile(np.arange(tree.target, tree.target + width), len(own))
                for tree, own, width in zip(trees, leaves, widths, strict=True)
            ]
        ).tolist(),
        "target_weights_as_tensor": _doubles(
            np.concatenate([tree.value[own].reshape(-1) for tree, own in zip(trees, leaves, strict=True)])
        ),
    }
    if any(base):
        found["base_values_as_tensor"] = _doubles(np.array(base))
    return found


def _modes(tree: Tree) -> list[str]:
    return [
        "LEAF" if left == LEAF else tree.modes.get(number, tree.mode) for number, left in enumerate(tree.left.tolist())
    ]


def _doubles(values: Floats) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(values, dtype=np.float64))
