"""Feature engineering that travels with the model: what `transform` of `modelway.json` names is done to every request.

Two kinds. A fitted scikit-learn transformer, from a file beside the model, under the same policy as a model of that
format. Or a Python module of the model's maker, which is run and so needs `code: Trust`; it has a function

    def transform(tensors: dict[str, numpy.ndarray]) -> numpy.ndarray | dict[str, numpy.ndarray]

which gets the inputs that `modelway.json` declares and gives the model's input, or a dictionary with all of them.

The result takes what the transform takes and gives what the model gives. Called by `loading` once, when the model is
loaded; imports nothing heavy by itself.
"""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec import structs

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.code import Code
from modelway.server.formats.base import LoadOptions, Model
from modelway.server.locate import Located, locate
from modelway.server.metadata import FILENAME, Metadata, Transform
from modelway.server.tensors import DTYPES, Array, Batch, TensorSpec

OUTPUT: Final = "transform"

Function = Callable[[Mapping[str, Array]], object]


@dataclass(frozen=True, slots=True)
class Transformed:
    """A model behind a transform. What is not said here is the model's own."""

    model: Model
    function: Function
    name: str
    inputs: tuple[TensorSpec, ...]
    features: tuple[str, ...]
    estimator: Any = None

    @property
    def platform(self) -> str:
        return self.model.platform

    @property
    def outputs(self) -> Sequence[TensorSpec]:
        return self.model.outputs

    @property
    def default_outputs(self) -> tuple[str, ...]:
        return self.model.default_outputs

    @property
    def classes(self) -> Sequence[str | int | float | bool]:
        return self.model.classes

    @property
    def notes(self) -> Mapping[str, str]:
        return {**self.model.notes, "transform": self.name}

    def predict(self, batch: Batch) -> Mapping[str, Array]:
        """Transform the rows and ask the model."""
        try:
            given = self.function(batch.tensors)
        except Exception as error:
            raise TransformError(f"transform {self.name}: {type(error).__name__}: {error}") from error
        return self.model.predict(Batch(self._fitted(given, batch.rows), batch.rows, batch.wanted))

    def _fitted(self, given: object, rows: int) -> dict[str, Array]:
        """What the transform gave as the model's inputs."""
        specs = {spec.name: spec for spec in self.model.inputs}
        named = given if isinstance(given, Mapping) else {next(iter(specs)): given}
        if named.keys() != specs.keys():
            raise TransformError(
                f"transform {self.name} gives {', '.join(map(str, named))}, where the model takes {', '.join(specs)}"
            )
        return {name: self._input(named[name], spec, rows) for name, spec in specs.items()}

    def _input(self, value: Any, spec: TensorSpec, rows: int) -> Array:
        array = np.asarray(value.toarray() if hasattr(value, "toarray") else value)
        dtype = DTYPES[spec.datatype]
        if dtype.kind != "O" and array.dtype.kind not in "biuf":
            raise TransformError(f'transform {self.name} gives {array.dtype} for "{spec.name}" of {spec.datatype}')
        if array.ndim == 1 and spec.shape[1:] == (1,):
            array = array.reshape(-1, 1)
        if not spec.fits(array.shape) or array.shape[:1] != (rows,):
            raise TransformError(
                f"transform {self.name} gives shape {list(array.shape)} for {rows} rows, where the model's input "
                f'"{spec.name}" has {list(spec.shape)}'
            )
        return np.ascontiguousarray(array.astype(dtype, copy=False))


class TransformError(Exception):
    """A transform raised, or gave what the model cannot take. One request fails by it."""


def without(metadata: Metadata) -> Metadata:
    """What is left for the model itself to know: inputs and feature names are the transform's where there is one."""
    if metadata.transform is None:
        return metadata
    return structs.replace(metadata, inputs=None, feature_names=None)


def before(model: Model, located: Located, options: LoadOptions) -> Model:
    """The model, behind its transform where it has one. Raises ModelError."""
    transform = located.metadata.transform
    if transform is None:
        return model
    path = _path(located.path.parent, transform)
    if transform.module is not None:
        return _module(model, path, located.metadata, options)
    return _estimator(model, path, located.metadata, options)


