"""Tensors as bytes: the binary tensor data extension of V2, and the raw contents of gRPC. Pure.

Little-endian, row-major, without padding; a BOOL is a byte of 0 or 1; an element of BYTES is its length as an unsigned
32-bit number and then the bytes, which are UTF-8 here.
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

import math
import struct
import sys
from typing import Final

import numpy as np
from numpy.typing import NDArray

from modelway.server.arrays import Place
from modelway.server.errors import InvalidInputError
from modelway.server.tensors import DTYPES, Array

_LENGTH: Final = struct.Struct("<I")
_IS_LITTLE: Final = sys.byteorder == "little"
_LITTLE: Final = {name: dtype.newbyteorder("<") for name, dtype in DTYPES.items()}


def from_bytes(data: bytes | memoryview, datatype: str, shape: tuple[int, ...], place: Place) -> Array:
    """A tensor's array, a copy of the data. Raises InvalidInputError unless the data are exactly that of the shape."""
    size = math.prod(shape)
    if datatype == "BYTES":
        return _texts(data, size, place).reshape(shape)
    dtype = _LITTLE[datatype]
    if len(data) != size * dtype.itemsize:
        raise InvalidInputError(
            f"{place(())}: {len(data)} bytes, where {datatype} of shape {list(shape)} has {size * dtype.itemsize}"
        )
    if datatype == "BOOL":
        _check_booleans(np.frombuffer(data, np.uint8).reshape(shape), place)
    return np.frombuffer(data, dtype).astype(DTYPES[datatype]).reshape(shape)


def to_bytes(array: Array) -> bytes:
    """An array's data, as `from_bytes` reads them; texts of any kind are BYTES."""
    if array.dtype.kind not in "OUST":
        return (array if _IS_LITTLE and array.dtype.isnative else array.astype(array.dtype.newbyteorder("<"))).tobytes()
    parts: list[bytes] = []
    for value in array.ravel().tolist():
        text = value if isinstance(value, bytes) else str(value).encode()
        parts += (_LENGTH.pack(len(text)), text)
    return b"".join(parts)


def text_of(data: bytes, where: str) -> str:
    """Bytes as the text that they have to be. Raises InvalidInputError."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{where}: the bytes are no UTF-8 text: byte {error.start}") from None


def _texts(data: bytes | memoryview, size: int, place: Place) -> Array:
    data = bytes(data)
    # An element takes 4 bytes at least, so a shape that promises more is not believed before memory is taken for it.
    if size * _LENGTH.size > len(data):
        raise InvalidInputError(f"{place(())}: {len(data)} bytes are too few for {size} texts")
    array = np.empty(size, dtype=np.object_)
    position = 0
    for index in range(size):
        begin = position + _LENGTH.size
        if begin > len(data):
            raise InvalidInputError(f"{place((index,))}: the data end where this text's length should stand")
        position = begin + _LENGTH.unpack_from(data, position)[0]
        if position > len(data):
            raise InvalidInputError(
                f"{place((index,))}: a text of {position - begin} bytes, where {len(data) - begin} are left"
            )
        array[index] = text_of(data[begin:position], place((index,)))
    if position != len(data):
        raise InvalidInputError(f"{place(())}: {len(data) - position} bytes follow the last of {size} texts")
    return array


def _check_booleans(raw: NDArray[np.uint8], place: Place) -> None:
    wrong = np.argwhere(raw > 1)
    if len(wrong):
        path = tuple(int(index) for index in wrong[0])
        raise InvalidInputError(f"{place(path)}: {raw[path]} is neither 0 nor 1")
