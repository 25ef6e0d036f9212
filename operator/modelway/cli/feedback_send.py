"""The work of `modelway feedback`: rows of a file, some thousands at a time, to a model server.

Nothing but the standard library and orjson: the command comes with every installation. Whatever is sent again counts
once, so a connection that breaks is simply tried anew.
"""

import csv
import json
import re
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import IO, Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import orjson

from modelway.cli.feedback_wait import Say, Waiting, say_nothing

AT_ONCE: Final = 5000
"""Rows of one request."""
_LARGEST: Final = 1024 * 1024
"""Bytes of one request."""
_TRIES: Final = 8
_LONGEST_PAUSE: Final = 30.0  # seconds
_SECONDS: Final = 60.0  # for one request
_MOST_PROBLEMS: Final = 20
_PASSING: Final = frozenset({408, 429, 502, 503, 504})
_LINE: Final = re.compile(r"^line (\d+)")


class SendingError(Exception):
    """It cannot go on; the message says where, and what to do."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of the file are what.

    Args:
        id: prediction ids.
        truth: what came true.
        kind: `label` or `value`.
        row: of a request that had several rows; None where no request had.
        slices: what rows are told apart by.

    """

    id: str
    truth: str
    kind: str
    row: str | None
    slices: tuple[str, ...] = ()


@dataclass(slots=True)
class Result:
    """What became of a file.

    Args:
        outcomes: labels by what the server said of them.
        problems: (line of the file, what is wrong), the first of them.
        unlabelled: rows whose label is not there yet.
        unsliced: labels that count, and in one of their slices do not.

    """

    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[tuple[str, str]] = field(default_factory=list)
    unlabelled: int = 0
    unsliced: int = 0


Line = tuple[int, Mapping[str, Any]]
"""Where a row begins in its file, and its cells."""


def csv_rows(file: IO[str]) -> tuple[list[str], Iterator[Line]]:
    """Names of the columns, and the rows. Raises SendingError with the line of what is wrong."""
    reader = csv.reader(file, strict=True)
    names = [name.strip() for name in _next(reader, 1) or []]
    if not names:
        raise SendingError("the file is empty; its first line should name the columns")
    return names, _records(reader, names)


def _records(reader: Any, names: list[str]) -> Iterator[Line]:
    while True:
        line = reader.line_num + 1
        cells = _next(reader, line)
        if cells is None:
            return
        if cells and len(cells) != len(names):
            raise SendingError(f"line {line}: {len(cells)} cells, where the first line names {len(names)} columns")
        if cells:
            yield line, dict(zip(names, cells, strict=True))


def _next(reader: Any, line: int) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        raise SendingError(f"line {line}: {error}") from None
    except UnicodeDecodeError as error:
        raise SendingError(f"line {line}: is not UTF-8: {error.reason}") from None


def json_rows(file: IO[str]) -> tuple[list[str], Iterator[Line]]:
    """The same of a file of JSON Lines, with the names of its first row."""
    rows = _objects(file)
    first = next(rows, None)
    if first is None:
        raise SendingError("the file is empty")
    return list(first[1]), chain([first], rows)


def _objects(file: IO[str]) -> Iterator[Line]:
    for number, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            raise SendingError(f"line {number}: is not JSON: {error.msg}, column {error.colno}") from None
        if not isinstance(row, dict):
            raise SendingError(f"line {number}: expected an object")
        yield number, row


