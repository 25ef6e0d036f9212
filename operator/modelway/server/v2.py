"""The Open Inference Protocol, REST (KServe V2, Triton): named tensors with datatype and shape. Pure.

https://github.com/open-inference/open-inference-protocol, "HTTP/REST". The data of a tensor may be flat in row-major
order or nested as its shape. `id` comes back as it was sent; `parameters` are read and mean nothing here.
"""

from collections.abc import Mapping
from typing import Any

from modelway.server import body as json_body
from modelway.server.arrays import describe, from_json
from modelway.server.errors import InvalidInputError
from modelway.server.formats.base import Model
from modelway.server.tensors import DTYPES, Array, Batch, TensorSpec, datatype_of
from modelway.server.v1 import jsonable
from modelway.server.wire import Request

SERVER_EXTENSIONS: tuple[str, ...] = ()


def parse(body: bytes, model: Model) -> Request:
    """Read an inference request for `model`. Raises InvalidInputError."""
    request = json_body.read_object(body)
    identity = request.get("id")
    if identity is not None and not isinstance(identity, str):
        raise InvalidInputError(f"id: {describe(identity)} is no text")
    _check_parameters(request, "")
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise InvalidInputError(f"inputs: expected an array of tensors, found {_found(request, 'inputs')}")
    has_booleans = json_body.may_hold_booleans(body)
    tensors = _tensors(inputs, model, has_booleans=has_booleans)
    return Request(Batch(tensors, rows=_rows(tensors), wanted=_wanted(request, model)), identity)


def render(outputs: Mapping[str, Array], request: Request, *, name: str, version: str | None) -> bytes:
    """Write the answer to a request."""
    answer: dict[str, Any] = {"model_name": name}
    if version:
        answer["model_version"] = version
    if request.id is not None:
        answer["id"] = request.id
    answer["outputs"] = [
        {
            "name": output,
            "datatype": datatype_of(outputs[output]),
            "shape": outputs[output].shape,
            "data": jsonable(outputs[output].reshape(-1)),
        }
        for output in request.batch.wanted
    ]
    return json_body.write(answer)


def metadata(model: Model, *, name: str, version: str | None) -> bytes:
    """What `GET /v2/models/{name}` answers."""
    described: dict[str, Any] = {"name": name}
    if version:
        described["versions"] = [version]
    described["platform"] = model.platform
    described["inputs"] = [_described(spec) for spec in model.inputs]
    described["outputs"] = [_described(spec) for spec in model.outputs]
    if model.notes:
        described["parameters"] = dict(model.notes)
    return json_body.write(described)


def _described(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _tensors(inputs: list[Any], model: Model, *, has_booleans: bool) -> dict[str, Array]:
    specs = {spec.name: spec for spec in model.inputs}
    tensors: dict[str, Array] = {}
    for index, tensor in enumerate(inputs):
        where = f"inputs[{index}]"
        if not isinstance(tensor, dict):
            raise InvalidInputError(f"{where}: expected a tensor object, found {describe(tensor)}")
        name = tensor.get("name")
        if not isinstance(name, str):
            raise InvalidInputError(f"{where}.name: expected a text, found {_found(tensor, 'name')}")
        if len(specs) == len(inputs) == 1 and model.inputs[0].lenient:
            name = model.inputs[0].name
        if name not in specs:
            raise InvalidInputError(f'{where}.name: the model has no input "{name}"; it has {", ".join(specs)}')
        if name in tensors:
            raise InvalidInputError(f'{where}.name: input "{name}" is given twice')
        tensors[name] = _tensor(tensor, specs[name], where, has_booleans=has_booleans)
    for name in specs:
        if name not in tensors:
            raise InvalidInputError(f'inputs: no tensor for the model\'s input "{name}"')
    return tensors


def _tensor(tensor: dict[str, Any], spec: TensorSpec, where: str, *, has_booleans: bool) -> Array:
    datatype = tensor.get("datatype")
    if not isinstance(datatype, str) or datatype not in DTYPES:
        raise InvalidInputError(f"{where}.datatype: {_found(tensor, 'datatype')} is none of {', '.join(DTYPES)}")
    if not spec.takes(datatype):
        raise InvalidInputError(
            f'{where}.datatype: {datatype}, where the model\'s input "{spec.name}" is {spec.datatype}'
        )
    _check_parameters(tensor, f"{where}.")
    shape = _shape(tensor, where)
    if not spec.fits(shape):
        raise InvalidInputError(
            f'{where}.shape: {list(shape)} does not fit the model\'s input "{spec.name}" of shape {list(spec.shape)}'
        )
    if "data" not in tensor:
        raise InvalidInputError(f"{where}.data: missing")
    array = from_json(tensor["data"], datatype=datatype, where=f"{where}.data", has_booleans=has_booleans)
    if array.shape != shape:
        size = 1
        for dimension in shape:
            size *= dimension
        if array.size != size:
            raise InvalidInputError(f"{where}.data: {array.size} values, where shape {list(shape)} has {size}")
        if array.ndim != 1:
            raise InvalidInputError(f"{where}.data: nested as {list(array.shape)}, where the shape is {list(shape)}")
        array = array.reshape(shape)
    return array.astype(DTYPES[spec.datatype], copy=False)


def _shape(tensor: dict[str, Any], where: str) -> tuple[int, ...]:
    shape = tensor.get("shape")
    if not isinstance(shape, list):
        raise InvalidInputError(f"{where}.shape: expected an array of integers, found {_found(tensor, 'shape')}")
    for index, dimension in enumerate(shape):
        if isinstance(dimension, bool) or not isinstance(dimension, int) or dimension < 1:
            raise InvalidInputError(f"{where}.shape[{index}]: {describe(dimension)} is no size of 1 or more")
    return tuple(shape)


def _rows(tensors: Mapping[str, Array]) -> int:
    names = list(tensors)
    counts = [array.shape[0] if array.ndim else 1 for array in tensors.values()]
    for name, count in zip(names, counts, strict=True):
        if count != counts[0]:
            raise InvalidInputError(f'inputs: "{name}" has {count} rows, where "{names[0]}" has {counts[0]}')
    return counts[0]


def _wanted(request: dict[str, Any], model: Model) -> tuple[str, ...]:
    asked = request.get("outputs")
    if asked is None or asked == []:
        return model.default_outputs
    if not isinstance(asked, list):
        raise InvalidInputError(f"outputs: expected an array of output objects, found {describe(asked)}")
    known = [spec.name for spec in model.outputs]
    names: list[str] = []
    for index, output in enumerate(asked):
        name = output.get("name") if isinstance(output, dict) else None
        if name not in known:
            raise InvalidInputError(
                f"outputs[{index}].name: {describe(name)} is no output of the model; it has {', '.join(known)}"
            )
        if name in names:
            raise InvalidInputError(f'outputs[{index}].name: output "{name}" is asked for twice')
        names.append(name)
    return tuple(names)


def _check_parameters(holder: dict[str, Any], prefix: str) -> None:
    parameters = holder.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise InvalidInputError(f"{prefix}parameters: expected an object, found {describe(parameters)}")
    if parameters and "binary_data_size" in parameters:
        raise InvalidInputError(f"{prefix}parameters.binary_data_size: the binary data extension is not supported")


def _found(holder: dict[str, Any], key: str) -> str:
    return describe(holder[key]) if key in holder else "nothing"
