"""What every protocol's request has to fulfil, once it is arrays: shapes, missing values, rows, names.

Called by the protocols and by nothing else; what comes out of `batch` is what `tensors.Batch` promises. Pure.
"""

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from modelway.server.arrays import Path, Place
from modelway.server.errors import InvalidInputError, RequestError
from modelway.server.signature import Signature
from modelway.server.tensors import Array, Batch, TensorSpec

_NAMES_SHOWN = 10


def batch(tensors: Mapping[str, Array], signature: Signature, wanted: tuple[str, ...], where: str) -> Batch:
    """The rows to predict.

    Args:
        tensors: an array for each input, each of its input's shape and datatype.
        signature: the model's.
        wanted: the outputs that are asked for.
        where: what holds the rows in the request, for messages: `instances`.

    Raises InvalidInputError where the inputs have different numbers of rows, RequestError (413) where there are more
    rows than the server takes.

    """
    rows = -1
    for name, array in tensors.items():
        length = array.shape[0] if array.ndim else 1
        if rows == -1:
            rows = length
        elif rows != length:
            first = next(iter(tensors))
            raise InvalidInputError(f'{where}: "{name}" has {length} rows, where "{first}" has {rows}')
    if rows > signature.max_rows:
        raise RequestError(
            413,
            f"{where}: {rows} rows, where at most {signature.max_rows} are taken in a request; "
            "send fewer rows at a time",
        )
    return Batch(tensors, rows=rows, wanted=wanted)


def check_shape(shape: tuple[int, ...], spec: TensorSpec, place: Place) -> None:
    """Raise InvalidInputError unless rows of this shape fit the input."""
    if spec.fits(shape):
        return
    if len(shape) == len(spec.shape) == 2 and spec.shape[1] not in {-1, shape[1]}:
        raise InvalidInputError(f"{place((0,))}: {count(shape[1])}, where {row_of(spec)} is expected")
    raise InvalidInputError(
        f'{place(())}: shape {list(shape)} does not fit the model\'s input "{spec.name}" of shape {list(spec.shape)}'
    )


def check_finite(array: Array, spec: TensorSpec, place: Place) -> None:
    """Raise InvalidInputError at the first infinity, and at the first NaN unless the input is nullable.

    For what comes as binary; JSON has neither.
    """
    if array.dtype.kind != "f" or np.count_nonzero(np.isfinite(array)) == array.size:
        return
    wrong = np.isinf(array) if spec.nullable else ~np.isfinite(array)
    if wrong.any():
        path: Path = tuple(int(index) for index in np.argwhere(wrong)[0])
        reason = "the model takes no missing values" if np.isnan(array[path]) else "numbers must be finite"
        raise InvalidInputError(f"{place(path)}: {array[path]} is not a number; {reason}")


def check_names(given: Collection[str], known: Collection[str], signature: Signature, where: str) -> None:
    """Raise InvalidInputError naming every value that is missing, or else every one that the model has no use for."""
    there, wanted = set(given), set(known)
    if missing := [name for name in known if name not in there]:
        raise InvalidInputError(f"{where}: no value for {quoted(missing)}; the model needs {listed(known)}")
    if signature.ignores_extra:
        return
    if extra := [name for name in given if name not in wanted]:
        raise InvalidInputError(
            f"{where}: the model has no input {quoted(extra)}; it has {listed(known)} "
            '("extraFeatures": "Ignore" in modelway.json lets others pass)'
        )


def row_of(spec: TensorSpec) -> str:
    """What a row of this input is, for messages: a row of 4 numbers."""
    kind = {"BYTES": "texts", "BOOL": "booleans"}.get(spec.datatype, "numbers")
    if len(spec.shape) == 2 and spec.shape[1] != -1:
        return f"a row of {spec.shape[1]} {kind if spec.shape[1] != 1 else kind[:-1]}"
    return f"a row of shape {list(spec.shape[1:])}"


def count(number: int) -> str:
    """`1 value`, `2 values`."""
    return "1 value" if number == 1 else f"{number} values"


def quoted(names: Iterable[str]) -> str:
    """Names for a message, each in quotes and shortened: they may be a caller's."""
    return listed([f'"{name[:80]}"' for name in names])


def listed(names: Collection[str]) -> str:
    """Names for a message; of many only the first."""
    shown = list(names)[:_NAMES_SHOWN]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return ", ".join(shown) + more
