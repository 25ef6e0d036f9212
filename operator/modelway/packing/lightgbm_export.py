"""LightGBM to ONNX: the trees out of the model's own text.

The branch is `row <= threshold`, in double precision (LightGBM, include/LightGBM/tree.h: NumericalDecision,
CategoricalDecision). What is missing is told by `decision_type`: nothing (a missing value counts as 0), zeros, or NaN.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import lightgbm
import numpy as np

from modelway.packing.boosting import BoostedExporter, Forest, Link
from modelway.packing.errors import NotConvertibleError
from modelway.packing.trees import EQUAL, LESS_OR_EQUAL, Growing, Tree
from modelway.server.formats.base import Model

_LINKS: Final[Mapping[str, Link]] = {
    "": Link.IDENTITY,
    "custom": Link.IDENTITY,
    "regression": Link.IDENTITY,
    "regression_l1": Link.IDENTITY,
    "huber": Link.IDENTITY,
    "fair": Link.IDENTITY,
    "quantile": Link.IDENTITY,
    "mape": Link.IDENTITY,
    "lambdarank": Link.IDENTITY,
    "rank_xendcg": Link.IDENTITY,
    "binary": Link.SIGMOID,
    "cross_entropy": Link.SIGMOID,
    "multiclassova": Link.SIGMOID,
    "multiclass": Link.SOFTMAX,
    "cross_entropy_lambda": Link.SOFTPLUS,
    "poisson": Link.EXP,
    "gamma": Link.EXP,
    "tweedie": Link.EXP,
}
_CATEGORICAL: Final = 1
_DEFAULT_LEFT: Final = 2
_ZERO, _NAN = 1, 2
_WORD: Final = 32


def exporter(model: Model, path: Path) -> BoostedExporter:
    """How a model file of LightGBM is converted. Raises NotConvertibleError."""
    text = lightgbm.Booster(model_file=str(path)).model_to_string(num_iteration=-1)
    head, *parts = text.partition("\nend of trees")[0].split("\nTree=")
    header = _fields(head)
    name, *options = header.get("objective", "").split() or [""]
    if name not in _LINKS:
        raise NotConvertibleError(f'what LightGBM makes of a prediction for the objective "{name}" is not known here')
    each = int(header["num_tree_per_iteration"])
    forest = Forest(
        [_tree(_fields(part), index % each) for index, part in enumerate(parts)],
        int(header["max_feature_idx"]) + 1,
        each,
        [0.0] * each,
        Link.SIGNED_SQUARE if "sqrt" in options else _LINKS[name],
        factor=_factor(head, options, len(parts) // each),
        single=False,
    )
    return BoostedExporter(model, forest, ("lightgbm",))


def _factor(head: str, options: list[str], iterations: int) -> float:
    """Of the sums: a random forest averages, and a sigmoid may be steeper."""
    steepness = next((float(one.partition(":")[2]) for one in options if one.startswith("sigmoid:")), 1.0)
    return steepness / (iterations if "\naverage_output" in head else 1)


def _tree(fields: Mapping[str, str], target: int) -> Tree:
    if fields.get("is_linear", "0") != "0":
        raise NotConvertibleError("LightGBM's linear trees have no ONNX form here")
    tree = Growing()
    values = _numbers(fields["leaf_value"])
    if int(fields["num_leaves"]) == 1:
        tree.leaf(values[0])
        return tree.tree(target)
    nodes = _Nodes(fields, tree)
    entries = [nodes.add(node) for node in range(len(values) - 1)]
    leaves = [tree.leaf(value) for value in values]

    def child(number: int) -> int:
        return entries[number] if number >= 0 else leaves[~number]

    for node in range(len(values) - 1):
        nodes.lead(node, child(nodes.left[node]), child(nodes.right[node]))
    return tree.tree(target)


class _Nodes:
    """The inner nodes of one tree: each becomes one test, or a chain of them."""

    def __init__(self, fields: Mapping[str, str], tree: Growing) -> None:
        self._tree = tree
        self.left = _whole(fields["left_child"])
        self.right = _whole(fields["right_child"])
        self._feature = _whole(fields["split_feature"])
        self._threshold = _numbers(fields["threshold"])
        self._kind = _whole(fields["decision_type"])
        self._boundaries = _whole(fields.get("cat_boundaries", ""))
        self._words = _whole(fields.get("cat_threshold", ""))
        self._tests: list[list[int]] = []

    def add(self, node: int) -> int:
        """Add the tests of a node; gives the first."""
        kind, feature, threshold = self._kind[node], self._feature[node], self._threshold[node]
        missing, default_left = kind >> 2 & 3, bool(kind & _DEFAULT_LEFT)
        if kind & _CATEGORICAL:
            tests = [
                self._tree.branch(feature, float(category), EQUAL, missing_left=False)
                for category in self._categories(int(threshold))
            ]
        elif missing == _ZERO:
            # Zeros and missing values go their own way, whatever the threshold says.
            tests = [
                self._tree.branch(feature, 0.0, EQUAL, missing_left=True),
                self._tree.branch(feature, threshold, LESS_OR_EQUAL, missing_left=default_left),
            ]
        else:
            goes_left = default_left if missing == _NAN else threshold >= 0.0
            tests = [self._tree.branch(feature, threshold, LESS_OR_EQUAL, missing_left=goes_left)]
        self._tests.append(tests)
        return tests[0]

    def lead(self, node: int, left: int, right: int) -> None:
        """Tell where a node's tests lead."""
        tests, kind = self._tests[node], self._kind[node]
        if not kind & _CATEGORICAL and len(tests) == 2:
            self._tree.lead(tests[0], left=left if kind & _DEFAULT_LEFT else right, right=tests[1])
            self._tree.lead(tests[1], left=left, right=right)
            return
        for test, following in zip(tests, [*tests[1:], right], strict=True):
            self._tree.lead(test, left=left, right=following)

    def _categories(self, index: int) -> list[int]:
        """Those that go left, out of a set of bits."""
        words = self._words[self._boundaries[index] : self._boundaries[index + 1]]
        return [place * _WORD + bit for place, word in enumerate(words) for bit in range(_WORD) if word >> bit & 1]


def _fields(part: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in part.splitlines() if "=" in line)


def _whole(text: str) -> list[int]:
    return [int(one) for one in text.split()]


def _numbers(text: str) -> Any:
    return np.array(text.split(), dtype=np.float64).tolist()
