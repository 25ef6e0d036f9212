"""Named tensors into the model's inputs: what the Open Inference Protocol has in common over REST and gRPC. Pure."""

import math
from collections.abc import Callable, Container, Sequence
from typing import Any, Final, NamedTuple

from modelway.server.arrays import describe
from modelway.server.errors import InvalidInputError
from modelway.server.signature import Signature
from modelway.server.tensors import DTYPES, Array, TensorSpec
from modelway.server.validation import listed, quoted

# Parameters of Triton's extensions that change what an answer means; without them it would be a wrong one.
_UNSUPPORTED: Final = (
    "classification",
    "shared_memory_region",
    "shared_memory_byte_size",
    "shared_memory_offset",
)


class SentTensor(NamedTuple):
    """A tensor of a request, before it is known to be one of the model's.

    A named tuple, as each request makes some: a frozen dataclass takes three times as long to be made.

    Args:
        where: its position in the request: `inputs[0]`.
        name: as it was sent.
        datatype: as it was sent.
        shape: sizes as they were sent.
        source: where its data are, for the protocol that reads them.

    """

    where: str
    name: str
    datatype: str
    shape: tuple[int, ...]
    source: Any


Assigned = tuple[SentTensor, TensorSpec]
"""A tensor that fits an input by name, datatype and shape; its data are yet to be read."""
Read = Callable[[SentTensor, TensorSpec], Array]
"""Makes a tensor's array, of its datatype and shape or flat; raises InvalidInputError."""


def assigned(sent: Sequence[SentTensor], signature: Signature) -> tuple[Assigned, ...]:
    """A tensor for each of the model's inputs. Raises InvalidInputError with the position of what does not fit."""
    found: dict[str, Assigned] = {}
    only = signature.only
    for tensor in sent:
        spec = signature.by_name.get(tensor.name)
        if spec is None and only is not None and only.lenient and len(sent) == 1:
            spec = only
        if spec is None:
            if signature.ignores_extra:
                continue
            raise InvalidInputError(
                f"{tensor.where}.name: the model has no input {quoted([tensor.name])}; it has "
                + listed(signature.by_name)
            )
        if spec.name in found:
            raise InvalidInputError(f'{tensor.where}.name: input "{spec.name}" is given twice')
        _check(tensor, spec)
        found[spec.name] = tensor, spec
    if len(found) < len(signature.inputs):
        missing = [name for name in signature.by_name if name not in found]
        raise InvalidInputError(f"inputs: no tensor for the model's input {quoted(missing)}")
    return tuple(found.values())


def arrays(tensors: Sequence[Assigned], read: Read) -> dict[str, Array]:
    """An array for each of the model's inputs. Raises InvalidInputError where data are not what their tensor says."""
    return {spec.name: _array(tensor, spec, read) for tensor, spec in tensors}


def wanted(asked: Sequence[str], signature: Signature) -> tuple[str, ...]:
    """The outputs that are asked for, in that order; the default ones where none is. Raises InvalidInputError."""
    if not asked:
        return signature.default_outputs
    known = [spec.name for spec in signature.outputs]
    seen: set[str] = set()
    for index, name in enumerate(asked):
        if name not in known:
            raise InvalidInputError(
                f"outputs[{index}].name: {describe(name)} is no output of the model; it has {', '.join(known)}"
            )
        if name in seen:
            raise InvalidInputError(f'outputs[{index}].name: output "{name}" is asked for twice')
        seen.add(name)
    return tuple(asked)


def check_parameters(parameters: Container[str], prefix: str) -> None:
    """Raise InvalidInputError for parameters that ask for what this server does not do; others mean nothing here."""
    for name in _UNSUPPORTED:
        if name in parameters:
            raise InvalidInputError(f"{prefix}parameters.{name}: this server does not have that extension")


def _check(tensor: SentTensor, spec: TensorSpec) -> None:
    datatype, shape = tensor.datatype, tensor.shape
    if datatype not in DTYPES:
        raise InvalidInputError(f"{tensor.where}.datatype: {quoted([datatype])} is none of {', '.join(DTYPES)}")
    if not spec.takes(datatype):
        raise InvalidInputError(
            f'{tensor.where}.datatype: {datatype}, where the model\'s input "{spec.name}" is {spec.datatype}'
        )
    if shape and min(shape) < 1:
        index = next(index for index, size in enumerate(shape) if size < 1)
        raise InvalidInputError(f"{tensor.where}.shape[{index}]: {shape[index]} is no size of 1 or more")
    if not spec.fits(shape):
        raise InvalidInputError(
            f"{tensor.where}.shape: {list(shape)} does not fit the model's input "
            f'"{spec.name}" of shape {list(spec.shape)}'
        )


def _array(tensor: SentTensor, spec: TensorSpec, read: Read) -> Array:
    shape = tensor.shape
    array = read(tensor, spec)
    if array.shape != shape:
        size = math.prod(shape)
        if array.size != size:
            raise InvalidInputError(f"{tensor.where}.data: {array.size} values, where shape {list(shape)} has {size}")
        if array.ndim != 1:
            raise InvalidInputError(
                f"{tensor.where}.data: nested as {list(array.shape)}, where the shape is {list(shape)}"
            )
        array = array.reshape(shape)
    return array.astype(DTYPES[spec.datatype], copy=False)
