"""Sample rows from a file or from a notebook, as the model takes them.

A file is read by what reads requests, so what is wrong with it is told with its place: CSV with a header row, and JSON
in every form that the V1 protocol has (`{"instances": …}`, columns, pandas' split and records) or as a list of rows.
Columns that the model has no use for, such as the label that was learnt from, are left out.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from modelway.packing.errors import RowsError
from modelway.server import csv_rows, table, v1
from modelway.server.errors import RequestError
from modelway.server.formats.base import Model
from modelway.server.signature import Signature
from modelway.server.tensors import DTYPES, Array

MAX_ROWS: Final = 100_000

Tensors = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows, and the names of their columns where the model does not know them itself.

    Args:
        tensors: an array for each input.
        names: of the values of the only input's rows; none where they are not known.

    """

    tensors: Tensors
    names: tuple[str, ...] = ()


def read(path: Path, model: Model) -> Sample:
    """The rows in a file. Raises RowsError."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise RowsError(f"{path.name}: sample rows are read from {', '.join(_READERS)}; convert it to one of these")
    try:
        return _checked(path.name, lambda: reader(path, _signature(model)))
    except OSError as error:
        raise RowsError(f"{path}: {error.strerror or error}") from error


def of(rows: object, model: Model) -> Sample:
    """Rows that are in memory: an array, a table of pandas or polars, a list, or an array for each input.

    Raises RowsError.
    """
    signature = _signature(model)
    if isinstance(rows, Mapping):
        return _checked(
            "rows", lambda: _columns({str(name): np.asarray(value) for name, value in rows.items()}, signature)
        )
    if hasattr(rows, "columns"):
        named: Any = rows
        return of({str(name): named[name].to_numpy() for name in named.columns}, model)
    return _checked("rows", lambda: _array(np.asarray(rows), signature))


def kinds(rows: object) -> dict[str, bool]:
    """The columns of a sample with names, and whether each holds texts. Raises RowsError where there are no names."""
    if isinstance(rows, (str, Path)):
        path = Path(rows)
        if path.suffix.lower() == ".csv":
            return _kinds_of_csv(path)
        raise RowsError(
            f"{path.name}: what the transform takes is told by a CSV file's header, or by inputs in modelway.json"
        )
    named: Any = rows
    if isinstance(rows, Mapping) or hasattr(rows, "columns"):
        columns = rows if isinstance(rows, Mapping) else named.columns
        return {str(name): np.asarray(named[name]).dtype.kind not in "biuf" for name in columns}
    raise RowsError("what the transform takes is told by a table with names, or by inputs in modelway.json")


def _kinds_of_csv(path: Path) -> dict[str, bool]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RowsError(f"{path.name}: {error}") from error
    if len(lines) < 2:
        raise RowsError(f"{path.name}: a header line and at least one row are needed")
    columns = zip(lines[0], zip(*lines[1:], strict=False), strict=False)
    return {name: not all(_is_number(cell) for cell in cells) for name, cells in columns}


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def _signature(model: Model) -> Signature:
    return Signature.of(model, ignores_extra=True, max_rows=MAX_ROWS)


def _checked(name: str, read: Callable[[], Sample]) -> Sample:
    try:
        return read()
    except RequestError as error:
        raise RowsError(f"{name}: {error.message}") from error


def _csv(path: Path, signature: Signature) -> Sample:
    body = path.read_bytes()
    tensors = csv_rows.parse(body, signature).batch.tensors
    header = next(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))
    return Sample(tensors, _new_names(header, signature))


def _json(path: Path, signature: Signature) -> Sample:
    body = path.read_bytes()
    if body.lstrip()[:1] == b"[":
        body = b'{"instances": ' + body + b"}"
    return Sample(v1.parse(body, signature).batch.tensors)


def _npy(path: Path, signature: Signature) -> Sample:
    try:
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise RowsError(f"{path.name}: {error}; save plain numbers with numpy.save") from error
    if isinstance(loaded, np.lib.npyio.NpzFile):
        return _columns({name: loaded[name] for name in loaded.files}, signature)
    return _array(loaded, signature)


def _parquet(path: Path, signature: Signature) -> Sample:
    try:
        import pyarrow as pa  # noqa: PLC0415 large, and only for such files
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise RowsError(f"{path.name}: Parquet needs pyarrow: pip install 'modelway[convert]'") from error
    try:
        read = parquet.read_table(path)
    except pa.ArrowException as error:
        raise RowsError(f"{path.name}: {error}") from error
    return _columns({name: read[name].to_numpy(zero_copy_only=False) for name in read.column_names}, signature)


_READERS: Final[Mapping[str, Callable[[Path, Signature], Sample]]] = {
    ".csv": _csv,
    ".json": _json,
    ".npy": _npy,
    ".npz": _npy,
    ".parquet": _parquet,
}


def _array(rows: Array, signature: Signature) -> Sample:
    """Rows of the model's only input."""
    only = signature.only
    if only is None:
        raise RowsError(f"the model has {len(signature.inputs)} inputs: give rows with names, as CSV or a table")
    array = _cast(rows, only.datatype, only.name)
    if not only.fits(array.shape) or not len(array):
        raise RowsError(f"rows of shape {list(array.shape)}, where the model takes {list(only.shape)}")
    return Sample({only.name: array})


def _new_names(names: Sequence[str], signature: Signature) -> tuple[str, ...]:
    """The columns' names, where the model's only input takes as many values and does not know what they are called."""
    only = signature.only
    fits = only is not None and len(only.shape) == 2 and only.shape[1] == len(names)
    return tuple(names) if fits and not signature.features else ()


def _columns(columns: Mapping[str, Array], signature: Signature) -> Sample:
    """Named columns: the inputs themselves, or the features of the only one, or what may be its features."""
    if all(name in columns and columns[name].ndim == len(spec.shape) for name, spec in signature.by_name.items()):
        return Sample({name: _cast(columns[name], spec.datatype, name) for name, spec in signature.by_name.items()})
    names = _new_names(tuple(columns), signature)
    if names:
        return Sample(_array(np.column_stack(list(columns.values())), signature).tensors, names)
    listed = {name: _listed(column) for name, column in columns.items()}
    return Sample(table.from_columns(listed, signature, "rows", has_booleans=True))


def _listed(column: Array) -> list[Any]:
    """A column as JSON would have it: a missing value is null."""
    return [None if value is None or value != value else value for value in column.tolist()]  # noqa: PLR0124 NaN


def _cast(array: Array, datatype: str, name: str) -> Array:
    dtype = DTYPES[datatype]
    if dtype.kind == "O":
        return array.astype(str).astype(object)
    try:
        # Bytes that mean the same may be cast; a text that holds a number may not.
        return np.ascontiguousarray(array.astype(dtype, casting="unsafe" if array.dtype.kind in "biuf" else "safe"))
    except (TypeError, ValueError) as error:
        raise RowsError(f'"{name}" holds {array.dtype}, where the model takes {datatype}') from error
