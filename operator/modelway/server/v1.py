"""The V1 protocol (TensorFlow Serving's REST, as KServe speaks it), and MLflow's names for tables. Pure.

    {"instances": [[5.1, 3.5, 1.4, 0.2]]}                          rows of a model with one input
    {"instances": [{"age": 41, "city": "Vigo"}]}                   a value for each input, or for each feature
    {"inputs": {"age": [41, 52], "city": ["Vigo", "Lugo"]}}        columns; or the tensor itself of a model with one
    {"dataframe_split": {"columns": ["age"], "data": [[41]]}}      pandas' orient="split"
    {"dataframe_records": [{"age": 41}]}                           pandas' orient="records"

Rows are answered by rows, `predictions`: values where the model has one output, else an object for each row. `inputs`
is answered by columns, `outputs`: a tensor, or one for each output. https://www.tensorflow.org/tfx/serving/api_rest
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from modelway.server import base64_texts, json_numbers, table
from modelway.server import body as json_body
from modelway.server.arrays import at, describe, from_json
from modelway.server.errors import InvalidInputError, RequestError
from modelway.server.exchange import Answer
from modelway.server.signature import Signature
from modelway.server.tensors import Array, TensorSpec
from modelway.server.validation import batch, check_shape, quoted, row_of
from modelway.server.wire import Request

DEFAULT_SIGNATURE: Final = "serving_default"


@dataclass(frozen=True, slots=True)
class ColumnsRequest(Request):
    """A request that is answered by columns."""


def parse(body: bytes, signature: Signature) -> Request:
    """Read a predict request. Raises RequestError with the position of what is wrong."""
    if (tensors := _plain(body, signature)) is not None:
        return Request(batch(tensors, signature, signature.default_outputs, "instances"))
    request = json_body.read_object(body)
    if len(request) == 1 and "instances" in request:  # nearly always
        form = "instances"
    else:
        form = _form(request)
        _check_signature_name(request)
    given = request[form]
    if b"b" in body and b'"b64"' in body:  # the first alone takes hardly any time
        given = base64_texts.decoded(given, form)
    tensors = _FORMS[form](given, signature, has_booleans=json_body.may_hold_booleans(body))
    rows = batch(tensors, signature, signature.default_outputs, form)
    return ColumnsRequest(rows) if form == "inputs" else Request(rows)


def render(outputs: Mapping[str, Array], request: Request, *, name: str, version: str | None) -> Answer:
    """Write the answer. V1 has no place for the model's name and version."""
    del name, version
    return _answer(outputs, request, "outputs" if type(request) is ColumnsRequest else "predictions")


def render_as_mlflow(outputs: Mapping[str, Array], request: Request, *, name: str, version: str | None) -> Answer:
    """The same as MLflow's scoring server answers: columns are `predictions` too.

    https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally: "Inference Server Specification".
    """
    del name, version
    return _answer(outputs, request, "predictions")


def _answer(outputs: Mapping[str, Array], request: Request, what: str) -> Answer:
    wanted = request.batch.wanted
    if type(request) is ColumnsRequest:
        tensors = {output: jsonable(outputs[output]) for output in wanted}
        return Answer(200, json_body.write({what: tensors if len(tensors) != 1 else tensors[wanted[0]]}))
    count = request.batch.rows
    for output in wanted:
        shape = outputs[output].shape
        if shape[:1] != (count,):
            raise RequestError(
                500,
                f'output "{output}" of shape {list(shape)} has no row per instance; use "inputs", or the V2 protocol',
            )
    if len(wanted) == 1:
        return Answer(200, json_body.write({what: jsonable(outputs[wanted[0]])}))
    rows = zip(*(_by_row(outputs[output]) for output in wanted), strict=True)
    return Answer(200, json_body.write({what: [dict(zip(wanted, row, strict=True)) for row in rows]}))


def jsonable(array: Array) -> object:
    """An array in a form that orjson writes: itself where orjson knows it, else as lists."""
    if array.dtype.kind in "OUST":
        return _texts(array)
    return np.ascontiguousarray(array) if array.ndim else array[()]


def _by_row(array: Array) -> list[Any]:
    # Narrow floats as numpy's own, not Python's: an FP32 is then written with the 9 digits it has, not with 17.
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        return list(np.ascontiguousarray(array))
    rows: list[Any] = _texts(array) if array.dtype.kind in "OUST" else array.tolist()
    return rows


def _texts(array: Array) -> Any:
    values = array.tolist()
    return base64_texts.encoded(values) if array.dtype.kind in "OS" else values


