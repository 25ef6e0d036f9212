"""From columns of the input to the model's inputs: which column is which, whether its type can be it, and the arrays.

The good case costs one copy, into the matrix that the model takes, and none where an input is a column. Rows that the
server would refuse are failures here, with the same rules: a missing value only where the model takes one, no infinity,
nothing that the model's type cannot hold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelway.batch.errors import BatchError, Reason
from modelway.batch.settings import Settings
from modelway.server.signature import Signature
from modelway.server.tensors import DTYPES, Array, TensorSpec
from modelway.server.validation import listed, quoted

Problems = dict[int, tuple[str, str]]
"""What is wrong, by row: the column and the reason."""

_MISSING: Final = "no value, and the model takes no missing values"


@dataclass(frozen=True, slots=True)
class Column:
    """A column that the model reads.

    Args:
        name: of the input or feature.
        column: of the input's files.
        spec: the input that it belongs to.
        width: 0: a value in each row; else a list of so many, -1 of any number.

    """

    name: str
    column: str
    spec: TensorSpec
    width: int = 0

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The type of its values, as the model takes them."""
        return DTYPES[self.spec.datatype]

    def arrow(self) -> Any:
        """The type in which text formats read it."""
        kind = {"f": pa.float64(), "i": pa.int64(), "u": pa.uint64(), "b": pa.bool_(), "O": pa.string()}[
            self.dtype.kind
        ]
        return pa.list_(kind) if self.width else kind


@dataclass(frozen=True, slots=True)
class Binding:
    """All columns that a run reads: the model's, and those that are written beside the answers.

    Args:
        columns: the model's. Of a `matrix` in the order of its values.
        matrix: the model's only input, where its values are columns.
        keys: names of the columns to be written.

    """

    columns: tuple[Column, ...]
    matrix: TensorSpec | None
    keys: tuple[str, ...]

    def names(self) -> list[str]:
        """The columns to be read, each once."""
        return list(dict.fromkeys([*(column.column for column in self.columns), *self.keys]))

    def tensors(self, rows: Any) -> tuple[dict[str, Array], Problems]:
        """The model's inputs for all rows of a RecordBatch, and which of these rows must not be used, and why."""
        problems: Problems = {}
        if self.matrix is None:
            return {column.name: _input(rows, column, problems) for column in self.columns}, problems
        matrix = _quick(rows, self.columns, self.matrix)
        if matrix is None:
            matrix = np.empty((rows.num_rows, len(self.columns)), DTYPES[self.matrix.datatype])
            for index, column in enumerate(self.columns):
                matrix[:, index] = _values(rows.column(column.column), column, problems)
        return {self.matrix.name: matrix}, problems


def bind(signature: Signature, settings: Settings) -> Binding:
    """Which column is which input. Raises BatchError(SETTINGS_INVALID)."""
    only = signature.only
    features = signature.features or settings.features
    if settings.features and signature.features and settings.features != signature.features:
        raise _invalid(f"features are given, and the model knows its own: {listed(signature.features)}; use a mapping")
    if only is not None and len(only.shape) == 2 and features:
        if only.shape[1] not in {-1, len(features)}:
            raise _invalid(f"{len(features)} features, where the model takes {only.shape[1]}")
        names = [(name, only, 0) for name in features]
    else:
        names = [(spec.name, spec, _width(spec)) for spec in signature.inputs]
    if unknown := sorted(settings.mapping.keys() - {name for name, _, _ in names}):
        raise _invalid(
            f"the mapping names {quoted(unknown)}, which the model has not; "
            f"it has {listed([name for name, _, _ in names])}"
        )
    columns = tuple(Column(name, settings.mapping.get(name, name), spec, width) for name, spec, width in names)
    return Binding(columns, only if features else None, settings.keys)


def missing(wanted: Iterable[str], there: Sequence[str], where: str, binding: Binding) -> BatchError:
    """What to say of columns that are not there."""
    lacking = [name for name in wanted if name not in there]
    hint = ""
    plain = binding.matrix is None and len(binding.columns) == 1 and binding.columns[0].width
    if plain and binding.columns[0].column in lacking:
        hint = (
            f"; the model does not know what its {binding.columns[0].width} values are called: "
            "name their columns in order with --features, or as featureNames in modelway.json"
        )
    return BatchError(
        Reason.COLUMN_MISSING, f"{where} has no column {quoted(lacking)}; it has {listed(list(there)) or 'none'}{hint}"
    )


def mistyped(kind: Any, column: Column) -> str:
    """Why values of this Arrow type cannot be what the model takes; empty where they can."""
    if column.width:
        if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
            return f"{kind}, where a list of {column.width if column.width > 0 else 'several'} is needed"
        kind = kind.value_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    wanted = column.dtype.kind
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    right = {"b": pa.types.is_boolean(kind), "O": is_text}.get(wanted, is_number) or pa.types.is_null(kind)
    return "" if right else f"{kind}, where the model takes {column.spec.datatype}"


def _width(spec: TensorSpec) -> int:
    if len(spec.shape) == 1 or spec.shape[1:] == (1,):
        return 0
    if len(spec.shape) == 2 and spec.datatype != "BYTES":
        return spec.shape[1]
    raise _invalid(
        f'the model\'s input "{spec.name}" of {spec.datatype} and shape {list(spec.shape)} has no form as a column; '
        "a value or a list of numbers in each row has"
    )


