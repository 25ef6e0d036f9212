"""scikit-learn models from pickle and joblib files, through the allow-list.

An estimator says little about itself, so what it takes and gives is found out: the number of features from the fitted
attribute, the outputs by predicting a row of zeros. Where that row is refused (a text or category expected), classes
and the default of a regressor stand in. What is declared in `modelway.json` wins.

Outputs are the methods that the estimator has of predict, predict_proba, decision_function and transform; a request
that does not ask gets the first. Several declared inputs are columns that are put side by side, which is how texts
and numbers come together in a row.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import sklearn
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import allowlist, unpickle
from modelway.server.formats.base import LoadOptions
from modelway.server.metadata import FILENAME, Metadata
from modelway.server.tensors import DTYPES, Array, Batch, TensorSpec, datatype_of

METHODS: Final = ("predict", "predict_proba", "decision_function", "transform")
INPUT: Final = "X"


@dataclass(frozen=True, slots=True)
class SklearnModel:
    """An estimator and what was found out about it."""

    estimator: Any
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    default_outputs: tuple[str, ...]
    platform: str
    features: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    def predict(self, batch: Batch) -> dict[str, Array]:
        """Call the estimator's methods; reading a fitted estimator is thread-safe."""
        rows = _side_by_side([batch.tensors[spec.name] for spec in self.inputs])
        return {name: _call(self.estimator, name, rows) for name in batch.wanted}


def load(path: Path, options: LoadOptions) -> SklearnModel:
    """Load a pickle or joblib file. Raises ModelError."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InconsistentVersionWarning)
        estimator = unpickle.load(path, allowlist.allowed() | options.allowed_globals)
    if not any(hasattr(estimator, name) for name in METHODS):
        raise ModelError(
            Reason.MODEL_LOAD_FAILED,
            f"{path.name} holds a {type(estimator).__name__}, which has neither predict nor transform",
        )
    # Fitted on a table, asked with arrays: right as long as the order of columns is, so no line per request.
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    _prepare(estimator, path)
    inputs = _inputs(estimator, options.metadata)
    outputs = _outputs(estimator, inputs, path)
    return SklearnModel(
        estimator,
        inputs=inputs,
        outputs=outputs,
        default_outputs=_default_outputs(outputs, options.metadata),
        platform="sklearn_joblib" if path.suffix == ".joblib" else "sklearn_pickle",
        features=_features(estimator, options.metadata) if len(inputs) == 1 else (),
        notes=_notes(caught, options.metadata),
    )


def _prepare(estimator: object, path: Path) -> None:
    for part in _parts(estimator, set()):
        # Requests run side by side already; a forest that starts threads of its own for each is slower and, with
        # processes, may hang.
        if getattr(part, "n_jobs", None) not in {None, 1}:
            part.n_jobs = 1
        if getattr(part, "input", "content") in {"filename", "file"}:
            raise ModelError(
                Reason.CODE_REFUSED,
                f"{path.name} holds a {type(part).__name__} that opens the files which a request names",
            )


def _parts(value: object, seen: set[int]) -> Iterator[Any]:
    """Every estimator in an estimator, fitted ones included."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, BaseEstimator):
        yield value
        for attribute in vars(value).values():
            yield from _parts(attribute, seen)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _parts(item, seen)
    elif isinstance(value, dict):
        yield from _parts(list(value.values()), seen)
    elif isinstance(value, np.ndarray) and value.dtype == object:
        yield from _parts(value.tolist(), seen)


def _inputs(estimator: Any, metadata: Metadata) -> tuple[TensorSpec, ...]:
    features = getattr(estimator, "n_features_in_", None)
    if features is None:  # a vectorizer of texts: it does not know a number of features
        own = TensorSpec(INPUT, "BYTES", (-1,), lenient=True)
    else:
        own = TensorSpec(INPUT, "BYTES" if _takes_texts(estimator) else "FP64", (-1, int(features)), lenient=True)
    if metadata.inputs is None:
        return (own,)
    alone = len(metadata.inputs) == 1
    specs = tuple(
        TensorSpec(
            tensor.name,
            tensor.datatype or own.datatype,
            tensor.shape or (own.shape if alone else (-1, 1)),
            lenient=alone or tensor.datatype != "BYTES",
        )
        for tensor in metadata.inputs
    )
    widths = [spec.shape[1] if len(spec.shape) == 2 else None for spec in specs]
    if features is not None and None not in widths and -1 not in widths and sum(filter(None, widths)) != features:
        raise ModelError(
            Reason.METADATA_INVALID,
            f"{FILENAME} contradicts the model: inputs have {sum(filter(None, widths))} columns, the model {features}",
        )
    return specs


