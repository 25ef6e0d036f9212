"""XGBoost to ONNX: the trees out of the model's own JSON.

https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html; the branch is `row < threshold`, in single
precision.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import xgboost

from modelway.packing.boosting import BoostedExporter, Forest, Link
from modelway.packing.errors import NotConvertibleError
from modelway.packing.trees import EQUAL, LEAF, LESS, Tree
from modelway.server.formats.base import Model

_LINKS: Final[Mapping[str, Link]] = {
    "reg:squarederror": Link.IDENTITY,
    "reg:squaredlogerror": Link.IDENTITY,
    "reg:pseudohubererror": Link.IDENTITY,
    "reg:absoluteerror": Link.IDENTITY,
    "reg:quantileerror": Link.IDENTITY,
    "rank:pairwise": Link.IDENTITY,
    "rank:ndcg": Link.IDENTITY,
    "rank:map": Link.IDENTITY,
    "binary:logitraw": Link.IDENTITY,
    "binary:logistic": Link.SIGMOID,
    "reg:logistic": Link.SIGMOID,
    "binary:hinge": Link.STEP,
    "multi:softprob": Link.SOFTMAX,
    "multi:softmax": Link.ARGMAX,
    "count:poisson": Link.EXP,
    "reg:gamma": Link.EXP,
    "reg:tweedie": Link.EXP,
    "survival:cox": Link.EXP,
    "survival:aft": Link.EXP,
}
_CATEGORICAL: Final = 1


def exporter(model: Model, path: Path) -> BoostedExporter:
    """How a model file of XGBoost is converted. Raises NotConvertibleError."""
    booster = xgboost.Booster(model_file=str(path))
    learner = orjson.loads(bytes(booster.save_raw("json")))["learner"]
    kind = learner["gradient_booster"]["name"]
    if kind not in {"gbtree", "dart"}:
        raise NotConvertibleError(f"XGBoost's {kind} has no trees, and so no way to ONNX here")
    objective = learner["objective"]["name"]
    if objective not in _LINKS:
        raise NotConvertibleError(
            f'what XGBoost makes of a prediction for the objective "{objective}" is not known here'
        )
    parameters = learner["learner_model_param"]
    outputs = max(int(parameters["num_class"]), int(parameters.get("num_target", 1)), 1)
    trees = _trees(learner["gradient_booster"], _iterations(booster))
    link = _LINKS[objective]
    forest = Forest(
        trees, int(parameters["num_feature"]), outputs, _base(parameters["base_score"], outputs, link), link
    )
    return BoostedExporter(model, forest, ("xgboost-cpu", "xgboost"))


def _iterations(booster: Any) -> int | None:
    """How many iterations count where a scikit-learn wrapper stopped training early; None: all of them."""
    best = booster.attr("best_iteration")
    return int(best) + 1 if best is not None and booster.attr("scikit_learn") else None


def _trees(booster: Mapping[str, Any], iterations: int | None) -> list[Tree]:
    dropped = booster.get("weight_drop")
    forest = (booster["gbtree"] if booster["name"] == "dart" else booster)["model"]
    count = len(forest["trees"]) if iterations is None else forest["iteration_indptr"][iterations]
    return [
        _tree(one, target, 1.0 if dropped is None else dropped[index])
        for index, (one, target) in enumerate(zip(forest["trees"][:count], forest["tree_info"], strict=False))
    ]


def _tree(tree: Mapping[str, Any], target: int, weight: float) -> Tree:
    left = np.array(tree["left_children"], dtype=np.int64)
    thresholds = np.array(tree["split_conditions"], dtype=np.float32).astype(np.float64)
    grown = Tree(
        left,
        np.array(tree["right_children"], dtype=np.int64),
        np.array(tree["split_indices"], dtype=np.int64),
        thresholds,
        np.where(left == LEAF, thresholds * weight, 0.0).reshape(-1, 1),
        np.array(tree["default_left"], dtype=bool),
        target=target,
        mode=LESS,
    )
    return _with_categories(grown, tree) if _CATEGORICAL in tree["split_type"] else grown


def _with_categories(grown: Tree, tree: Mapping[str, Any]) -> Tree:
    """Each test for a set of categories as a chain of equalities; the set's categories go to the right child."""
    sets = _sets(tree)
    columns = [grown.left.tolist(), grown.right.tolist(), grown.feature.tolist(), grown.threshold.tolist()]
    left, right, feature, threshold = columns
    missing = grown.missing_left.tolist()
    modes: dict[int, str] = {}
    for node, categories in sets.items():
        other, chosen, goes_left = left[node], right[node], missing[node]
        link = node
        for index, category in enumerate(categories):
            modes[link], threshold[link], missing[link], left[link] = EQUAL, float(category), not goes_left, chosen
            if index + 1 == len(categories):
                right[link] = other
                break
            right[link] = len(left)
            link = len(left)
            for column, value in zip(columns, (chosen, other, feature[node], 0.0), strict=True):
                column.append(value)
            missing.append(False)
    value = np.zeros((len(left), 1))
    value[: len(grown.value)] = grown.value
    return Tree(
        np.array(left), np.array(right), np.array(feature), np.array(threshold), value, np.array(missing),
        target=grown.target, mode=LESS, modes=modes,
    )  # fmt: skip


def _sets(tree: Mapping[str, Any]) -> dict[int, Sequence[int]]:
    """The categories of each node that tests for a set of them."""
    parts = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
    return {node: tree["categories"][start : start + size] for node, start, size in parts}


def _base(text: str, outputs: int, link: Link) -> list[float]:
    """What the sums start with; the file has it as it would be predicted."""
    said = np.atleast_1d(np.array(orjson.loads(text.lower()), dtype=np.float64))
    scores = np.broadcast_to(said, (outputs,))
    if link is Link.SIGMOID:
        scores = np.log(scores / (1 - scores))
    elif link is Link.EXP:
        scores = np.log(scores)
    return [float(score) for score in scores]
