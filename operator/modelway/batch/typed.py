"""Texts and JSON values as columns of the type that the model takes; what cannot be of it is told, row by row.

The good case is one call into Arrow for a column. A column that Arrow refuses is walked cell by cell.
"""

import math
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from modelway.batch.columns import Binding, Column, Problems
from modelway.batch.errors import BatchError, Reason
from modelway.server.arrays import describe

_BOOLEANS: Final = {"true": True, "false": False}
_WRONG: Final = object()


def from_texts(cells: Any, column: Column, problems: Problems) -> Any:
    """A column of CSV cells: an empty cell of a number is a missing value, spaces around one do not count."""
    kind = column.arrow()
    if pa.types.is_string(kind):
        return cells
    trimmed = pc.utf8_trim_whitespace(cells)
    trimmed = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
    if not pa.types.is_boolean(kind):  # Arrow takes 0 and 1 for booleans
        try:
            return trimmed.cast(kind)
        except pa.ArrowInvalid:
            pass
    return _walked(trimmed.to_pylist(), column, kind, _cell, problems)


def from_json(values: list[Any], column: Column, problems: Problems) -> Any:
    """A column of JSON values."""
    kind = column.arrow()
    # Arrow takes true for 1.
    leaves = chain.from_iterable(value for value in values if isinstance(value, list)) if column.width else values
    if column.dtype.kind == "b" or bool not in set(map(type, leaves)):
        try:
            return pa.array(values, kind)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            pass
    return _walked(values, column, kind, _value, problems)


def as_texts(values: Sequence[Any]) -> Any:
    """JSON values to be written beside the answers: texts as they are, anything else as its JSON."""
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowException, TypeError):
        return pa.array(
            [value if value is None or isinstance(value, str) else orjson.dumps(value).decode() for value in values],
            pa.string(),
        )


def repeated(text: str, name: str, binding: Binding, rows: int) -> Any:
    """A column that has the same text in each row, in the type that is needed. Raises BatchError(COLUMN_TYPE_WRONG)."""
    array = pa.array([text])
    for column in binding.columns:
        if column.column == name:
            problems: Problems = {}
            array = from_texts(array, column, problems) if not column.width else array
            if problems or column.width:
                raise BatchError(
                    Reason.COLUMN_TYPE_WRONG,
                    f'the path says "{name}={text}", where the model takes {column.spec.datatype}',
                )
    return pa.repeat(array[0], rows)


def _walked(
    values: list[Any], column: Column, kind: Any, read: Callable[[Any, Column], Any], problems: Problems
) -> Any:
    found = []
    for row, value in enumerate(values):
        one = None if value is None else read(value, column)
        if one is _WRONG:
            wanted = {"b": "boolean", "O": "text"}.get(column.dtype.kind, "number")
            told = (
                f"{describe(value)} is no list of {column.width}"
                if column.width
                else f"{describe(value)} is no {wanted}"
            )
            problems.setdefault(row, (column.column, told))
            one = None
        found.append(one)
    return pa.array(found, kind)


def _cell(text: str, column: Column) -> Any:
    kind = column.dtype.kind
    if kind == "b":
        return _BOOLEANS.get(text.lower(), _WRONG)
    if "_" in text:
        return _WRONG
    try:
        return float(text) if kind == "f" else _whole(text, column)
    except ValueError:
        return _WRONG


def _whole(text: str, column: Column) -> Any:
    try:
        number = int(text)
    except ValueError:
        value = float(text)
        if not math.isfinite(value) or value != int(value):
            return _WRONG
        number = int(value)
    limits = np.iinfo(column.dtype)  # type: ignore[type-var]
    return number if limits.min <= number <= limits.max else _WRONG


def _value(value: Any, column: Column) -> Any:
    if column.width:
        items = [_scalar(item, column) for item in value] if isinstance(value, list) else [_WRONG]
        return _WRONG if _WRONG in items else items
    return _scalar(value, column)


def _scalar(value: Any, column: Column) -> Any:
    kind = column.dtype.kind
    if kind in "bO":
        return value if isinstance(value, bool if kind == "b" else str) else _WRONG
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _WRONG
    if kind == "f":
        try:
            return float(value)
        except OverflowError:
            return _WRONG
    return _whole(str(value), column)
