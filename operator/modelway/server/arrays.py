"""JSON values into arrays, with the exact position of whatever is wrong.

The good case is one numpy call. Only when numpy's result cannot be what the model asks for is the value walked element
by element to find the first culprit, so precision of errors costs nothing while there are none. Pure.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from modelway.server.errors import InvalidInputError
from modelway.server.tensors import DTYPES, Array, TensorSpec

Path = tuple[int, ...]
Place = Callable[[Path], str]
"""Where the element with these indices stands in the request, as messages say it: (3, 1) → `instances[3][1] (age)`."""

# numpy goes to 64 dimensions, models to about 5; a deeper nest is an attack or a mistake.
MAX_DEPTH: Final = 16
# Which numpy kinds the JSON of a datatype may come out as: b bool, i and u integers, f floats.
_KINDS: Final = {"b": "b", "i": "iuf", "u": "iuf", "f": "iuf"}


def at(root: str, features: Sequence[str] = ()) -> Place:
    """The place of elements of the array that stands at `root`; of rows, `features` names the values."""

    def place(path: Path) -> str:
        name = f" ({features[path[1]]})" if len(path) == 2 and path[1] < len(features) else ""
        return root + "".join(f"[{index}]" for index in path) + name

    return place


def from_json(values: object, spec: TensorSpec, place: Place, *, has_booleans: bool) -> Array:
    """Make an array of a (nested) JSON array; its shape is the nest's.

    Args:
        values: what orjson made of the JSON.
        spec: the input's datatype, and whether `null` is taken for a missing value. Its shape is not looked at.
        place: the position of values in the request, for messages.
        has_booleans: whether a `true` or `false` may be among the values. numpy takes them for 1 and 0 when they stand
            between numbers, so they have to be looked for; the caller knows cheaply that there are none.

    Raises InvalidInputError naming the first element that is no number, too large, of another length than its siblings.

    """
    if not isinstance(values, list):
        raise InvalidInputError(f"{place(())}: expected an array, found {describe(values)}")
    if not values:
        raise InvalidInputError(f"{place(())}: empty")
    dtype = DTYPES[spec.datatype]
    if dtype.kind == "O":
        return _strings(values, spec, place)
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError):  # ragged
        raise _culprit(values, spec, place) from None
    if array.dtype.kind not in _KINDS[dtype.kind] or (has_booleans and dtype.kind != "b") or array.ndim > MAX_DEPTH:
        raise_if_wrong(values, spec, place)
        if array.dtype.kind == "O" and dtype.kind == "f":  # missing values, or integers of more than 64 bits
            array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise _culprit(values, spec, place)
    return _cast(array, values, spec, place)


def _cast(array: Array, values: list[Any], spec: TensorSpec, place: Place) -> Array:
    dtype = DTYPES[spec.datatype]
    if array.dtype == dtype:
        return array
    if dtype.kind == "f":
        cast = array.astype(dtype)
        # A JSON number is finite (orjson refuses the rest), so an infinity can only come from a narrower type.
        if dtype.itemsize < 8 and np.count_nonzero(np.isinf(cast)):  # a third of the time of `any`
            raise _culprit(values, spec, place)
        return cast
    if array.dtype.kind == "f":
        # numpy makes floats of integers beyond 64 signed bits, and of any beside a 1.0, and floats lose digits.
        exact = [int(value) for value in _leaves(values, spec, place)]
        return np.array(exact, dtype=dtype).reshape(array.shape)
    cast = array.astype(dtype)
    if not np.array_equal(cast, array):  # out of range
        raise _culprit(values, spec, place)
    return cast


def raise_if_wrong(values: list[Any], spec: TensorSpec, place: Place) -> None:
    """Walk all values; raise InvalidInputError at the first that cannot be of this input's datatype."""
    for _ in _leaves(values, spec, place):
        pass


def _culprit(values: list[Any], spec: TensorSpec, place: Place) -> InvalidInputError:
    try:
        raise_if_wrong(values, spec, place)
    except InvalidInputError as error:
        return error
    return InvalidInputError(f"{place(())}: cannot be read as {spec.datatype}")


def _strings(values: list[Any], spec: TensorSpec, place: Place) -> Array:
    flat = list(_leaves(values, spec, place))
    array = np.empty(len(flat), dtype=np.object_)
    array[:] = flat
    return array.reshape(_shape(values))


def _shape(values: object) -> tuple[int, ...]:
    shape = []
    while isinstance(values, list):
        shape.append(len(values))
        values = values[0]
    return tuple(shape)


def _leaves(values: list[Any], spec: TensorSpec, place: Place) -> Iterator[Any]:
    """Yield every element in row-major order, checking type, range and regularity on the way."""
    shape: list[int] = []
    sample: object = values
    while isinstance(sample, list) and sample:
        shape.append(len(sample))
        if len(shape) > MAX_DEPTH:
            raise InvalidInputError(f"{place(())}: nested deeper than {MAX_DEPTH} levels")
        sample = sample[0]
    if isinstance(sample, list):
        raise InvalidInputError(f"{place((0,) * len(shape))}: empty")
    yield from _walk(values, tuple(shape), spec, place, ())


def _walk(values: list[Any], shape: tuple[int, ...], spec: TensorSpec, place: Place, path: Path) -> Iterator[Any]:
    if len(values) != shape[0]:
        first = place((*path[:-1], 0))
        raise InvalidInputError(f"{place(path)}: {_count(len(values))}, where {first} has {shape[0]}")
    for index, value in enumerate(values):
        here = (*path, index)
        if len(shape) > 1:
            if not isinstance(value, list):
                raise InvalidInputError(f"{place(here)}: {describe(value)}, where {place((*path, 0))} is an array")
            yield from _walk(value, shape[1:], spec, place, here)
            continue
        if isinstance(value, list):
            raise InvalidInputError(f"{place(here)}: an array, where {place((*path, 0))} is {describe(values[0])}")
        problem = _problem(value, spec)
        if problem:
            raise InvalidInputError(f"{place(here)}: {describe(value)} {problem}")
        yield value


def _problem(value: object, spec: TensorSpec) -> str:
    """What stops a single value from being of the datatype; empty when nothing does."""
    kind = DTYPES[spec.datatype].kind
    if kind == "O":
        return "" if isinstance(value, str) else "is no text"
    if kind == "b":
        return "" if isinstance(value, bool) else "is neither true nor false"
    if value is None:
        if spec.nullable and kind != "f":  # what was sent as integers for an input of floats
            return f"is not a number; {spec.datatype} has none for a missing value, send FP64"
        return "" if spec.nullable else "is not a number; the model takes no missing values"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "is not a number"
    return _misfit(value, spec)


def _misfit(value: float, spec: TensorSpec) -> str:
    dtype = DTYPES[spec.datatype]
    if dtype.kind == "f":
        return "" if _fits(value, dtype) else f"does not fit {spec.datatype}"
    if isinstance(value, float) and not value.is_integer():
        return "is not an integer"
    bounds = np.iinfo(dtype.str)
    return "" if bounds.min <= value <= bounds.max else f"does not fit {spec.datatype} ({bounds.min} to {bounds.max})"


def _fits(value: float, dtype: np.dtype[Any]) -> bool:
    try:
        with np.errstate(over="ignore"):
            return math.isfinite(float(dtype.type(value)))
    except OverflowError:  # an integer beyond any float
        return False


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
    return text if len(text := str(value)) <= 40 else f"{text[:37]}…"


def _count(number: int) -> str:
    return "1 value" if number == 1 else f"{number} values"