def send(
    rows: Iterable[Line],
    columns: Columns,
    url: str,
    *,
    told: Callable[[int], None] = lambda _rows: None,
    say: Say = say_nothing,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Send all rows.

    Args:
        rows: of the file.
        columns: which of them are what.
        url: `…/v1/models/<name>/feedback`.
        told: is told after each request how many rows were sent with it.
        say: is told what is waited for, where the server does not answer at once.
        sleep: waits between tries.

    Raises:
        SendingError: a row cannot be read, or the server does not take it.

    """
    result = Result()
    lines = _sendable(rows, columns, result)
    while part := list(islice(lines, AT_ONCE)):
        begin = 0
        while begin < len(part):
            end, size = begin, 0
            while end < len(part) and (end == begin or size + len(part[end][1]) <= _LARGEST):
                size += len(part[end][1]) + 1
                end += 1
            _send_some(part[begin:end], url, result, Waiting(say, sleep))
            told(end - begin)
            begin = end
    return result


def _sendable(rows: Iterable[Line], columns: Columns, result: Result) -> Iterator[tuple[int, bytes]]:
    for line, cells in rows:
        truth = cells.get(columns.truth)
        if truth is None or truth == "":
            result.unlabelled += 1
            continue
        identity = cells.get(columns.id)
        if not isinstance(identity, str) or not identity.strip():
            raise SendingError(f"line {line}, {columns.id}: no prediction id")
        row: dict[str, Any] = {"id": identity.strip(), columns.kind: _typed(truth, columns, line)}
        number = cells.get(columns.row, "") if columns.row is not None else ""
        if number not in {"", None}:
            row["row"] = _whole(number, f"line {line}, {columns.row}")
        if slices := {name: _trimmed(cells[name]) for name in columns.slices if cells.get(name) not in ("", None)}:
            row["slices"] = slices
        yield line, orjson.dumps(row)


def _trimmed(cell: Any) -> Any:
    return cell.strip() if isinstance(cell, str) else cell


def _typed(truth: Any, columns: Columns, line: int) -> Any:
    if columns.kind == "label" or not isinstance(truth, str):
        return _trimmed(truth)
    try:
        return float(truth)
    except ValueError:
        raise SendingError(f"line {line}, {columns.truth}: {truth[:80]!r} is no number") from None


def _whole(number: Any, where: str) -> int:
    try:
        return int(number)
    except (TypeError, ValueError):
        raise SendingError(f"{where}: {str(number)[:80]!r} is no number of a row") from None


def _send_some(part: list[tuple[int, bytes]], url: str, result: Result, waiting: Waiting) -> None:
    answer = _posted(b"\n".join(text for _, text in part), url, [line for line, _ in part], waiting)
    problems = answer.pop("problems", [])
    result.unsliced += answer.pop("unsliced", 0)
    result.outcomes.update({name: times for name, times in answer.items() if isinstance(times, int)})
    for problem in problems[: _MOST_PROBLEMS - len(result.problems)]:
        where = _in_file(str(problem["where"]), [line for line, _ in part])
        result.problems.append((where, str(problem["problem"])))


def _posted(body: bytes, url: str, lines: list[int], waiting: Waiting) -> dict[str, Any]:
    headers = {"content-type": "application/x-ndjson"}
    last = ""
    for attempt in range(_TRIES):
        pause = min(2.0**attempt / 2, _LONGEST_PAUSE)
        request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 the scheme was checked
        try:
            with waiting.on(url), urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 likewise
                return _document(answer.read(), url)
        except urllib.error.HTTPError as error:
            problem = _told(error.read())
            if error.code not in _PASSING:
                raise SendingError(_in_file(problem, lines) or f"{url} answered {error.code}") from None
            last = f"{error.code}: {problem}"
            pause = _asked(error.headers.get("retry-after"), pause)
        except OSError as error:  # URLError is one
            last = str(getattr(error, "reason", error))
        if attempt < _TRIES - 1:
            waiting.before_next_try(url, last, pause)
    raise SendingError(f"{url} did not answer after {_TRIES} tries; the last one: {last}; what was sent counts once")


def _asked(retry_after: str | None, pause: float) -> float:
    """How long the server asks to wait, where it says so in seconds."""
    is_said = retry_after is not None and retry_after.isascii() and retry_after.isdigit()
    return min(float(retry_after), _LONGEST_PAUSE) if is_said and retry_after is not None else pause


def _document(body: bytes, url: str) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise SendingError(f"{url} is no model server: it answers something else than JSON")
    return document


def _told(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace").strip()


def _in_file(text: str, lines: list[int]) -> str:
    """A place in what was sent as one in the file."""
    match = _LINE.match(text)
    if match is None or not 1 <= int(match[1]) <= len(lines):
        return text
    return f"line {lines[int(match[1]) - 1]}{text[match.end() :]}"


def feedback_url(url: str, model: str | None, *, say: Say = say_nothing) -> str:
    """Where labels go: the URL itself, completed by what is missing of `/v1/models/<name>/feedback`.

    Args:
        url: as it was given.
        model: its name; None: the only one that the server has.
        say: is told where the server does not answer at once.

    Raises:
        SendingError: it is no URL, or nobody says which model is meant.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SendingError(f"{url}: expected a URL such as http://localhost:8080")
    path = parts.path.rstrip("/")
    if not path.endswith("/feedback"):
        if "/v1/models/" not in path:
            root = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
            path += f"/v1/models/{quote(model or _only_model(root, Waiting(say)), safe='')}"
        path += "/feedback"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _only_model(root: str, waiting: Waiting) -> str:
    try:
        with waiting.on(root), urllib.request.urlopen(f"{root}/v1/models", timeout=_SECONDS) as answer:  # noqa: S310
            models = _document(answer.read(), root).get("models")
    except OSError as error:
        raise SendingError(f"{root}: {getattr(error, 'reason', error)}") from None
    if not isinstance(models, list) or len(models) != 1:
        raise SendingError(f"{root}: which model is meant? Say it by --model")
    return str(models[0])
