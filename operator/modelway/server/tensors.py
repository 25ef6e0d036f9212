"""Tensors as the Open Inference Protocol names them, and the batch that every protocol is turned into.

Shared by the protocols (which make batches), the formats (which predict them) and whatever later observes them. Pure.
Invariant: the arrays of a `Batch` have exactly the datatype and shape that the model's `TensorSpec` asks for, hold no
infinity, and NaN only for inputs that are nullable; texts are `str`; all share their first dimension. A format need not
check again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

# https://github.com/open-inference/open-inference-protocol: "Tensor Data Types". BF16 has no numpy type: a model with
# such an input is refused when it is loaded.
DTYPES: Final[Mapping[str, np.dtype[np.generic]]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}
FLOATS: Final = frozenset({"FP16", "FP32", "FP64"})
"""The datatypes that have a NaN, which is how a missing value is told to a model."""
_NAMES: Final[Mapping[np.dtype[np.generic], str]] = {dtype: name for name, dtype in DTYPES.items()}


def datatype_of(array: Array) -> str:
    """The protocol's name of an array's type; text of any kind is BYTES. Raises KeyError for what has none."""
    dtype = array.dtype
    if dtype.isnative and dtype in _NAMES:
        return _NAMES[dtype]
    return "BYTES" if dtype.kind in "OUST" else _NAMES[dtype.newbyteorder("=")]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model. A dimension of -1 takes any size; the first one is the number of rows.

    `lenient` is for models that have no tensors of their own: datatypes which numpy casts without loss are taken as
    well (FP32 or INT32 for FP64), and a model's only input is taken under any name.

    `nullable` is for models that know what to do with a missing value: NaN may stand in such an input.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    lenient: bool = False
    nullable: bool = False

    def takes(self, datatype: str) -> bool:
        """Whether a tensor of this datatype may be sent for this input."""
        if datatype == self.datatype:
            return True
        return (
            self.lenient
            and "BYTES" not in {datatype, self.datatype}
            and bool(np.can_cast(DTYPES[datatype], DTYPES[self.datatype], casting="safe"))
        )

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape may be sent for this input."""
        own = self.shape
        if len(shape) != len(own):
            return False
        if own and own[0] == -1 and own[1:] == shape[1:]:  # nearly always
            return True
        return all(want in {-1, have} for want, have in zip(self.shape, shape, strict=True))


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows to predict: one array per input of the model, and the outputs that are asked for, in that order."""

    tensors: Mapping[str, Array]
    rows: int
    wanted: tuple[str, ...]

    def columns(self, features: Sequence[str] = ()) -> Iterator[tuple[str, Array]]:
        """Name and values of each column, for observation and batch jobs; views, nothing is copied.

        An input of shape [rows] or [rows, 1] is a column of that name. A model's only input of shape [rows, n] is n
        columns, called as `features` says, else `X[0]`, `X[1]`… after the input. All these have shape [rows]; whatever
        else an input may be is a column as it is.
        """
        for name, array in self.tensors.items():
            if array.ndim != 2 or (len(self.tensors) > 1 and array.shape[1] != 1):
                yield name, array
            elif len(features) == array.shape[1] and len(self.tensors) == 1:
                yield from zip(features, array.T, strict=True)
            elif array.shape[1] == 1:
                yield name, array[:, 0]
            else:
                yield from ((f"{name}[{index}]", column) for index, column in enumerate(array.T))
