"""CatBoost to ONNX: the trees out of the model's own JSON, which has them level by level (oblivious trees).

All nodes of a level ask the same question, `row > border` in single precision, and the answers are the bits of the
leaf's number, the first question's the lowest. CatBoost's own ONNX export is not used: it writes probabilities as
dictionaries, in single precision.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import catboost
import numpy as np
import orjson

from modelway.packing.boosting import BoostedExporter, Forest, Link
from modelway.packing.errors import NotConvertibleError
from modelway.packing.trees import LEAF, Tree
from modelway.server.formats.base import Model

_LINKS: Final[Mapping[str, Link]] = {
    "Logloss": Link.SIGMOID,
    "CrossEntropy": Link.SIGMOID,
    "MultiClass": Link.SOFTMAX,
    "MultiClassOneVsAll": Link.SIGMOID,
    "Poisson": Link.EXP,
    "Tweedie": Link.EXP,
    "RMSE": Link.IDENTITY,
    "MAE": Link.IDENTITY,
    "Quantile": Link.IDENTITY,
    "MAPE": Link.IDENTITY,
    "Huber": Link.IDENTITY,
    "Expectile": Link.IDENTITY,
    "LogLinQuantile": Link.EXP,
    "Lq": Link.IDENTITY,
    "MultiRMSE": Link.IDENTITY,
    "YetiRank": Link.IDENTITY,
    "YetiRankPairwise": Link.IDENTITY,
    "PairLogit": Link.IDENTITY,
    "PairLogitPairwise": Link.IDENTITY,
    "QueryRMSE": Link.IDENTITY,
    "QuerySoftMax": Link.IDENTITY,
}


def exporter(model: Model, path: Path) -> BoostedExporter:
    """How a model file of CatBoost is converted. Raises NotConvertibleError."""
    own = catboost.CatBoost().load_model(str(path), format="cbm")
    if len(own.get_cat_feature_indices()) or len(own.get_text_feature_indices()):
        raise NotConvertibleError("CatBoost's features of categories and of texts have no ONNX form")
    loss = str(own.get_all_params().get("loss_function", "")).partition(":")[0]
    if loss not in _LINKS:
        raise NotConvertibleError(f'what CatBoost makes of a prediction for the loss "{loss}" is not known here')
    document = _document(own)
    scale, bias = document["scale_and_bias"]
    columns = [one["flat_feature_index"] for one in document["features_info"]["float_features"]]
    missing = [
        one.get("nan_value_treatment", "AsIs") != "AsTrue" for one in document["features_info"]["float_features"]
    ]
    forest = Forest(
        [_tree(one, len(bias), columns, missing, scale) for one in document["oblivious_trees"]],
        len(own.feature_names_),
        len(bias),
        bias,
        _LINKS[loss],
        labels=_labels(model),
    )
    return BoostedExporter(model, forest, ("catboost",))


def _document(own: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        own.save_model(str(path), format="json")
        document: dict[str, Any] = orjson.loads(path.read_bytes())
    if "oblivious_trees" not in document:
        raise NotConvertibleError("only CatBoost's symmetric trees (grow_policy SymmetricTree) have an ONNX form here")
    return document


def _tree(tree: Mapping[str, Any], outputs: int, columns: Sequence[int], missing: Sequence[bool], scale: float) -> Tree:
    splits = tree.get("splits") or []
    depth = len(splits)
    leaves = 2**depth
    level = np.floor(np.log2(np.arange(1, leaves))).astype(np.int64)  # of each inner node, the root's is 0
    inner = np.arange(leaves - 1)
    features = np.array([columns[one["float_feature_index"]] for one in splits], dtype=np.int64)
    borders = np.array([one["border"] for one in splits], dtype=np.float64)
    goes_left = np.array([missing[one["float_feature_index"]] for one in splits], dtype=bool)
    values = np.zeros((2 * leaves - 1, outputs))
    values[leaves - 1 :] = np.array(tree["leaf_values"]).reshape(leaves, outputs)[_numbers(depth)] * scale
    none = np.full(leaves, LEAF)
    zeros = np.zeros(leaves)
    return Tree(
        np.concatenate([2 * inner + 1, none]),
        np.concatenate([2 * inner + 2, none]),
        np.concatenate([features[level], zeros]).astype(np.int64),
        np.concatenate([borders[level], zeros]),
        values,
        np.concatenate([goes_left[level], zeros]).astype(bool),
    )


def _numbers(depth: int) -> Any:
    """CatBoost's number of each leaf, from left to right: our path from the root with its bits turned round."""
    path = np.arange(2**depth)
    return sum((path >> (depth - 1 - bit) & 1) << bit for bit in range(depth)) if depth else path


def _labels(model: Model) -> Sequence[Any]:
    return list(model.classes) if model.outputs[0].datatype in {"INT64", "BYTES"} else ()
