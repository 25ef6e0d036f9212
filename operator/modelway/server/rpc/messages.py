"""gRPC messages to requests, and outputs to messages: what `v2` is for REST. Pure.

A request has the data of its tensors either all as raw bytes (`binary`) or all in lists by datatype; it is answered in
the same form. FP16 has no list, so an answer with such an output is raw.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError

from modelway.server import binary
from modelway.server.arrays import at
from modelway.server.errors import InvalidInputError, RequestError
from modelway.server.exchange import Answer
from modelway.server.named_tensors import SentTensor, arrays, assigned, check_parameters, wanted
from modelway.server.rpc.inference_pb2 import InferTensorContents, ModelInferRequest, ModelInferResponse
from modelway.server.signature import Signature
from modelway.server.tensors import DTYPES, Array, TensorSpec, datatype_of
from modelway.server.v2 import from_raw
from modelway.server.validation import batch, check_finite
from modelway.server.wire import Request

_MEDIA: Final = b"application/grpc"
# Which list of `InferTensorContents` holds a datatype, and how wide its elements are.
_LISTS: Final = {
    "BOOL": ("bool_contents", np.dtype(np.bool_)),
    "INT8": ("int_contents", np.dtype(np.int32)),
    "INT16": ("int_contents", np.dtype(np.int32)),
    "INT32": ("int_contents", np.dtype(np.int32)),
    "INT64": ("int64_contents", np.dtype(np.int64)),
    "UINT8": ("uint_contents", np.dtype(np.uint32)),
    "UINT16": ("uint_contents", np.dtype(np.uint32)),
    "UINT32": ("uint_contents", np.dtype(np.uint32)),
    "UINT64": ("uint64_contents", np.dtype(np.uint64)),
    "FP32": ("fp32_contents", np.dtype(np.float32)),
    "FP64": ("fp64_contents", np.dtype(np.float64)),
    "BYTES": ("bytes_contents", np.dtype(np.object_)),
}


@dataclass(frozen=True, slots=True)
class ListsRequest(Request):
    """A request whose data came in lists, and is answered so."""


def parse(body: bytes, signature: Signature, *, name: str, version: str | None) -> Request:
    """Read a ModelInferRequest for the model of this name and version.

    Raises RequestError: 404 for another model, 400 with the position of what is wrong.
    """
    try:
        message = ModelInferRequest.FromString(body)
    except DecodeError:
        raise InvalidInputError("the message is no inference.ModelInferRequest") from None
    check_model(message.model_name, message.model_version, name=name, version=version)
    check_parameters(message.parameters, "")
    if not message.inputs:
        raise InvalidInputError("inputs: expected tensors, found none")
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise InvalidInputError(
            f"raw_input_contents: {len(raw)} of them, where inputs has {len(message.inputs)}; give one each, or none"
        )
    sent = [_sent(tensor, index, raw[index] if raw else None) for index, tensor in enumerate(message.inputs)]
    for index, output in enumerate(message.outputs):
        check_parameters(output.parameters, f"outputs[{index}].")
    names = wanted([output.name for output in message.outputs], signature)
    rows = batch(arrays(assigned(sent, signature), _read), signature, names, "inputs")
    return Request(rows, message.id) if raw else ListsRequest(rows, message.id)


def render(outputs: Mapping[str, Array], request: Request, *, name: str, version: str | None) -> Answer:
    """Write a ModelInferResponse."""
    arrays = [(output, datatype_of(outputs[output]), outputs[output]) for output in request.batch.wanted]
    in_lists = type(request) is ListsRequest and all(datatype in _LISTS for _, datatype, _ in arrays)
    response = ModelInferResponse(model_name=name, model_version=version or "", id=request.id or "")
    for output, datatype, array in arrays:
        tensor = response.outputs.add(name=output, datatype=datatype, shape=array.shape)
        if in_lists:
            field, _ = _LISTS[datatype]
            getattr(tensor.contents, field).extend(_listed(array))
        else:
            response.raw_output_contents.append(binary.to_bytes(array))
    return Answer(200, response.SerializeToString(), content_type=_MEDIA)


def check_model(asked: str, asked_version: str, *, name: str, version: str | None) -> None:
    """Raise RequestError (404) unless that is the model that is served; no version is any."""
    if asked != name:
        raise RequestError(404, f'model "{asked[:80]}" is not served here; this server has "{name}"')
    if asked_version not in {"", version}:
        own = f'version "{version}"' if version else "no version"
        raise RequestError(404, f'version "{asked_version[:80]}" is not served here; this server\'s "{name}" has {own}')


def _sent(tensor: ModelInferRequest.InferInputTensor, index: int, raw: bytes | None) -> SentTensor:
    where = f"inputs[{index}]"
    check_parameters(tensor.parameters, f"{where}.")
    if raw is not None and tensor.HasField("contents"):
        raise InvalidInputError(f"{where}: has contents beside raw_input_contents; give one of them")
    source = tensor.contents if raw is None else raw
    return SentTensor(where, tensor.name, tensor.datatype, tuple(tensor.shape), source)


def _read(tensor: SentTensor, spec: TensorSpec) -> Array:
    if isinstance(tensor.source, bytes):
        return from_raw(tensor.source, tensor, spec)
    return _from_lists(tensor.source, tensor, spec)


def _from_lists(contents: InferTensorContents, tensor: SentTensor, spec: TensorSpec) -> Array:
    where = f"{tensor.where}.contents"
    if tensor.datatype not in _LISTS:
        raise InvalidInputError(f"{where}: {tensor.datatype} has no list; send raw_input_contents")
    field, wide = _LISTS[tensor.datatype]
    for found, _ in contents.ListFields():
        if found.name != field:
            raise InvalidInputError(f"{where}: has {found.name}, where {tensor.datatype} stands in {field}")
    values = getattr(contents, field)
    if tensor.datatype == "BYTES":
        return _texts(values, where)
    array = np.array(values, dtype=wide)
    narrow = array.astype(DTYPES[tensor.datatype])
    if (wrong := np.flatnonzero(narrow != array)).size and narrow.dtype.kind in "iu":
        place = int(wrong[0])
        raise InvalidInputError(f"{where}.{field}[{place}]: {array[place]} does not fit {tensor.datatype}")
    check_finite(narrow, spec, at(f"{where}.{field}"))
    return narrow


def _texts(values: Iterable[bytes], where: str) -> Array:
    texts = [binary.text_of(value, f"{where}.bytes_contents[{index}]") for index, value in enumerate(values)]
    array = np.empty(len(texts), dtype=np.object_)
    array[:] = texts
    return array


def _listed(array: Array) -> list[Any]:
    values: list[Any] = array.ravel().tolist()
    if array.dtype.kind not in "OUST":
        return values
    return [value if isinstance(value, bytes) else str(value).encode() for value in values]
