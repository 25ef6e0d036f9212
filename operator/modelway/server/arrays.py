"""JSON values into arrays, with the exact position of whatever is wrong.

The good case is one numpy call. Only when numpy's result cannot be what the model asks for is the value walked element
by element to find the first culprit, so precision of errors costs nothing while there are none. Pure.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from modelway.server.errors import InvalidInputError
from modelway.server.tensors import DTYPES, Array

# numpy goes to 64 dimensions, models to about 5; a deeper nest is an attack or a mistake.
MAX_DEPTH: Final = 16
# Which numpy kinds the JSON of a datatype may come out as: b bool, i and u integers, f floats.
_KINDS: Final = {"b": "b", "i": "iuf", "u": "iuf", "f": "iuf"}


def from_json(values: object, *, datatype: str, where: str, has_booleans: bool, features: Sequence[str] = ()) -> Array:
    """Make an array of a (nested) JSON array; its shape is the nest's.

    Args:
        values: what orjson made of the JSON.
        datatype: the datatype of the result.
        where: the value's position in the request, for messages: `instances`, `inputs[0].data`.
        has_booleans: whether a `true` or `false` may be among the values. numpy takes them for 1 and 0 when they stand
            between numbers, so they have to be looked for; the caller knows cheaply that there are none.
        features: names of the last dimension's elements, for messages.

    Raises InvalidInputError naming the first element that is no number, too large, of another length than its siblings.

    """
    if not isinstance(values, list):
        raise InvalidInputError(f"{where}: expected an array, found {describe(values)}")
    if not values:
        raise InvalidInputError(f"{where}: empty")
    dtype = DTYPES[datatype]
    if dtype.kind == "O":
        return _strings(values, where, features)
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError):  # ragged
        raise _culprit(values, datatype, where, features) from None
    if array.dtype.kind not in _KINDS[dtype.kind] or (has_booleans and dtype.kind != "b") or array.ndim > MAX_DEPTH:
        raise_if_wrong(values, datatype, where, features)
    if array.size == 0:
        raise _culprit(values, datatype, where, features)
    return _cast(array, values, datatype, where, features)


def _cast(array: Array, values: list[Any], datatype: str, where: str, features: Sequence[str]) -> Array:
    dtype = DTYPES[datatype]
    if array.dtype == dtype:
        return array
    if dtype.kind == "f":
        cast = array.astype(dtype)
        # A JSON number is finite (orjson refuses the rest), so an infinity can only come from a narrower type.
        if dtype.itemsize < 8 and not np.isfinite(cast).all():
            raise _culprit(values, datatype, where, features)
        return cast
    if array.dtype.kind == "f":
        # numpy makes floats of integers beyond 64 signed bits, and of any beside a 1.0, and floats lose digits.
        exact = [int(value) for value in _leaves(values, datatype, where, features)]
        return np.array(exact, dtype=dtype).reshape(array.shape)
    cast = array.astype(dtype)
    if not np.array_equal(cast, array):  # out of range
        raise _culprit(values, datatype, where, features)
    return cast


def raise_if_wrong(values: list[Any], datatype: str, where: str, features: Sequence[str] = ()) -> None:
    """Walk all values; raise InvalidInputError at the first that cannot be of this datatype."""
    for _ in _leaves(values, datatype, where, features):
        pass


def _culprit(values: list[Any], datatype: str, where: str, features: Sequence[str]) -> InvalidInputError:
    try:
        raise_if_wrong(values, datatype, where, features)
    except InvalidInputError as error:
        return error
    return InvalidInputError(f"{where}: cannot be read as {datatype}")


def _strings(values: list[Any], where: str, features: Sequence[str]) -> Array:
    flat = list(_leaves(values, "BYTES", where, features))
    array = np.empty(len(flat), dtype=np.object_)
    array[:] = flat
    return array.reshape(_shape(values))


def _shape(values: object) -> tuple[int, ...]:
    shape = []
    while isinstance(values, list):
        shape.append(len(values))
        values = values[0]
    return tuple(shape)


def _leaves(values: list[Any], datatype: str, where: str, features: Sequence[str]) -> Iterator[Any]:
    """Yield every element in row-major order, checking type, range and regularity on the way."""
    shape: list[int] = []
    sample: object = values
    while isinstance(sample, list) and sample:
        shape.append(len(sample))
        if len(shape) > MAX_DEPTH:
            raise InvalidInputError(f"{where}: nested deeper than {MAX_DEPTH} levels")
        sample = sample[0]
    if isinstance(sample, list):
        raise InvalidInputError(f"{where}{'[0]' * len(shape)}: empty")
    yield from _walk(values, tuple(shape), datatype, where, where, features)


def _walk(
    values: list[Any], shape: tuple[int, ...], datatype: str, where: str, root: str, features: Sequence[str]
) -> Iterator[Any]:
    if len(values) != shape[0]:
        first = where.rpartition("[")[0] + "[0]" if where != root else root
        raise InvalidInputError(f"{where}: {_count(len(values))}, where {first} has {shape[0]}")
    for index, value in enumerate(values):
        here = f"{where}[{index}]"
        if len(shape) > 1:
            if not isinstance(value, list):
                raise InvalidInputError(f"{here}: {describe(value)}, where {where}[0] is an array")
            yield from _walk(value, shape[1:], datatype, here, root, features)
            continue
        if index < len(features) and len(values) == len(features):
            here += f" ({features[index]})"
        if isinstance(value, list):
            raise InvalidInputError(f"{here}: an array, where {where}[0] is {describe(values[0])}")
        problem = _problem(value, datatype)
        if problem:
            raise InvalidInputError(f"{here}: {describe(value)} {problem}")
        yield value


def _problem(value: object, datatype: str) -> str:
    """What stops a single value from being of the datatype; empty when nothing does."""
    dtype = DTYPES[datatype]
    if dtype.kind == "O":
        return "" if isinstance(value, str) else "is no text"
    if dtype.kind == "b":
        return "" if isinstance(value, bool) else "is neither true nor false"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "is not a number"
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return "" if math.isfinite(float(dtype.type(value))) else f"does not fit {datatype}"
    if isinstance(value, float) and not value.is_integer():
        return "is not an integer"
    bounds = np.iinfo(dtype.str)
    return "" if bounds.min <= value <= bounds.max else f"does not fit {datatype} ({bounds.min} to {bounds.max})"


def describe(value: object) -> str:
    """A JSON value in a few words, as messages quote it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value[:37]}…"' if len(value) > 40 else f'"{value}"'
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    return str(value)


def _count(number: int) -> str:
    return "1 value" if number == 1 else f"{number} values"
