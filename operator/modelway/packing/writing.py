"""Writing the folder of a model: its files, and `modelway.json`.

A folder appears whole or not at all: files are made in a hidden folder inside the target and moved at the end.
"""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
import numpy as np

from modelway import __version__
from modelway.packing.errors import UnwritableError
from modelway.server.formats.base import Model
from modelway.server.metadata import FILENAME, Golden, Metadata, Tensor
from modelway.server.tensors import Array, Batch, TensorSpec

if TYPE_CHECKING:
    from modelway.server.metadata import Datatype

GOLDEN_ROWS: Final = 5
_STAGING: Final = ".modelway-unfinished"


@contextmanager
def folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder to write into, whose content becomes `target`'s when nothing was raised.

    Raises UnwritableError where `target` holds files already and they are not to be replaced, or cannot be written.
    """
    staging = target / _STAGING
    try:
        target.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)
        if replace:
            _empty(target)
        there = sorted(target.iterdir())
        if there:
            raise UnwritableError(f"{target} holds {there[0].name} already; name a new or an empty folder")
        staging.mkdir()
        try:
            yield staging
            for path in staging.iterdir():
                path.rename(target / path.name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise UnwritableError(f"{error.filename or target}: {error.strerror or error}") from error


def _empty(target: Path) -> None:
    for path in target.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def write(metadata: Metadata, where: Path) -> None:
    """Write `modelway.json` into a folder: a field a line, for people to read."""
    said = msgspec.to_builtins(metadata)
    lines = [f"  {_json(name)}: {_field(name, value)}" for name, value in said.items()]
    (where / FILENAME).write_text("{\n" + ",\n".join(lines) + "\n}\n")


def described(
    model: Model, *, nullable: bool | None = None, outputs: Sequence[TensorSpec] | None = None
) -> dict[str, Any]:
    """What the metadata says of a model: its inputs, outputs, names and classes.

    Args:
        model: the model.
        nullable: whether missing values are taken; left out: where the model says so.
        outputs: what its outputs become; left out: what they are.

    """
    given = {spec.name: spec for spec in (model.outputs if outputs is None else outputs)}
    return {
        "inputs": tuple(
            Tensor(
                name=spec.name,
                datatype=cast("Datatype", spec.datatype),
                shape=spec.shape,
                nullable=(spec.nullable and nullable is not False) or None,
                lenient=spec.lenient or None,
            )
            for spec in model.inputs
        ),
        "outputs": tuple(
            Tensor(name=name, datatype=cast("Datatype", given[name].datatype), shape=given[name].shape)
            for name in model.default_outputs
        ),
        "feature_names": tuple(model.features) or None,
        "classes": tuple(model.classes) or None,
    }


def golden(
    model: Model, tensors: Mapping[str, Array], tolerance: float, *, outputs: Sequence[str] = ()
) -> tuple[Golden, ...]:
    """Golden requests from a model's own answers: some rows in V1, and the same in V2 with every output.

    Args:
        model: whose answers are right.
        tensors: the rows to choose from.
        tolerance: of the numbers in the answers.
        outputs: what V2 asks for; left out: all that there is.

    """
    rows = len(next(iter(tensors.values())))
    names = tuple(outputs) or tuple(spec.name for spec in model.outputs)
    answers = model.predict(Batch(tensors, rows, names))
    chosen = _chosen(tensors, answers, model.default_outputs, rows)
    if not len(chosen):
        return ()
    asked = {name: array[chosen] for name, array in tensors.items()}
    told = {name: np.asarray(answers[name])[chosen] for name in names}
    requests = [
        Golden(
            inputs=[_tensor(spec.name, spec.datatype, asked[spec.name]) for spec in model.inputs],
            outputs=[{"name": name, "data": _listed(told[name].reshape(-1))} for name in names],
            tolerance=tolerance,
        )
    ]
    if all(len(told[name].shape) for name in model.default_outputs):
        requests.insert(0, _rows(model, asked, told, tolerance))
    return tuple(requests)


def producer(libraries: Sequence[str]) -> dict[str, str]:
    """Versions of what made a model: Python's, modelway's, and those of the distributions that are installed."""
    found = {"python": ".".join(map(str, sys.version_info[:3])), "modelway": __version__}
    for library in libraries:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def _chosen(
    tensors: Mapping[str, Array], answers: Mapping[str, Array], defaults: Sequence[str], rows: int
) -> Sequence[int]:
    """Rows worth keeping: without missing values, with finite answers, and of as many different answers as can be."""
    plain = np.ones(rows, dtype=bool)
    for array in (*tensors.values(), *answers.values()):
        values = np.asarray(array)
        if values.dtype.kind == "f":
            plain &= np.isfinite(values.reshape(rows, -1)).all(axis=1)
    usable = np.flatnonzero(plain)
    first = np.asarray(answers[defaults[0]])
    by_answer: dict[str, int] = {}
    for row in usable.tolist():
        by_answer.setdefault(str(first[row]), row)
    different = list(by_answer.values())[:GOLDEN_ROWS]
    rest = [row for row in usable.tolist() if row not in different]
    return sorted([*different, *rest[: GOLDEN_ROWS - len(different)]])


def _rows(model: Model, asked: Mapping[str, Array], told: Mapping[str, Array], tolerance: float) -> Golden:
    if len(model.inputs) == 1:
        instances = _listed(asked[model.inputs[0].name])
    else:
        columns = {
            spec.name: asked[spec.name].reshape(-1) if spec.shape[1:] == (1,) else asked[spec.name]
            for spec in model.inputs
        }
        instances = [
            dict(zip(columns, row, strict=True))
            for row in zip(*(_listed(one) for one in columns.values()), strict=True)
        ]
    defaults = model.default_outputs
    if len(defaults) == 1:
        predictions = _listed(told[defaults[0]])
    else:
        predictions = [
            dict(zip(defaults, row, strict=True))
            for row in zip(*(_listed(told[name]) for name in defaults), strict=True)
        ]
    return Golden(instances=instances, predictions=predictions, tolerance=tolerance)


def _tensor(name: str, datatype: str, array: Array) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": _listed(array.reshape(-1))}


def _listed(array: Array) -> Any:
    """An array as lists; a narrow float with the digits that it has, not with those of its double."""
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        return np.array([float(str(value)) for value in array.reshape(-1)]).reshape(array.shape).tolist()
    return array.tolist()


def _field(name: str, value: Any) -> str:
    if name == "reference":
        return '{"features": ' + _list(value["features"]) + "}"
    return _list(value) if name == "golden" else _json(value)


def _list(items: Sequence[Any]) -> str:
    return "[\n" + ",\n".join(f"    {_json(item)}" for item in items) + "\n  ]"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)  # orjson leaves no blank after a comma