def _takes_texts(estimator: Any) -> bool:
    """Whether the first thing that is done with a row is to encode categories that all are texts."""
    first = estimator.steps[0][1] if hasattr(estimator, "steps") else estimator
    categories: list[Array] = getattr(first, "categories_", [])
    return bool(categories) and all(known.dtype.kind in "OU" for known in categories)


def _outputs(estimator: Any, inputs: Sequence[TensorSpec], path: Path) -> tuple[TensorSpec, ...]:
    arrays = [
        np.full(
            [max(size, 1) for size in spec.shape], "" if spec.datatype == "BYTES" else 0, dtype=DTYPES[spec.datatype]
        )
        for spec in inputs
    ]
    rows = _side_by_side(arrays)
    found = []
    for name in METHODS:
        if not hasattr(estimator, name):
            continue
        try:
            value = _call(estimator, name, rows)
            found.append(TensorSpec(name, datatype_of(value), (-1, *value.shape[1:])))
        except Exception as error:  # zeros may not be an answerable row of a good model
            if "dataframe" in str(error).lower():
                raise ModelError(
                    Reason.MODEL_LOAD_FAILED,
                    f"{path.name} picks columns by name, which needs a table; fit it with column numbers, "
                    f"or convert it to ONNX ({str(error).partition(chr(10))[0][:200]})",
                ) from error
            spec = _presumed(estimator, name)
            if spec is not None:
                found.append(spec)
    return tuple(found)


def _presumed(estimator: Any, method: str) -> TensorSpec | None:
    """What a method gives, as far as the estimator tells without being asked; None where it has no array form."""
    classes = getattr(estimator, "classes_", None)
    if isinstance(classes, list):  # several labels a row: a list of arrays
        return TensorSpec(method, "INT64", (-1, len(classes))) if method == "predict" else None
    if method == "predict":
        return TensorSpec(method, "FP64" if classes is None else datatype_of(np.asarray(classes)), (-1,))
    if method == "predict_proba":
        return TensorSpec(method, "FP64", (-1, len(classes) if classes is not None else -1))
    return TensorSpec(method, "FP64", (-1, -1) if method == "transform" else (-1,))


def _default_outputs(outputs: tuple[TensorSpec, ...], metadata: Metadata) -> tuple[str, ...]:
    names = [spec.name for spec in outputs]
    if metadata.outputs is None:
        return (names[0],)
    for tensor in metadata.outputs:
        if tensor.name not in names:
            raise ModelError(
                Reason.METADATA_INVALID,
                f'{FILENAME} contradicts the model: outputs names "{tensor.name}", the model has {", ".join(names)}',
            )
    return tuple(tensor.name for tensor in metadata.outputs)


def _features(estimator: Any, metadata: Metadata) -> tuple[str, ...]:
    return metadata.feature_names or tuple(str(name) for name in getattr(estimator, "feature_names_in_", ()))


def _notes(caught: list[warnings.WarningMessage], metadata: Metadata) -> dict[str, str]:
    notes = dict(metadata.producer or {})
    versions = sorted(
        {
            str(item.message.original_sklearn_version)
            for item in caught
            if isinstance(item.message, InconsistentVersionWarning)
        }
    )
    if versions:
        notes["scikit-learn"] = versions[0]
        notes["warning"] = (
            f"made with scikit-learn {', '.join(versions)} and served with {sklearn.__version__}: "
            "answers may differ; golden requests in modelway.json would tell"
        )
    return notes


def _side_by_side(columns: Sequence[Array]) -> Array:
    if len(columns) == 1:
        return columns[0]
    wide = [column.reshape(len(column), -1) for column in columns]
    if any(column.dtype == object for column in wide):
        wide = [column.astype(object) for column in wide]
    return np.hstack(wide)


def _call(estimator: Any, method: str, rows: Array) -> Array:
    value = getattr(estimator, method)(rows)
    if hasattr(value, "toarray"):
        value = value.toarray()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{method} gives a {type(value).__name__}, not an array")
    return value
