"""Model folders of MLflow: which file its `MLmodel` names, of which format, and what its signature says.

MLflow itself is neither needed nor imported. A flavour is a format here: sklearn (skops, or pickles under the usual
policy), xgboost, lightgbm, catboost, onnx. A folder that holds only a Python function (`pyfunc`) is refused: it is
code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.metadata import Datatype, Metadata, Tensor

FILENAME: Final = "MLmodel"
_LARGEST: Final = 16 * 2**20
# By flavour: the key under which it keeps its file, and the key of its library's version.
_FLAVOURS: Final = {
    "onnx": ("data", "onnx_version"),
    "xgboost": ("data", "xgb_version"),
    "lightgbm": ("data", "lgb_version"),
    "catboost": ("data", "catboost_version"),
    "sklearn": ("pickled_model", "sklearn_version"),
}
_LIBRARIES: Final = {"sklearn": "scikit-learn"}
_DATATYPES: Final[Mapping[str, Datatype]] = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
}


@dataclass(frozen=True, slots=True)
class Flavour:
    """What an MLflow folder turns out to hold."""

    path: Path
    format: str
    metadata: Metadata


def read(folder: Path, format_name: str | None = None) -> Flavour:
    """Read the folder's `MLmodel`.

    Args:
        folder: the folder.
        format_name: the format to take, where the user has said so.

    Raises ModelError: METADATA_INVALID, FORMAT_UNKNOWN, MODEL_NOT_FOUND.

    """
    document = _document(folder / FILENAME)
    flavours = document.get("flavors")
    if not isinstance(flavours, dict) or not flavours:
        raise _invalid('it has no "flavors"')
    name = _chosen(flavours, format_name)
    flavour = flavours[name]
    key, version = _FLAVOURS[name]
    if not isinstance(flavour, dict) or not isinstance(flavour.get(key), str):
        raise _invalid(f"flavors.{name} has no {key}, which names the file")
    path = _file(folder, flavour[key])
    producer = {
        label: str(value)
        for label, value in (
            ("mlflow", document.get("mlflow_version")),
            ("python", (flavours.get("python_function") or {}).get("python_version")),
            (_LIBRARIES.get(name, name), flavour.get(version)),
        )
        if value
    }
    signature = {} if name == "onnx" else _signature(document)  # an ONNX file has its own names
    return Flavour(path, _format(name, flavour, path), Metadata(producer=producer or None, **signature))


def _document(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _LARGEST:
        raise _invalid(f"it is larger than {_LARGEST >> 20} MiB")
    try:
        document = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 a safe one
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _invalid(" ".join(str(error).split())[:300]) from error
    if not isinstance(document, dict):
        raise _invalid("it holds no mapping")
    return document


def _chosen(flavours: Mapping[str, Any], format_name: str | None) -> str:
    known = [name for name in _FLAVOURS if name in flavours]
    wanted = "sklearn" if format_name == "skops" else format_name
    if wanted is not None:
        if wanted not in known:
            raise ModelError(
                Reason.FORMAT_UNKNOWN,
                f"the format is said to be {format_name}, and {FILENAME} has {', '.join(map(str, flavours))}",
            )
        return wanted
    if known:
        return known[0]
    others = [str(name) for name in flavours if name != "python_function"]
    if others:
        raise ModelError(
            Reason.FORMAT_UNKNOWN,
            f"{FILENAME} has the flavour {', '.join(others)}; supported are {', '.join(_FLAVOURS)}",
        )
    raise ModelError(
        Reason.CODE_REFUSED,
        f"{FILENAME} has the flavour python_function only, which is Python code to be run; log the model with the "
        f"flavour of its library ({', '.join(_FLAVOURS)}), or serve it with an image of your own",
    )


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise _invalid(f"the file {name} is outside the folder")
    if not path.is_file():
        raise ModelError(Reason.MODEL_NOT_FOUND, f"{FILENAME} names the file {name}, which is not there")
    return path


def _format(name: str, flavour: Mapping[str, Any], path: Path) -> str:
    if name == "sklearn":
        return "skops" if flavour.get("serialization_format") == "skops" else "sklearn"
    if path.suffix == ".pkl":
        raise ModelError(
            Reason.FORMAT_UNKNOWN,
            f"{path.name} is a pickle of {flavour.get('model_class', name)}, which is not served; log its booster "
            f"instead (mlflow.{name}.log_model(model.booster_, …))",
        )
    return name


def _signature(document: Mapping[str, Any]) -> dict[str, Any]:
    """Names of a row's values; and where texts are among them, an input for each column."""
    signature = document.get("signature")
    text = signature.get("inputs") if isinstance(signature, dict) else None
    if not text:
        return {}
    try:
        columns = orjson.loads(text)
    except ValueError as error:
        raise _invalid(f"signature.inputs: {error}") from error
    if not isinstance(columns, list) or not all(isinstance(column, dict) for column in columns):
        raise _invalid("signature.inputs: expected a list of columns")
    if any(column.get("type") == "tensor" or not column.get("name") for column in columns):
        return {}  # one tensor, whose shape the model knows itself
    return _columns(columns)


def _columns(columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = tuple(str(column["name"]) for column in columns)
    datatypes = [_DATATYPES.get(str(column.get("type"))) for column in columns]
    for column, datatype in zip(columns, datatypes, strict=True):
        if datatype is None:
            raise _invalid(
                f'signature.inputs: "{column["name"]}" is of type {column.get("type")!s:.40}, '
                "which a request cannot bring"
            )
    if "BYTES" not in datatypes:
        return {"feature_names": names}
    inputs = tuple(Tensor(name=name, datatype=datatype) for name, datatype in zip(names, datatypes, strict=True))
    return {"inputs": inputs}


def _invalid(problem: str) -> ModelError:
    return ModelError(Reason.METADATA_INVALID, f"{FILENAME} is wrong: {problem}")
