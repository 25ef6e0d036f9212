"""CSV bodies of the V1 protocol: a header line with the columns' names, then a line for each row. Pure.

RFC 4180: commas, quotes where a value holds a comma, a quote or a line's end. UTF-8. The types are the model's: a cell
of a number's column is a number, of a boolean's `true` or `false`, of a text's what stands there. An empty cell of a
number's column is a missing value. Answered as V1 rows are.
"""

import csv
import io
import math
from collections.abc import Callable, Iterator
from typing import Any, Final

from modelway.server import v1
from modelway.server.arrays import Path, describe
from modelway.server.errors import InvalidInputError
from modelway.server.signature import Signature
from modelway.server.table import columns_for, from_rows
from modelway.server.tensors import DTYPES
from modelway.server.validation import batch
from modelway.server.wire import Request

_WHERE: Final = "CSV"
_TEXT: Final = DTYPES["BYTES"].kind
_BOOLEANS: Final = {"true": True, "false": False}


def parse(body: bytes, signature: Signature) -> Request:
    """Read a predict request. Raises RequestError with line and column of what is wrong."""
    try:
        text = body.decode("utf-8-sig")  # spreadsheets put a mark before the first name
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"the body is not UTF-8: byte {error.start}") from None
    lines = _records(text)
    _, names = next(lines, (1, []))
    if not names:
        raise InvalidInputError("the body has no header line; the first line names the columns")
    kinds = _kinds(names, signature)
    rows: list[list[Any]] = []
    at_line: list[int] = []
    for line, cells in lines:
        if len(cells) != len(names):
            raise InvalidInputError(f"line {line}: {len(cells)} cells, where the header names {len(names)} columns")
        typed = zip(cells, kinds, strict=True)
        rows.append([_value(cell, kind, line, column, names) for column, (cell, kind) in enumerate(typed)])
        at_line.append(line)
    if not rows:
        raise InvalidInputError("no line follows the header; at least one row is needed")
    position = {name: index for index, name in enumerate(names)}

    def spot(row: int, name: str, _path: Path) -> str:
        return _cell(at_line[row], position[name], names)

    tensors = from_rows(names, rows, signature, spot, _WHERE, has_booleans=True)
    return Request(batch(tensors, signature, signature.default_outputs, _WHERE))


render = v1.render


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """The line on which each record begins, and its cells; empty lines are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begin = 1
    try:
        for cells in reader:
            if cells:
                yield begin, cells
            begin = reader.line_num + 1
    except csv.Error as error:
        raise InvalidInputError(f"line {begin}: {error}") from None


def _kinds(names: list[str], signature: Signature) -> list[str]:
    """For each column the kind of its values, as numpy's letters; of columns that are not the model's, as texts."""
    only, known = signature.only, set(columns_for(names, signature))
    if only is None or only.name in known:
        by_name = signature.by_name
        if only is None or only.name in names:
            return [DTYPES[by_name[name].datatype].kind if name in by_name else _TEXT for name in names]
        known = set(names)  # the model knows no names: taken in their order
    return [DTYPES[only.datatype].kind if name in known else _TEXT for name in names]


def _value(cell: str, kind: str, line: int, column: int, names: list[str]) -> object:
    """What the cell says, as the JSON value that it would be."""
    if kind == _TEXT:
        return cell
    stripped = cell.strip()
    if kind == "b":
        value: object = _BOOLEANS.get(stripped.lower())
        if value is None:
            raise InvalidInputError(f"{_cell(line, column, names)}: {describe(cell)} is neither true nor false")
        return value
    if not stripped:
        return None
    number = _number(stripped, float if kind == "f" else int)
    if number is None:
        raise InvalidInputError(f"{_cell(line, column, names)}: {describe(cell)} is not a number")
    if number in {math.inf, -math.inf}:
        raise InvalidInputError(f"{_cell(line, column, names)}: {describe(cell)} is not finite")
    return None if number != number else number  # noqa: PLR0124 NaN; math.isnan fails on integers beyond any float


def _number(text: str, kind: Callable[[str], float]) -> float | None:
    """A number, or None for what is none. Python's own reading, without its `1_000`."""
    if "_" in text:
        return None
    try:
        return kind(text)
    except ValueError:
        pass
    try:  # an integer as 3.0 or 1e3, which is one in JSON too
        value = float(text)
    except ValueError:
        return None
    return value


def _cell(line: int, column: int, names: list[str]) -> str:
    return f"line {line}, column {column + 1} ({names[column][:80]})"
