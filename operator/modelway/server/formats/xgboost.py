"""XGBoost's own files, JSON and UBJSON, made by `Booster.save_model` or by the scikit-learn wrappers.

A file answers as the class that saved it does. `XGBClassifier` and its kin leave their kind in the file: `predict`
gives labels and `predict_proba` probabilities, up to the best iteration if training stopped early. A bare `Booster`'s
`predict` gives what `Booster.predict` does, over all iterations: for `binary:logistic` the probability of 1; `label`
and `predict_proba` can be asked for as well.

No code is in these files. Their numbers are used unchecked by the library, so `trees` looks at them first. Pickles, and
XGBoost's old binary form, are refused.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import xgboost
from numpy.typing import NDArray

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import rows, trees, ubjson
from modelway.server.formats.base import LoadOptions
from modelway.server.formats.rows import Found, RowsModel
from modelway.server.formats.trees import NotATreeError
from modelway.server.tensors import Array

Scores = NDArray[Any]
_PROBABILITIES: Final = {"binary:logistic", "reg:logistic", "multi:softprob"}
_LABELS: Final = {"binary:hinge", "multi:softmax"}


def load(path: Path, options: LoadOptions) -> RowsModel:
    """Load a model file of XGBoost. Raises ModelError."""
    content = path.read_bytes()
    try:
        document = _document(content)
        _check(document)
        booster = xgboost.Booster({"nthread": options.threads})
        booster.load_model(bytearray(content))
        platform = "xgboost_json" if _is_json(content) else "xgboost_ubj"
        return rows.model(_found(booster, document, platform), options)
    except ModelError:
        raise
    except KeyError as error:
        raise _unreadable(path, f"it has no {error}, which each model file has") from error
    except (xgboost.core.XGBoostError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(path, _said(error)) from error


def _document(content: bytes) -> dict[str, Any]:
    if content[:1] == b"\x80":
        raise NotATreeError("it is a pickle, which runs code when it is loaded; save the model with save_model")
    if content[:4] in {b"binf", b"bs64"}:
        raise NotATreeError("it is of the binary form that XGBoost 3.1 has given up; save the model as .ubj")
    try:
        document = orjson.loads(content) if _is_json(content) else ubjson.read(content)
    except ValueError as error:
        raise NotATreeError(f"{error}; the file may be cut short") from error
    if not isinstance(document, dict):
        raise NotATreeError("it holds no object")
    return document


def _is_json(content: bytes) -> bool:
    return content.lstrip()[:1] == b"{" and content[1:2] in b' \t\r\n"}'


def _check(document: Mapping[str, Any]) -> None:
    """Raise NotATreeError for numbers that would lead the library astray, KeyError or TypeError for no model."""
    learner = document["learner"]
    parameters = learner["learner_model_param"]
    features = int(parameters["num_feature"])
    groups = max(int(parameters["num_class"]), int(parameters.get("num_target", 1)), 1)
    booster = learner["gradient_booster"]
    if booster["name"] == "gblinear":
        weights = np.asarray(booster["model"]["weights"])
        if weights.shape != ((features + 1) * groups,):
            raise NotATreeError(f"{len(weights)} weights for {features} features and {groups} outputs")
        return
    forest = (booster["gbtree"] if booster["name"] == "dart" else booster)["model"]
    _check_forest(forest, features, groups)
    scores = parameters.get("base_score", "0")
    if scores.startswith("[") and len(orjson.loads(scores)) not in {1, groups}:
        raise NotATreeError(f"base_score: {scores[:80]} for {groups} outputs")
    if booster["name"] == "dart" and len(booster["weight_drop"]) != len(forest["trees"]):
        raise NotATreeError(f"{len(booster['weight_drop'])} dropout weights for {len(forest['trees'])} trees")


def _check_forest(forest: Mapping[str, Any], features: int, groups: int) -> None:
    if groups > max(len(forest["trees"]), 1):
        raise NotATreeError(f"{groups} outputs, with {len(forest['trees'])} trees")
    if _coded_categories(forest):
        raise NotATreeError(
            "it was trained on a table with categories by name, which a request cannot bring; "
            "train it on numbers, or put the encoding into a pipeline"
        )
    info = trees.integers(forest["tree_info"], "tree_info")
    trees.of_length(info, len(forest["trees"]), "tree_info")
    trees.within(info, 0, groups, "tree_info")
    starts = trees.integers(forest.get("iteration_indptr", ()), "iteration_indptr")
    trees.within(starts, 0, len(info) + 1, "iteration_indptr")
    if np.any(np.diff(starts) < 0):
        raise NotATreeError("iteration_indptr: goes back")
    for index, tree in enumerate(forest["trees"]):
        if int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
            raise NotATreeError('trees with several values in a leaf are not served; train with "one_output_per_tree"')
        trees.check_linked(tree, features, f"trees[{index}]")


def _coded_categories(forest: Mapping[str, Any]) -> bool:
    cats = forest.get("cats") or {}
    return any(len(encoding.get("values", encoding.get("offsets", ()))) for encoding in cats.get("enc", ()))


def _found(booster: Any, document: Mapping[str, Any], platform: str) -> Found:
    learner = document["learner"]
    objective = str(learner["objective"]["name"])
    kind = _wrapper(booster)
    scores = _scores(booster, document, wrapped=kind is not None)
    targets = int(learner["learner_model_param"].get("num_target", 1))
    count = max(int(learner["learner_model_param"]["num_class"]), 2)
    functions: dict[str, Callable[[Scores], Array]] = {"predict": lambda given: given}
    if kind == "classifier" or (kind is None and objective in _PROBABILITIES | _LABELS):
        label, probability = _label(objective, count), lambda given: _by_class(given, targets)
        functions = {"predict": label} if kind else {"predict": lambda given: given, "label": label}
        if objective in _PROBABILITIES:
            functions["predict_proba"] = probability

    def answer(array: Array, wanted: Sequence[str]) -> dict[str, Array]:
        given = scores(array)
        return {name: functions[name](given) for name in wanted}

    is_classifier = len(functions) > 1 or kind == "classifier"
    return Found(
        answer,
        outputs=tuple(functions),
        width=int(learner["learner_model_param"]["num_feature"]),
        platform=platform,
        features=booster.feature_names or (),
        classes=range(count) if is_classifier and targets == 1 else (),
        nullable=learner["gradient_booster"]["name"] != "gblinear",
        notes={"xgboost": ".".join(str(part) for part in document["version"]), "objective": objective},
    )


def _wrapper(booster: Any) -> str | None:
    """`classifier`, `regressor` or `ranker` where a scikit-learn wrapper has saved the file."""
    text = booster.attr("scikit_learn")
    known = orjson.loads(text) if text else None
    return str(known.get("_estimator_type", "regressor")) if isinstance(known, dict) else None


def _scores(booster: Any, document: Mapping[str, Any], *, wrapped: bool) -> Callable[[Array], Scores]:
    """What the class that saved the file predicts by: two ways, which differ in the last digit for weighted trees."""
    kind = document["learner"]["gradient_booster"]["name"]
    if kind == "gblinear" or (kind == "dart" and not wrapped):
        lock = threading.Lock()  # in place only, and trees only, is safe in several threads

        def copied(array: Array) -> Scores:
            with lock:
                return np.asarray(booster.predict(xgboost.DMatrix(array), validate_features=False))

        return copied
    best = booster.attr("best_iteration") if wrapped else None
    iterations = (0, int(best) + 1) if best is not None else (0, 0)

    def in_place(array: Array) -> Scores:
        return np.asarray(booster.inplace_predict(array, iteration_range=iterations, validate_features=False))

    return in_place


def _label(objective: str, count: int) -> Callable[[Scores], Scores]:
    """What `XGBClassifier.predict` makes of scores: https://xgboost.readthedocs.io, XGBClassifier."""

    def label(given: Scores) -> Scores:
        if given.ndim > 1 and count > 2:
            return np.asarray(given.argmax(axis=1))
        if objective in _LABELS:
            return given.astype(np.int64)
        return np.asarray(given > 0.5).astype(np.int64)

    return label


def _by_class(given: Scores, targets: int) -> Scores:
    """A column for each class. Several targets have one each already."""
    return np.stack((1.0 - given, given), axis=1) if given.ndim == 1 and targets == 1 else given


def _unreadable(path: Path, problem: str) -> ModelError:
    return ModelError(Reason.MODEL_LOAD_FAILED, f"xgboost {xgboost.__version__} cannot load {path.name}: {problem}")


def _said(error: Exception) -> str:
    """The first line, without the time and the source file that XGBoost begins with."""
    line = str(error).strip().partition("\n")[0]
    return (line.partition("] ")[2].partition(": ")[2] if line.startswith("[") else line)[:400] or type(error).__name__
