"""CatBoost's own files, `.cbm`, as `save_model` writes them.

A file answers as the class for its loss does: as `CatBoostClassifier` (`predict` gives labels, `predict_proba`
probabilities) after a loss for classification, else as `CatBoostRegressor`. Labels are one for each row, where the
wrapper may put each into a row of its own. With features that are categories or texts among them, all features become
inputs of their own, under their names, and these of type BYTES.

No code is in these files. The library checks little of what it reads, and a file that was made to do so may end the
process; it then has gained nothing, as the pod has no rights.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import catboost
import numpy as np

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import rows
from modelway.server.formats.base import LoadOptions
from modelway.server.formats.rows import Found, RowsModel
from modelway.server.tensors import Array

_MAGIC: Final = b"CBM1"
_CLASSIFYING: Final = {
    "Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll", "MultiLogloss", "MultiCrossEntropy",
}  # fmt: skip


def load(path: Path, options: LoadOptions) -> RowsModel:
    """Load a model file of CatBoost. Raises ModelError."""
    _check(path)
    try:
        loss = _loss(catboost.CatBoost().load_model(str(path), format="cbm"))
        kind = catboost.CatBoostClassifier if loss in _CLASSIFYING else catboost.CatBoostRegressor
        return rows.model(_found(kind().load_model(str(path), format="cbm"), loss, path, options), options)
    except catboost.CatBoostError as error:
        raise _unreadable(path, str(error).partition("\n")[0][:400]) from error


def _check(path: Path) -> None:
    """Raise ModelError unless the file begins as it must. The library ends the process at a length beyond its end."""
    with path.open("rb") as file:
        head = file.read(len(_MAGIC) + 4)
    if head[: len(_MAGIC)] != _MAGIC:
        raise _unreadable(path, 'it does not begin with "CBM1"; save the model with save_model(…, format="cbm")')
    length, rest = int.from_bytes(head[len(_MAGIC) :], "little"), path.stat().st_size - len(head)
    if length > rest or not length:
        raise _unreadable(path, f"it has {rest} bytes, where {length} are expected; the file may be cut short")


def _loss(model: Any) -> str:
    """The loss function that the file names, without its parameters; empty where none is named."""
    return str(model.get_all_params().get("loss_function", "")).partition(":")[0]


def _found(model: Any, loss: str, path: Path, options: LoadOptions) -> Found:
    if model.get_embedding_feature_indices():
        raise _unreadable(path, "a feature is an embedding, an array in a row, which requests cannot bring")
    functions: dict[str, Callable[[Array], Any]] = {
        "predict": lambda given: model.predict(given, thread_count=options.threads)
    }
    if loss in _CLASSIFYING:
        functions["predict_proba"] = lambda given: model.predict_proba(given, thread_count=options.threads)

    def answer(array: Array, wanted: Sequence[str]) -> dict[str, Array]:
        return {name: _by_row(np.asarray(functions[name](array))) for name in wanted}

    names = [str(name) for name in model.feature_names_ or ()]
    texts = frozenset([*model.get_cat_feature_indices(), *model.get_text_feature_indices()])
    own_names = bool(texts) or names != [str(index) for index in range(len(names))]
    return Found(
        answer,
        outputs=tuple(functions),
        width=len(names),  # n_features_in_ is wrong for a model that was loaded
        platform="catboost_cbm",
        texts=texts,
        features=names if own_names else (),
        classes=np.asarray(model.classes_).tolist() if loss in _CLASSIFYING else (),
        nullable=model.get_all_params().get("nan_mode") != "Forbidden",
        notes={"objective": loss} if loss else {},
    )


def _by_row(values: Array) -> Array:
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _unreadable(path: Path, problem: str) -> ModelError:
    return ModelError(Reason.MODEL_LOAD_FAILED, f"catboost {catboost.__version__} cannot load {path.name}: {problem}")
