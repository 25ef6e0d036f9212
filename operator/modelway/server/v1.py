"""The V1 protocol (TensorFlow Serving's row format, as KServe speaks it): `instances` in, `predictions` out. Pure.

A model with one input takes rows as they are: `{"instances": [[5.1, 3.5, 1.4, 0.2]]}`. A model with several takes an
object per row with a value per input: `{"instances": [{"age": 41, "city": "Vigo"}]}`. A model with one output answers
its values, one per row; a model with several an object per row, as TensorFlow Serving does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelway.server import body as json_body
from modelway.server.arrays import describe, from_json
from modelway.server.errors import InvalidInputError, RequestError
from modelway.server.formats.base import Model
from modelway.server.tensors import Array, Batch, TensorSpec
from modelway.server.wire import Request


def parse(body: bytes, model: Model) -> Request:
    """Read a predict request for `model`. Raises InvalidInputError."""
    request = json_body.read_object(body)
    if "instances" not in request:
        raise InvalidInputError('the body has no "instances"')
    instances = request["instances"]
    if not isinstance(instances, list):
        raise InvalidInputError(f"instances: expected an array of rows, found {describe(instances)}")
    if not instances:
        raise InvalidInputError("instances: empty; at least one row is needed")
    has_booleans = json_body.may_hold_booleans(body)
    if len(model.inputs) == 1 and not isinstance(instances[0], dict):
        spec = model.inputs[0]
        tensors = {spec.name: _rows(instances, spec, model.features, has_booleans=has_booleans)}
    else:
        _check_objects(instances, model.inputs)
        tensors = {spec.name: _column(instances, spec, has_booleans=has_booleans) for spec in model.inputs}
    return Request(Batch(tensors, rows=len(instances), wanted=model.default_outputs))


def render(outputs: Mapping[str, Array], request: Request, *, name: str, version: str | None) -> bytes:
    """Write the answer. V1 has no place for the model's name and version."""
    del name, version
    batch = request.batch
    columns: dict[str, Any] = {}
    for output in batch.wanted:
        array = outputs[output]
        if array.shape[:1] != (batch.rows,):
            raise RequestError(
                500, f'output "{output}" of shape {list(array.shape)} has no row per instance; use the V2 protocol'
            )
        columns[output] = array
    if len(columns) == 1:
        return json_body.write({"predictions": jsonable(columns.popitem()[1])})
    names = tuple(columns)
    rows = zip(*(_by_row(array) for array in columns.values()), strict=True)
    return json_body.write({"predictions": [dict(zip(names, row, strict=True)) for row in rows]})


def jsonable(array: Array) -> object:
    """An array in a form that orjson writes: itself where orjson knows it, else as lists."""
    return array.tolist() if array.dtype.kind in "OUST" else np.ascontiguousarray(array)


def _by_row(array: Array) -> list[Any]:
    # Narrow floats as numpy's own, not Python's: an FP32 is then written with the 9 digits it has, not with 17.
    is_narrow = array.dtype.kind == "f" and array.dtype.itemsize < 8
    return list(np.ascontiguousarray(array)) if is_narrow else array.tolist()


def _rows(instances: list[Any], spec: TensorSpec, features: Sequence[str], *, has_booleans: bool) -> Array:
    if len(spec.shape) > 1 and not isinstance(instances[0], list):
        raise InvalidInputError(
            f"instances[0]: {describe(instances[0])}, where {_row_of(spec)} is expected; "
            "each row is an array of its own: [[…], […]]"
        )
    array = from_json(
        instances, datatype=spec.datatype, where="instances", has_booleans=has_booleans, features=features
    )
    check_shape(array.shape, spec, "instances")
    return array


def _column(instances: list[Any], spec: TensorSpec, *, has_booleans: bool) -> Array:
    values = [row[spec.name] for row in instances]
    try:
        array = from_json(values, datatype=spec.datatype, where="", has_booleans=has_booleans)
    except InvalidInputError as error:
        # Positions were counted inside the column: [3]… of it is instances[3].name….
        index, _, rest = error.message.removeprefix("[").partition("]")
        where = f"instances[{index}].{spec.name}" if index.isdigit() else f"instances[].{spec.name}"
        raise InvalidInputError(where + (rest if index.isdigit() else error.message)) from None
    # Converters give each column of a table an input of shape [-1, 1]; in a row it is a plain value.
    if spec.shape[1:] == (1,) and array.ndim == 1:
        array = array.reshape(-1, 1)
    check_shape(array.shape, spec, f"instances[].{spec.name}")
    return array


def _check_objects(instances: list[Any], inputs: Sequence[TensorSpec]) -> None:
    names = [spec.name for spec in inputs]
    known = set(names)
    for index, row in enumerate(instances):
        if not isinstance(row, dict):
            raise InvalidInputError(
                f"instances[{index}]: {describe(row)}, where an object with a value for each input is expected: "
                + ", ".join(names)
            )
        if row.keys() != known:
            missing = [name for name in names if name not in row]
            if missing:
                raise InvalidInputError(f'instances[{index}]: no value for input "{missing[0]}"')
            unknown = next(name for name in row if name not in known)
            raise InvalidInputError(
                f"instances[{index}].{unknown}: the model has no such input; it has {', '.join(names)}"
            )


def check_shape(shape: tuple[int, ...], spec: TensorSpec, where: str) -> None:
    """Raise InvalidInputError unless rows of this shape fit the input."""
    if spec.fits(shape):
        return
    if len(shape) == len(spec.shape) == 2 and spec.shape[1] not in {-1, shape[1]}:
        raise InvalidInputError(f"{where}[0]: {shape[1]} values, where {_row_of(spec)} is expected")
    raise InvalidInputError(
        f'{where}: shape {list(shape)} does not fit the model\'s input "{spec.name}" of shape {list(spec.shape)}'
    )


def _row_of(spec: TensorSpec) -> str:
    kind = {"BYTES": "texts", "BOOL": "booleans"}.get(spec.datatype, "numbers")
    if len(spec.shape) == 2 and spec.shape[1] != -1:
        return f"a row of {spec.shape[1]} {kind if spec.shape[1] != 1 else kind[:-1]}"
    return f"a row of shape {list(spec.shape[1:])}"
