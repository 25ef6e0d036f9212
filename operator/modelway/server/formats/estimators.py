"""A fitted scikit-learn estimator as a model, whatever file it came from (`sklearn`, `skops`).

An estimator says little about itself, so what it takes and gives is found out: the number of features from the fitted
attribute, the outputs by predicting a row of zeros, whether values may be missing by predicting a row without any.
Where the row of zeros is refused (a text or category expected), classes and the default of a regressor stand in. What
is declared in `modelway.json` wins.

Outputs are the methods that the estimator has of predict, predict_proba, decision_function and transform; a request
that does not ask gets the first. Several declared inputs are columns that are put side by side, which is how texts
and numbers come together in a row. An estimator that picks its columns by name gets a table, with an input for each.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import rows, tables
from modelway.server.formats.base import LoadOptions
from modelway.server.metadata import Metadata
from modelway.server.tensors import DTYPES, Array, Batch, TensorSpec, datatype_of

METHODS: Final = ("predict", "predict_proba", "decision_function", "transform")


@dataclass(frozen=True, slots=True)
class SklearnModel:
    """An estimator and what was found out about it."""

    estimator: Any
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    default_outputs: tuple[str, ...]
    platform: str
    by_name: bool = False
    features: tuple[str, ...] = ()
    classes: tuple[str | int | float | bool, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    def predict(self, batch: Batch) -> dict[str, Array]:
        """Call the estimator's methods; reading a fitted estimator is thread-safe."""
        given = _given({spec.name: batch.tensors[spec.name] for spec in self.inputs}, by_name=self.by_name)
        return {name: _call(self.estimator, name, given) for name in batch.wanted}


def model(estimator: Any, path: Path, options: LoadOptions, *, platform: str, notes: Mapping[str, str]) -> SklearnModel:
    """Find out what an estimator takes and gives. Raises ModelError."""
    if not any(hasattr(estimator, name) for name in METHODS):
        raise ModelError(
            Reason.MODEL_LOAD_FAILED,
            f"{path.name} holds a {type(estimator).__name__}, which has neither predict nor transform",
        )
    # Fitted on a table, asked with arrays: right as long as the order of columns is, so no line per request.
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    parts = list(_parts(estimator, set()))
    _prepare(parts, path)
    metadata = options.metadata
    by_name = tables.picks_by_name(parts)
    if by_name:
        tables.require(estimator, path)
        inputs = tables.inputs(estimator, parts, metadata)
    else:
        inputs = rows.inputs(_own_input(estimator), metadata)
    outputs = _outputs(estimator, inputs, path, by_name=by_name)
    width = getattr(estimator, "n_features_in_", None)
    return SklearnModel(
        estimator,
        inputs=_with_missing(estimator, inputs, metadata, by_name=by_name),
        outputs=outputs,
        default_outputs=rows.default_outputs(outputs, metadata),
        platform=platform,
        by_name=by_name,
        features=rows.features(
            [str(name) for name in getattr(estimator, "feature_names_in_", ())], width, inputs, metadata
        ),
        classes=rows.classes(_classes(estimator), metadata),
        notes={**notes, **(metadata.producer or {})},
    )


def _prepare(parts: Sequence[Any], path: Path) -> None:
    for part in parts:
        # Requests run side by side already; a forest that starts threads of its own for each is slower and, with
        # processes, may hang.
        if getattr(part, "n_jobs", None) not in {None, 1}:
            part.n_jobs = 1
        if getattr(part, "input", "content") in {"filename", "file"}:
            raise ModelError(
                Reason.CODE_REFUSED,
                f"{path.name} holds a {type(part).__name__} that opens the files which a request names",
            )


def parts(estimator: Any) -> list[Any]:
    """Every estimator in an estimator, itself and fitted ones included."""
    return list(_parts(estimator, set()))


def _parts(value: object, seen: set[int]) -> Iterator[Any]:
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


def _own_input(estimator: Any) -> TensorSpec:
    features = getattr(estimator, "n_features_in_", None)
    if features is None:  # a vectorizer of texts: it does not know a number of features
        return TensorSpec(rows.INPUT, "BYTES", (-1,), lenient=True)
    return TensorSpec(rows.INPUT, "BYTES" if _takes_texts(estimator) else "FP64", (-1, int(features)), lenient=True)


def _takes_texts(estimator: Any) -> bool:
    """Whether the first thing that is done with a row is to encode categories that all are texts."""
    first = estimator.steps[0][1] if hasattr(estimator, "steps") else estimator
    categories: list[Array] = getattr(first, "categories_", [])
    return bool(categories) and all(known.dtype.kind in "OU" for known in categories)


def _outputs(estimator: Any, inputs: Sequence[TensorSpec], path: Path, *, by_name: bool) -> tuple[TensorSpec, ...]:
    row = _given({spec.name: rows.row_of(spec) for spec in inputs}, by_name=by_name)
    found = []
    for name in METHODS:
        if not hasattr(estimator, name):
            continue
        try:
            value = _call(estimator, name, row)
            found.append(TensorSpec(name, datatype_of(value), (-1, *value.shape[1:])))
        except Exception as error:  # zeros may not be an answerable row of a good model
            if "dataframe" in str(error).lower():
                raise ModelError(
                    Reason.MODEL_LOAD_FAILED,
                    f"{path.name} wants a table in a way that is not understood; fit it with column numbers, "
                    f"or convert it to ONNX ({str(error).partition(chr(10))[0][:200]})",
                ) from error
            spec = _presumed(estimator, name)
            if spec is not None:
                found.append(spec)
    return tuple(found)


def _with_missing(
    estimator: Any, inputs: tuple[TensorSpec, ...], metadata: Metadata, *, by_name: bool
) -> tuple[TensorSpec, ...]:
    """The inputs, with those marked in which the estimator takes missing values."""
    method = next(name for name in METHODS if hasattr(estimator, name))
    zeros = {spec.name: rows.row_of(spec) for spec in inputs}
    numbers = {spec.name: rows.row_of(spec, np.nan) for spec in inputs if DTYPES[spec.datatype].kind == "f"}

    def takes(missing: dict[str, Array]) -> bool:
        try:
            _call(estimator, method, _given(zeros | missing, by_name=by_name))
        except Exception:  # noqa: BLE001 an estimator says no in many ways
            return False
        return True

    if not numbers or not takes({}):  # where zeros are refused nothing can be found out
        return inputs
    nullable = set(numbers) if takes(numbers) else {name for name in numbers if takes({name: numbers[name]})}
    return tuple(rows.nullable([spec], metadata, takes=spec.name in nullable)[0] for spec in inputs)


def _classes(estimator: Any) -> tuple[str | int | float | bool, ...]:
    """The labels of a classifier with one label a row."""
    known = getattr(estimator, "classes_", None)
    return tuple(known.tolist()) if isinstance(known, np.ndarray) and known.ndim == 1 else ()


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


def _given(columns: Mapping[str, Array], *, by_name: bool) -> Any:
    return tables.table(columns) if by_name else rows.side_by_side(tuple(columns.values()))


def _call(estimator: Any, method: str, given: Any) -> Array:
    value = getattr(estimator, method)(given)
    if hasattr(value, "toarray"):
        value = value.toarray()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{method} gives a {type(value).__name__}, not an array")
    return value
