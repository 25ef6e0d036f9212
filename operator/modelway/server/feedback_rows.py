"""Labels as they are sent: JSON, JSON Lines or CSV to rows, each with the place where it stood. Pure.

    {"id": "AQM…", "label": "fraud"}                  one row; `value` instead of `label` for a regression
    [{"id": "AQM…", "label": 1}, …]                   several
    {"id": "AQM…", "row": 2, "label": 1}              the third row of a request that had several
    {"id": "AQM…", "label": [1, 0, null]}             all rows of such a request; null where it is not known yet
    {"id": …, "label": 1, "slices": {"country": "DE"}} of a slice that quality is told of by itself
    id,label                                          CSV, with these columns; also `value`, `row`, and those of slices

The whole body is read before any of it counts, so that what is wrong with it is told and nothing is counted twice when
it is sent again.
"""

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

import orjson

from modelway.api.names import FEEDBACK_FIELDS
from modelway.server.arrays import describe
from modelway.server.errors import InvalidInputError, RequestError
from modelway.server.feedback_counts import Truth
from modelway.server.receipt import LONGEST, MOST_ROWS, class_name

LONGEST_LABEL: Final = 1024
"""Characters of a label."""
LONGEST_SLICE: Final = 64
"""Characters of a slice's name, and of its value."""
MOST_SLICES: Final = 8
"""Of one row."""
_COLUMNS: Final = ("id", "row", "label", "value")
_JSON: Final = frozenset({b"", b"application/json", b"application/x-www-form-urlencoded", b"text/plain"})
_LINES: Final = frozenset({b"application/x-ndjson", b"application/jsonl", b"application/json-lines"})


@dataclass(frozen=True, slots=True)
class SentLabel:
    """What was sent for one request's rows.

    Args:
        where: it stood in the body.
        id: of the prediction.
        row: the first row that it is about; None where that was not said.
        truths: of that row and those behind it; None for one that is not known.
        all_rows: whether it should be about all rows.
        slices: what these rows are told apart by.

    """

    where: str
    id: str
    row: int | None
    truths: tuple[Truth | None, ...]
    all_rows: bool = False
    slices: Mapping[str, str] = field(default_factory=dict)


def read(body: bytes, content_type: bytes, *, most: int, slices: Collection[str] = ()) -> Iterator[SentLabel]:
    """The labels in a body.

    Args:
        body: all of it.
        content_type: its type, as the header says.
        most: labels that are taken; in one array of a prediction with several rows each counts.
        slices: names of slices, which columns of CSV may be called.

    Raises:
        RequestError: at once or while it is read: 415 for a type that is not known, 413 for too many labels, 400 with
            the exact place of what is wrong.
    """
    media = content_type.lower().partition(b";")[0].strip()
    if media in _JSON:
        sent = _from_json(body)
    elif media in _LINES:
        sent = _from_lines(body)
    elif media == b"text/csv":
        sent = _from_csv(body, slices)
    else:
        shown = media[:80].decode("latin-1")
        raise RequestError(
            415, f'content-type "{shown}" is not known here; send application/json, application/x-ndjson or text/csv'
        )
    return _limited(sent, most)


def _limited(sent: Iterator[SentLabel], most: int) -> Iterator[SentLabel]:
    total = 0
    for one in sent:
        total += len(one.truths)
        if total > most:
            raise RequestError(413, f"{one.where}: more than {most} labels in one request; send them in several")
        yield one
    if not total:
        raise InvalidInputError("the body has no label; send at least one row with an id and a label or a value")


def _from_json(body: bytes) -> Iterator[SentLabel]:
    value = _decoded(body, "the body")
    if isinstance(value, dict):
        yield _object(value, "")
        return
    if not isinstance(value, list):
        raise InvalidInputError(f"the body should be an object with an id, or an array of such, not {describe(value)}")
    for index, row in enumerate(value):
        yield _object(row, f"[{index}]")


def _from_lines(body: bytes) -> Iterator[SentLabel]:
    begin, number = 0, 0
    while begin < len(body):
        end = body.find(b"\n", begin)
        end = len(body) if end < 0 else end
        line, number, begin = body[begin:end].strip(), number + 1, end + 1
        if line:
            yield _object(_decoded(line, f"line {number}"), f"line {number}")


def _decoded(text: bytes, where: str) -> Any:
    if not text.strip():
        raise InvalidInputError("the request has no body; send rows with an id and a label or a value")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"{where} is not JSON: {error}") from None


