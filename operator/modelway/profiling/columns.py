"""Columns of numbers or of texts, from files and from whatever a notebook has.

A column is an array of doubles with NaN where there is no value, or a list of texts with None there. What is neither,
dates and lists for example, is left out and told. Files are read a column at a time: a table of 10 GB needs the memory
of its largest column.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from modelway.profiling.errors import ProfileError

Column = NDArray[np.float64] | list[str | None]
Named = Iterator[tuple[str, Column | str]]
"""Each column by its name; in place of one that is left out the reason."""


def of_file(path: Path, texts: frozenset[str] = frozenset()) -> Named:
    """The columns of a Parquet or CSV file.

    Args:
        path: of the file.
        texts: columns that are texts, whatever they look like: postcodes, numbers of products.

    Raises:
        ProfileError: it cannot be read.

    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ProfileError(f"{path.name}: rows are read from {' and '.join(_READERS)}; convert it to one of these")
    try:
        import pyarrow as pa  # noqa: PLC0415 large, and only for files
    except ImportError as error:
        raise ProfileError(f"{path.name}: files are read by pyarrow: pip install 'modelway[batch]'") from error
    try:
        for name, column in reader(path, texts):
            yield name, _of_arrow(column, is_text=name in texts)
    except pa.ArrowException as error:
        raise ProfileError(f"{path.name}: {error}") from error
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror or error}") from error


def of_table(table: object, texts: frozenset[str] = frozenset(), names: Sequence[str] = ()) -> Named:
    """The columns of a table of pandas or polars, of a mapping of arrays, or of an array with `names`.

    Raises:
        ProfileError: it is none of these, or has other columns than names.
    """
    named: Any = table
    if isinstance(table, Mapping) or hasattr(table, "columns"):
        for name in table if isinstance(table, Mapping) else named.columns:
            column = named[name]
            array = column.to_numpy() if hasattr(column, "to_numpy") else np.asarray(column)
            yield str(name), _of_array(array, is_text=str(name) in texts)
        return
    array = np.asarray(table)
    if array.ndim != 2:
        raise ProfileError(f"rows of shape {list(array.shape)}: a table, or an array of [rows, columns] is needed")
    if len(names) != array.shape[1]:
        raise ProfileError(f"{array.shape[1]} columns and {len(names)} names; say what the columns are called")
    for place, name in enumerate(names):
        yield name, _of_array(array[:, place], is_text=name in texts)


def _parquet(path: Path, _texts: frozenset[str]) -> Iterator[tuple[str, Any]]:
    from pyarrow import parquet  # noqa: PLC0415 see above

    with parquet.ParquetFile(path) as file:
        for name in file.schema_arrow.names:
            yield name, file.read(columns=[name]).column(0)


def _csv(path: Path, texts: frozenset[str]) -> Iterator[tuple[str, Any]]:
    import pyarrow as pa  # noqa: PLC0415 see above
    from pyarrow import csv  # noqa: PLC0415

    options = csv.ConvertOptions(strings_can_be_null=True, column_types=dict.fromkeys(texts, pa.string()))
    table = csv.read_csv(path, convert_options=options)
    yield from zip(table.column_names, table.columns, strict=True)


_READERS: Final[Mapping[str, Callable[[Path, frozenset[str]], Iterator[tuple[str, Any]]]]] = {
    ".parquet": _parquet,
    ".csv": _csv,
}


def _of_arrow(column: Any, *, is_text: bool) -> Column | str:
    import pyarrow as pa  # noqa: PLC0415 see above

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        found: list[str | None] = column.to_pylist()
        return found
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if is_text and (numbers or pa.types.is_boolean(kind)):
        return [None if value is None else str(value) for value in column.to_pylist()]
    if numbers or pa.types.is_boolean(kind):
        as_integers = column.cast(pa.int8()) if pa.types.is_boolean(kind) else column
        values: NDArray[np.float64] = as_integers.cast(pa.float64(), safe=False).to_numpy()
        return np.asarray(values, dtype=np.float64)
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    return f"{kind} is neither a number nor a text"


def _of_array(array: NDArray[Any], *, is_text: bool) -> Column | str:
    if array.ndim != 1:
        return f"values of shape {list(array.shape[1:])} are no numbers"
    if array.dtype.kind in "biuf" and not is_text:
        return array.astype(np.float64)
    if array.dtype.kind not in "biufOUST":
        return f"{array.dtype} is neither a number nor a text"
    values = [None if _is_missing(value) else value for value in array.tolist()]
    if not is_text and all(value is None or isinstance(value, (bool, int, float)) for value in values):
        return np.array([np.nan if value is None else float(value) for value in values])
    return [None if value is None else value if isinstance(value, str) else str(value) for value in values]


def _is_missing(value: object) -> bool:
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:  # of pandas, which need not be installed
        return True
    return isinstance(value, float) and value != value  # noqa: PLR0124 NaN
