"""The Open Inference Protocol, REST (KServe V2, Triton): named tensors with datatype and shape. Pure.

https://github.com/open-inference/open-inference-protocol, "HTTP/REST". The data of a tensor may be flat in row-major
order or nested as its shape, or follow the JSON as bytes (`binary`). `id` comes back as it was sent. Of the parameters
those of binary data mean something; those that ask for what this server does not do are refused, others are let be.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

from modelway.server import binary, json_numbers
from modelway.server import body as json_body
from modelway.server.arrays import at, describe, from_json
from modelway.server.errors import InvalidInputError, RequestError
from modelway.server.exchange import Answer
from modelway.server.named_tensors import Assigned, SentTensor, arrays, assigned, check_parameters, wanted
from modelway.server.signature import Signature
from modelway.server.tensors import Array, TensorSpec, datatype_of
from modelway.server.v1 import jsonable
from modelway.server.validation import batch, check_finite
from modelway.server.wire import Request

LENGTH_HEADER: Final = "inference-header-content-length"
_OCTETS: Final = b"application/octet-stream"
_SHORT: Final = 2048  # bytes


@dataclass(frozen=True, slots=True)
class BinaryRequest(Request):
    """A request that has some of its outputs answered as bytes."""

    binary: frozenset[str] = frozenset()


class Description(NamedTuple):
    """What a request says beside its data, checked against the model.

    Args:
        id: of the request.
        tensors: those that are the model's inputs. A tensor's data are a slice of the bytes behind the JSON, or else in
            the tensor's JSON.
        behind: the places of all tensors whose data follow the JSON, and which of the bytes are theirs, in their order.
        binary_size: how many bytes have to follow the JSON.
        wanted: the outputs that are asked for.
        binary: those of them that are to be bytes.

    """

    id: str | None
    tensors: Sequence[Assigned]
    behind: Sequence[tuple[str, slice]]
    binary_size: int
    wanted: tuple[str, ...]
    binary: frozenset[str]


def parse(body: bytes, signature: Signature, *, json_length: int | None = None) -> Request:
    """Read an inference request.

    Args:
        body: all of it.
        signature: the model's.
        json_length: how many of the body's bytes are JSON; the rest are the tensors' data. Left out: all are.

    Raises RequestError with the position of what is wrong.

    """
    if json_length is None:
        return _plain(body, signature) or _parse(body, memoryview(b""), signature)
    if json_length > len(body):
        raise InvalidInputError(f"{LENGTH_HEADER}: {json_length}, where the body has {len(body)} bytes")
    return _parse(body[:json_length], memoryview(body)[json_length:], signature)


def _parse(head: bytes, rest: memoryview, signature: Signature) -> Request:
    description = _described(head, signature) if len(rest) and len(head) <= _SHORT else describe_head(head, signature)
    if len(rest) != description.binary_size:
        raise _wrong_size(description, len(rest))

    def read(tensor: SentTensor, spec: TensorSpec) -> Array:
        source = tensor.source
        if type(source) is slice:
            return from_raw(rest[source], tensor, spec)
        return _from_json(source, tensor, spec, has_booleans=json_body.may_hold_booleans(head))

    return _request(description, read, signature)


def _plain(body: bytes, signature: Signature) -> Request | None:
    """A request with one tensor of flat floats; None where it is anything else, a wrong one included."""
    if (found := json_numbers.data(body)) is None:
        return None
    rest, numbers = found
    try:
        description = _described(rest, signature) if len(rest) <= _SHORT else describe_head(rest, signature)
        return _request(description, partial(_from_numbers, numbers), signature)
    except RequestError:  # which the whole request tells with the values that it quotes
        return None


def _request(
    description: Description, read: Callable[[SentTensor, TensorSpec], Array], signature: Signature
) -> Request:
    rows = batch(arrays(description.tensors, read), signature, description.wanted, "inputs")
    if description.binary:
        return BinaryRequest(rows, description.id, description.binary)
    return Request(rows, description.id)


def describe_head(head: bytes, signature: Signature) -> Description:
    """Read the JSON of a request. Raises RequestError with the position of what is wrong."""
    request = json_body.read_object(head)
    identity = request.get("id")
    if identity is not None and not isinstance(identity, str):
        raise InvalidInputError(f"id: {describe(identity)} is no text")
    parameters = _parameters(request, "")
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise InvalidInputError(f"inputs: expected an array of tensors, found {_found(request, 'inputs')}")
    sent: list[SentTensor] = []
    behind: list[tuple[str, slice]] = []
    begin = 0
    for index, tensor in enumerate(inputs):
        where = f"inputs[{index}]"
        size = _binary_size(tensor, where)
        if size is None:
            sent.append(_sent(tensor, where, tensor))
            continue
        data = slice(begin, begin + size)
        sent.append(_sent(tensor, where, data))
        behind.append((where, data))
        begin += size
    names, as_binary = _outputs(request, parameters, signature)
    return Description(identity, assigned(sent, signature), behind, begin, names, as_binary)


# A client asks with the same words again and again, and only the data differ. Of a large head there are no many.
_described: Final = lru_cache(maxsize=64)(describe_head)


def render(outputs: Mapping[str, Array], request: Request, *, name: str, version: str | None) -> Answer:
    """Write the answer to a request."""
    answer: dict[str, Any] = {"model_name": name}
    if version:
        answer["model_version"] = version
    if request.id is not None:
        answer["id"] = request.id
    as_binary = request.binary if type(request) is BinaryRequest else ()
    described, blobs = [], []
    for output in request.batch.wanted:
        array = outputs[output]
        tensor: dict[str, Any] = {"name": output, "datatype": datatype_of(array), "shape": array.shape}
        if output in as_binary:
            blob = binary.to_bytes(array)
            tensor["parameters"] = {"binary_data_size": len(blob)}
            blobs.append(blob)
        else:
            tensor["data"] = jsonable(array.reshape(-1))
        described.append(tensor)
    answer["outputs"] = described
    head = json_body.write(answer)
    if not blobs:
        return Answer(200, head)
    return Answer(200, b"".join((head, *blobs)), content_type=_OCTETS, headers={LENGTH_HEADER: str(len(head))})


def from_raw(data: bytes | memoryview, tensor: SentTensor, spec: TensorSpec) -> Array:
    """The array of a tensor that came as bytes."""
    place = at(f"{tensor.where}.data")
    array = binary.from_bytes(data, tensor.datatype, tensor.shape, place)
    check_finite(array, spec, place)
    return array


def _from_json(given: dict[str, Any], tensor: SentTensor, spec: TensorSpec, *, has_booleans: bool) -> Array:
    if "data" not in given:
        raise InvalidInputError(f"{tensor.where}.data: missing")
    return from_json(given["data"], _as_sent(tensor, spec), at(f"{tensor.where}.data"), has_booleans=has_booleans)


def _from_numbers(numbers: json_numbers.Numbers, tensor: SentTensor, spec: TensorSpec) -> Array:
    if "data" in tensor.source:
        array = json_numbers.fitted(numbers, _as_sent(tensor, spec))
        if array is not None:
            return array
    raise InvalidInputError(f"{tensor.where}.data: not these numbers")


def _as_sent(tensor: SentTensor, spec: TensorSpec) -> TensorSpec:
    return spec if spec.datatype == tensor.datatype else replace(spec, datatype=tensor.datatype)


def _wrong_size(description: Description, size: int) -> InvalidInputError:
    for where, data in description.behind:
        if data.stop > size:
            return InvalidInputError(
                f"{where}.parameters.binary_data_size: {data.stop - data.start}, "
                f"where {size - data.start} bytes are left after the JSON"
            )
    more = size - description.binary_size
    return InvalidInputError(f"the body has {more} bytes after the data of its last tensor")


def _sent(tensor: dict[str, Any], where: str, source: Any) -> SentTensor:
    name, datatype, shape = tensor.get("name"), tensor.get("datatype"), tensor.get("shape")
    if not isinstance(name, str):
        raise InvalidInputError(f"{where}.name: expected a text, found {_found(tensor, 'name')}")
    if not isinstance(datatype, str):
        raise InvalidInputError(f"{where}.datatype: expected a text, found {_found(tensor, 'datatype')}")
    if not isinstance(shape, list):
        raise InvalidInputError(f"{where}.shape: expected an array of integers, found {_found(tensor, 'shape')}")
    for index, dimension in enumerate(shape):
        if type(dimension) is not int:
            raise InvalidInputError(f"{where}.shape[{index}]: {describe(dimension)} is no size of 1 or more")
    return SentTensor(where, name, datatype, tuple(shape), source)


def _binary_size(tensor: Any, where: str) -> int | None:
    """How many bytes of data follow the JSON for this tensor; None where its data are in the JSON."""
    if not isinstance(tensor, dict):
        raise InvalidInputError(f"{where}: expected a tensor object, found {describe(tensor)}")
    parameters = _parameters(tensor, f"{where}.")
    if "binary_data_size" not in parameters:
        return None
    size = parameters["binary_data_size"]
    if type(size) is not int or size < 0:
        raise InvalidInputError(f"{where}.parameters.binary_data_size: {describe(size)} is no number of bytes")
    if "data" in tensor:
        raise InvalidInputError(f"{where}: has data and binary_data_size; give one of them")
    return size


def _outputs(
    request: dict[str, Any], parameters: Mapping[str, Any], signature: Signature
) -> tuple[tuple[str, ...], frozenset[str]]:
    """The outputs that are asked for, and those of them that are to be bytes."""
    all_binary = _flag(parameters, "binary_data_output", "parameters")
    asked = request.get("outputs")
    if asked is None or asked == []:
        names = wanted((), signature)
        return names, frozenset(names) if all_binary else frozenset()
    if not isinstance(asked, list):
        raise InvalidInputError(f"outputs: expected an array of output objects, found {describe(asked)}")
    as_binary = set()
    for index, output in enumerate(asked):
        where = f"outputs[{index}]"
        if not isinstance(output, dict):
            raise InvalidInputError(f"{where}: expected an output object, found {describe(output)}")
        if not isinstance(output.get("name"), str):
            raise InvalidInputError(f"{where}.name: {_found(output, 'name')} is no output of the model")
        own = _parameters(output, f"{where}.")
        if _flag(own, "binary_data", f"{where}.parameters", default=all_binary):
            as_binary.add(output["name"])
    return wanted([output["name"] for output in asked], signature), frozenset(as_binary)


def _parameters(holder: dict[str, Any], prefix: str) -> Mapping[str, Any]:
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidInputError(f"{prefix}parameters: expected an object, found {describe(parameters)}")
    check_parameters(parameters, prefix)
    return parameters


def _flag(parameters: Mapping[str, Any], name: str, where: str, *, default: bool = False) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InvalidInputError(f"{where}.{name}: {describe(value)} is neither true nor false")
    return value


def _found(holder: dict[str, Any], key: str) -> str:
    return describe(holder[key]) if key in holder else "nothing"