def _form(request: dict[str, Any]) -> str:
    found = [form for form in _FORMS if form in request]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InvalidInputError(f'the body has no "instances" (nor {quoted(list(_FORMS)[1:])})')
    raise InvalidInputError(f"the body has {quoted(found)}; give one of them")


def _check_signature_name(request: dict[str, Any]) -> None:
    asked = request.get("signature_name", "")
    if asked not in ("", DEFAULT_SIGNATURE):
        raise InvalidInputError(
            f'signature_name: {describe(asked)} is not known; the model has "{DEFAULT_SIGNATURE}" alone'
        )


def _instances(instances: object, signature: Signature, *, has_booleans: bool) -> dict[str, Array]:
    rows = _some(instances, "instances", "rows")
    only = signature.only
    if only is None or isinstance(rows[0], dict):
        return table.from_objects(rows, signature, "instances", has_booleans=has_booleans)
    if len(only.shape) > 1 and not isinstance(rows[0], list):
        raise InvalidInputError(
            f"instances[0]: {describe(rows[0])}, where {row_of(only)} is expected; "
            "each row is an array of its own: [[…], […]]"
        )
    return _tensor(rows, only, "instances", signature, has_booleans=has_booleans)


def _plain(body: bytes, signature: Signature) -> dict[str, Array] | None:
    """Rows of numbers for a model with one input; None where they are anything else, wrong ones included."""
    only = signature.only
    if only is None or len(only.shape) != 2 or not only.datatype.startswith("FP"):
        return None
    numbers = json_numbers.rows(body)
    if numbers is None or not only.fits(numbers.shape):
        return None
    array = json_numbers.fitted(numbers, only)
    return None if array is None else {only.name: array}


def _inputs(inputs: object, signature: Signature, *, has_booleans: bool) -> dict[str, Array]:
    if isinstance(inputs, dict):
        return table.from_columns(inputs, signature, "inputs", has_booleans=has_booleans)
    if signature.only is None:
        raise InvalidInputError(
            f"inputs: {describe(inputs)}, where an object with an array for each input is expected: "
            + ", ".join(signature.by_name)
        )
    return _tensor(inputs, signature.only, "inputs", signature, has_booleans=has_booleans)


def _tensor(
    values: object, spec: TensorSpec, root: str, signature: Signature, *, has_booleans: bool
) -> dict[str, Array]:
    place = at(root, signature.features)
    array = from_json(values, spec, place, has_booleans=has_booleans)
    check_shape(array.shape, spec, place)
    return {spec.name: array}


def _split(given: object, signature: Signature, *, has_booleans: bool) -> dict[str, Array]:
    where = "dataframe_split"
    if not isinstance(given, dict):
        raise InvalidInputError(f'{where}: expected an object with "columns" and "data", found {describe(given)}')
    if unknown := [key for key in given if key not in {"columns", "data", "index"}]:
        raise InvalidInputError(f'{where}: has "columns", "data" and "index", and not {quoted(unknown)}')
    columns, data = _some(given.get("columns"), f"{where}.columns", "names"), given.get("data")
    for index, column in enumerate(columns):
        if not isinstance(column, str):
            raise InvalidInputError(f"{where}.columns[{index}]: {describe(column)} is no text")
    rows = _some(data, f"{where}.data", "rows")
    for index, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            found = f"{len(row)} values" if isinstance(row, list) else describe(row)
            raise InvalidInputError(f"{where}.data[{index}]: {found}, where columns names {len(columns)}")
    position = {name: index for index, name in enumerate(columns)}
    return table.from_rows(
        columns,
        rows,
        signature,
        lambda row, name, path: at(f"{where}.data[{row}][{position[name]}]")(path) + f" ({name})",
        where,
        has_booleans=has_booleans,
    )


def _records(given: object, signature: Signature, *, has_booleans: bool) -> dict[str, Array]:
    rows = _some(given, "dataframe_records", "rows")
    return table.from_objects(rows, signature, "dataframe_records", has_booleans=has_booleans)


def _some(value: object, where: str, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidInputError(f"{where}: expected an array of {what}, found {describe(value)}")
    if not value:
        raise InvalidInputError(f"{where}: empty; at least one {what[:-1]} is needed")
    return value


_FORMS: Final[Mapping[str, Callable[..., dict[str, Array]]]] = {
    "instances": _instances,
    "inputs": _inputs,
    "dataframe_split": _split,
    "dataframe_records": _records,
}