def _path(folder: Path, transform: Transform) -> Path:
    name = transform.file or transform.module or ""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError(Reason.METADATA_INVALID, f"{FILENAME}: transform {name} is outside the model's folder")
    if not path.is_file():
        raise ModelError(Reason.MODEL_NOT_FOUND, f"{FILENAME} names the transform {name}, which is not there")
    return path


def _estimator(model: Model, path: Path, metadata: Metadata, options: LoadOptions) -> Model:
    found = locate(path)
    if found.entry.runs_code and options.code is Code.REFUSE:
        raise ModelError(
            Reason.CODE_REFUSED,
            f"the transform {path.name} is of a format that can run code when it is loaded, and the policy is "
            "code: Refuse; save it with skops, or set code: AllowList",
        )
    own = Metadata(inputs=metadata.inputs, feature_names=metadata.feature_names)
    loaded = found.entry.format().load(path, replace(options, metadata=own))
    if OUTPUT not in {spec.name for spec in loaded.outputs}:
        raise ModelError(
            Reason.MODEL_LOAD_FAILED, f"the transform {path.name} has no method transform; it is no transformer"
        )
    _check_width(loaded, model, path)

    def function(tensors: Mapping[str, Array]) -> object:
        rows = len(next(iter(tensors.values())))
        return loaded.predict(Batch(tensors, rows, (OUTPUT,)))[OUTPUT]

    return Transformed(
        model,
        function,
        path.name,
        inputs=tuple(loaded.inputs),
        features=tuple(loaded.features),
        estimator=getattr(loaded, "estimator", None),
    )


def _check_width(loaded: Model, model: Model, path: Path) -> None:
    """Raise where it is plain already that the two do not fit."""
    given = next(spec for spec in loaded.outputs if spec.name == OUTPUT)
    if len(model.inputs) != 1:
        raise ModelError(
            Reason.METADATA_INVALID,
            f"the transform {path.name} gives one table, where the model has {len(model.inputs)} inputs",
        )
    wanted = model.inputs[0]
    if -1 not in given.shape[1:] and not wanted.fits((1, *given.shape[1:])):
        raise ModelError(
            Reason.METADATA_INVALID,
            f"the transform {path.name} gives shape {list(given.shape)}, where the model takes {list(wanted.shape)}",
        )


def _module(model: Model, path: Path, metadata: Metadata, options: LoadOptions) -> Model:
    if options.code is not Code.TRUST:
        raise ModelError(
            Reason.CODE_REFUSED,
            f"the transform {path.name} is a Python program, which is run only with code: Trust; "
            "a fitted scikit-learn transformer in a file needs less",
        )
    if metadata.inputs is None:
        raise ModelError(
            Reason.METADATA_INVALID,
            f"{FILENAME} declares no inputs, so nobody knows what the transform {path.name} takes",
        )
    return Transformed(
        model,
        _function(path),
        path.name,
        inputs=tuple(_declared(tensor) for tensor in metadata.inputs),
        features=metadata.feature_names or () if len(metadata.inputs) == 1 else (),
    )


def _declared(tensor: Any) -> TensorSpec:
    if tensor.datatype is None or tensor.shape is None:
        raise ModelError(
            Reason.METADATA_INVALID,
            f"{FILENAME}: the input {tensor.name} of a transform in Python needs a datatype and a shape",
        )
    return TensorSpec(
        tensor.name, tensor.datatype, tensor.shape, lenient=bool(tensor.lenient), nullable=bool(tensor.nullable)
    )


def _function(path: Path) -> Function:
    """Run a module; gives its `transform`."""
    spec = importlib.util.spec_from_file_location(f"modelway_transform_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ModelError(
            Reason.MODEL_LOAD_FAILED, f"the transform {path.name} is no Python file: its name must end with .py"
        )
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ModelError(
            Reason.MODEL_LOAD_FAILED, f"the transform {path.name} cannot be run: {type(error).__name__}: {error}"
        ) from error
    function: Function | None = getattr(module, "transform", None)
    if not callable(function):
        raise ModelError(Reason.MODEL_LOAD_FAILED, f"the transform {path.name} has no function transform")
    return function