def _object(row: object, where: str) -> SentLabel:
    if not isinstance(row, dict):
        raise InvalidInputError(f"{where}: expected an object with an id and a label or a value, found {describe(row)}")
    place = f"{where}." if where else ""
    for key in row:
        if key not in FEEDBACK_FIELDS:
            raise InvalidInputError(f"{place}{key[:80]}: is not known here; a row has {', '.join(FEEDBACK_FIELDS)}")
    if ("label" in row) is ("value" in row):
        found = "both" if "label" in row else "neither"
        raise InvalidInputError(f'{where or "the object"}: has {found} of "label" and "value"; give one of them')
    number = row.get("row")
    if number is not None and (type(number) is not int or not 0 <= number < MOST_ROWS):
        raise InvalidInputError(f"{place}row: {describe(number)} is no row from 0 to {MOST_ROWS - 1}")
    identity = _identity(row.get("id"), f"{place}id")
    slices = _slices(row.get("slices"), f"{place}slices")
    name = "label" if "label" in row else "value"
    given = row[name]
    if not isinstance(given, list):
        return SentLabel(
            where or "the object", identity, number, (_truth(name, given, f"{place}{name}"),), slices=slices
        )
    if number is not None:
        raise InvalidInputError(f"{place}row: an array is about all rows; leave row out")
    truths = _truths(name, given, f"{place}{name}")
    return SentLabel(where or "the object", identity, 0, truths, all_rows=True, slices=slices)


def _slices(given: object, where: str) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InvalidInputError(f"{where}: expected an object of texts by their names, found {describe(given)}")
    if len(given) > MOST_SLICES:
        raise InvalidInputError(f"{where}: {len(given)} slices, where a row has at most {MOST_SLICES}")
    return {
        name: _slice(value, f"{where}.{name[:LONGEST_SLICE]}") for name, value in given.items() if value is not None
    }


def _slice(given: object, where: str) -> str:
    if not isinstance(given, str | int | float):
        raise InvalidInputError(f"{where}: {describe(given)} is neither a text, a number, true nor false")
    return class_name(given)


def _truths(name: str, given: Sequence[object], where: str) -> tuple[Truth | None, ...]:
    if not 1 <= len(given) <= MOST_ROWS:
        raise InvalidInputError(
            f"{where}: an array of {len(given)}, where a request with an id has 1 to {MOST_ROWS} rows"
        )
    return tuple(None if one is None else _truth(name, one, f"{where}[{index}]") for index, one in enumerate(given))


def _identity(given: object, where: str) -> str:
    if not isinstance(given, str) or not given:
        found = "nothing" if given is None else describe(given)
        raise InvalidInputError(f"{where}: expected the id of a prediction, found {found}")
    if len(given) > LONGEST:
        raise InvalidInputError(f"{where}: {len(given)} characters; no id has more than {LONGEST}")
    return given


def _truth(name: str, given: object, where: str) -> Truth:
    if given is None:
        raise InvalidInputError(f"{where}: null; leave out rows whose {name} is not known yet")
    if name == "value":
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise InvalidInputError(f"{where}: {describe(given)} is no number")
        return None, float(given)
    if not isinstance(given, str | int | float):
        raise InvalidInputError(f"{where}: {describe(given)} is neither a text, a number, true nor false")
    if isinstance(given, str) and not 1 <= len(given) <= LONGEST_LABEL:
        raise InvalidInputError(f"{where}: a text of {len(given)} characters, where 1 to {LONGEST_LABEL} are expected")
    return class_name(given), None


def _from_csv(body: bytes, slices: Collection[str]) -> Iterator[SentLabel]:
    try:
        text = body.decode("utf-8-sig")  # spreadsheets put a mark before the first name
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"the body is not UTF-8: byte {error.start}") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] = []
    begin = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InvalidInputError(f"line {begin}: {error}") from None
        if cells is None:
            return
        if cells and not names:
            names = _columns(cells, slices)
        elif cells:
            if len(cells) != len(names):
                raise InvalidInputError(
                    f"line {begin}: {len(cells)} cells, where the header names {len(names)} columns"
                )
            yield _line(dict(zip(names, cells, strict=True)), f"line {begin}", slices)
        begin = reader.line_num + 1


def _columns(cells: Sequence[str], slices: Collection[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if unknown := [name for name in names if name not in _COLUMNS and name not in slices]:
        known = ", ".join(["id, label or value, row", *sorted(slices)])
        raise InvalidInputError(f"line 1: column {unknown[0][:80]!r} is not known here; there are {known}")
    if "id" not in names or ("label" in names) is ("value" in names) or len(set(names)) != len(names):
        raise InvalidInputError(
            "line 1: expected the columns id, and label or value, and row where requests had several"
        )
    return names


def _line(cells: Mapping[str, str], where: str, slices: Collection[str]) -> SentLabel:
    number = cells.get("row", "").strip()
    if number and not (number.isascii() and number.isdigit() and int(number[:9]) < MOST_ROWS):
        raise InvalidInputError(f"{where}, row: {describe(number)} is no row from 0 to {MOST_ROWS - 1}")
    identity = _identity(cells["id"].strip(), f"{where}, id")
    if "label" in cells:
        if not (label := cells["label"].strip()):
            raise InvalidInputError(f"{where}, label: empty; leave out rows whose label is not known yet")
        truth = _truth("label", label, f"{where}, label")
    else:
        truth = None, _number(cells["value"], f"{where}, value")
    found = {name: value for name in slices if (value := cells.get(name, "").strip())}
    return SentLabel(where, identity, int(number) if number else None, (truth,), slices=found)


def _number(cell: str, where: str) -> float:
    try:
        number = float(cell) if "_" not in cell else float("nan")
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise InvalidInputError(f"{where}: {describe(cell)} is no number")
    return number