def _invalid(problem: str) -> BatchError:
    return BatchError(Reason.SETTINGS_INVALID, problem)


def _quick(rows: Any, columns: Sequence[Column], spec: TensorSpec) -> Array | None:
    """All columns in one go where nothing is missing or infinite, and all are floats of one width; else None."""
    arrays = [rows.column(column.column) for column in columns]
    kind = arrays[0].type
    floats = pa.types.is_floating(kind) and DTYPES[spec.datatype].kind == "f"
    if not floats or any(array.type != kind or array.null_count for array in arrays):
        return None
    matrix: Array = np.asarray(
        pa.RecordBatch.from_arrays(arrays, names=[str(i) for i in range(len(arrays))]).to_tensor()
    )
    with np.errstate(over="ignore", invalid="ignore"):
        matrix = np.ascontiguousarray(matrix, dtype=DTYPES[spec.datatype])
        # A sum is finite only if all that is in it is: a pass at the speed of memory, where a look at each costs three.
        if matrix.dtype.itemsize >= 4 and np.isfinite(matrix @ np.ones(matrix.shape[1], matrix.dtype)).all():
            return matrix
    return None


def _input(rows: Any, column: Column, problems: Problems) -> Array:
    """One input whose values are one column."""
    array = rows.column(column.column)
    if not column.width:
        values = _values(array, column, problems)
        return values.reshape(-1, 1) if len(column.spec.shape) == 2 else values
    return _lists(array, column, problems)


def _lists(array: Any, column: Column, problems: Problems) -> Array:
    lengths = pc.fill_null(pc.list_value_length(array), -1).to_numpy(zero_copy_only=False)
    width = column.width if column.width > 0 else int(max(lengths.max(initial=1), 1))
    right = lengths == width
    for row in np.flatnonzero(~right):
        told = _MISSING if lengths[row] < 0 else f"a list of {lengths[row]}, where {width} are needed"
        problems.setdefault(int(row), (column.column, told))
    flat_problems: Problems = {}
    flat = _values(array.filter(pa.array(right)).flatten(), column, flat_problems)
    owners = np.flatnonzero(right)
    for index, (_, told) in flat_problems.items():
        problems.setdefault(int(owners[index // width]), (column.column, f"[{index % width}]: {told}"))
    if right.all():
        return flat.reshape(-1, width)
    whole = np.zeros((len(array), width), column.dtype)
    whole[right] = flat.reshape(-1, width)
    return whole


def _values(array: Any, column: Column, problems: Problems) -> Array:
    """The values of an Arrow array in the model's type; where there is a problem, some value."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_null(array.type):
        array = array.cast(column.arrow().value_type if column.width else column.arrow())
    absent = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    kind = column.dtype.kind
    if kind == "O":
        values: Array = array.to_numpy(zero_copy_only=False)
        _note(absent, column, problems, lambda _row: _MISSING)
        return values if absent is None else np.where(absent, "", values)
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.float64())
    if absent is not None:
        array = array.fill_null(False if pa.types.is_boolean(array.type) else 0)
    given = array.to_numpy(zero_copy_only=False)
    if kind == "f":
        return _floats(given, absent, column, problems)
    _note(absent, column, problems, lambda _row: _MISSING)
    return given if kind == "b" else _integers(given, column, problems)


def _floats(given: Array, absent: Array | None, column: Column, problems: Problems) -> Array:
    with np.errstate(over="ignore"):
        values: Any = given.astype(column.dtype, copy=False)
    if absent is not None:
        values = values.copy() if values is given else values
        values[absent] = np.nan
    if np.count_nonzero(np.isfinite(values)) == values.size:
        return values  # type: ignore[no-any-return]
    wrong = np.isinf(values) if column.spec.nullable else ~np.isfinite(values)
    _note(
        wrong,
        column,
        problems,
        lambda row: _MISSING if np.isnan(values[row]) else f"{given[row]} is not a finite {column.spec.datatype}",
    )
    return values  # type: ignore[no-any-return]


def _integers(given: Any, column: Column, problems: Problems) -> Array:
    limits = np.iinfo(column.dtype)  # type: ignore[type-var]
    if given.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            # The limits of 64 bits have no float of their own; the next one below is the last that fits.
            right = (given == np.floor(given)) & (given >= float(limits.min)) & (given < float(limits.max) + 1.0)
    else:
        right = (given >= limits.min) & (given <= limits.max)
    if not right.all():
        _note(~right, column, problems, lambda row: f"{given[row]} is no {column.spec.datatype}")
        given = np.where(right, given, 0)
    return given.astype(column.dtype, copy=False)  # type: ignore[no-any-return]


def _note(wrong: Array | None, column: Column, problems: Problems, told: Any) -> None:
    if wrong is not None:
        for row in np.flatnonzero(wrong):
            problems.setdefault(int(row), (column.column, told(row)))


def chosen(tensors: Mapping[str, Array], rows: Array) -> dict[str, Array]:
    """The rows that are left."""
    return {name: array[rows] for name, array in tensors.items()}
