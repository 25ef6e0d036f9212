"""A table as input: cut into ranges of a key, read in the key's order, a range in one statement and so of one moment.

The key must tell rows apart. A row that comes after the ranges were made belongs to none of them or changes the number
of rows of one: the first is told as late, the second ends the run, so that no row is lost unseen. What this cannot see
is a value that changes between two shards; docs/batch.md says so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson
import pyarrow as pa

from modelway.batch import columns
from modelway.batch.columns import Binding
from modelway.batch.errors import BatchError, Reason
from modelway.batch.source import Block
from modelway.batch.splits import Piece, Unit
from modelway.batch.sql.database import Database
from modelway.batch.sql.location import Table, identifier, literal
from modelway.batch.store import Stored
from modelway.server.validation import listed, quoted

_KEY: Final = "modelway key"
_WHOLE: Final = frozenset({"smallint", "integer", "bigint"})
_ORDERED: Final = _WHOLE | {
    "numeric",
    "text",
    "character varying",
    "uuid",
    "date",
    "timestamp without time zone",
    "timestamp with time zone",
}
"""Types of keys: their order is total, and their text is read back as the same value."""
_AS_THEY_ARE: Final = _WHOLE | {
    "boolean",
    "real",
    "double precision",
    "text",
    "character varying",
    "date",
    "timestamp without time zone",
    "timestamp with time zone",
}


class Cell(NamedTuple):
    """A column of a table.

    Attributes:
        name: its name.
        kind: its type, without a length or scale.
        is_limited: whether it has a length or scale.
        is_filled: whether the table gives it a value itself.
        is_needed: whether it must have one.
    """

    name: str
    kind: str
    is_limited: bool
    is_filled: bool
    is_needed: bool


def cells_of(ask: Callable[[str], list[tuple[Any, ...]]], table: Table) -> dict[str, Cell]:
    """The columns of a table, in its order, by asking; none where there is no such table."""
    found = ask(
        "SELECT attname::text, format_type(atttypid, NULL), atttypmod >= 0, "
        "(atthasdef OR attidentity <> '' OR attgenerated <> '')::boolean, attnotnull "
        "FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid = "
        f"to_regclass({literal(table.quoted)}) ORDER BY attnum"
    )
    return {row[0]: Cell(*row) for row in found}


@dataclass(frozen=True, slots=True)
class SqlInput:
    """The table that a run reads.

    Args:
        database: its database.
        table: the table, and which rows of it.
        key: the column by which it is cut.
    """

    database: Database
    table: Table
    key: str

    @property
    def is_cheap(self) -> bool:
        return False  # it reads the whole index of the key

    def find(self, shards: int) -> list[Stored]:
        """Ranges of the key of about as many rows each, as many as there are shards. Raises BatchError."""
        self._checked()
        key = identifier(self.key)
        # One pass over the key's index: the first and last row of each range, and whatever is no key.
        query = (
            "SELECT k::text, n, b, k IS NULL OR k = before AS wrong FROM ("
            "SELECT k, n, b, before, lag(b) OVER (ORDER BY n) AS b0, lead(b) OVER (ORDER BY n) AS b1 FROM ("
            f"SELECT {key} AS k, row_number() OVER w AS n, ntile({shards}) OVER w AS b, lag({key}) OVER w AS before "
            f"FROM {self.table.quoted} WHERE {self.table.where()} WINDOW w AS (ORDER BY {key})"
            ") ranked) framed WHERE b0 IS DISTINCT FROM b OR b1 IS DISTINCT FROM b OR k IS NULL OR k = before "
            f"ORDER BY n LIMIT {2 * shards + 1}"
        )
        edges = self.database.rows(query)
        for value, _, _, wrong in edges:
            if wrong:
                told = "is missing in some row" if value is None else f"has the value {value} in several rows"
                raise BatchError(
                    Reason.SETTINGS_INVALID, f'{self.table}: the key "{self.key}" {told}; it has to tell rows apart'
                )
        if not edges:
            raise BatchError(Reason.INPUT_NOT_FOUND, f"{self.table} has no such row; is it filled yet?")
        return _ranges(edges)

    def since(self, planned: Sequence[Stored]) -> tuple[list[str], list[str]]:
        """Ranges that have lost rows since they were planned, and what has come, for people."""
        kind = self._checked()
        spans = [_span(one) for one in planned]
        lows, highs = (f"ARRAY[{', '.join(map(literal, edge))}]::{kind}[]" for edge in zip(*spans, strict=True))
        rows = self.database.rows(
            "SELECT b, count(*) FILTER (WHERE inside), count(*) FILTER (WHERE inside IS NOT TRUE) FROM ("
            f"SELECT b, b > 0 AND k <= ({highs})[b] AS inside FROM ("
            f"SELECT k, CASE WHEN k IS NULL THEN 0 ELSE width_bucket(k, {lows}) END AS b FROM ("
            f"SELECT {identifier(self.key)}::{kind} AS k FROM {self.table.quoted} WHERE {self.table.where()}"
            ") keys) placed) told GROUP BY b"
        )
        there = {bucket - 1: inside for bucket, inside, _ in rows}
        late = sum(outside for _, _, outside in rows)
        late += sum(max(there.get(index, 0) - one.size, 0) for index, one in enumerate(planned))
        changed = [one.key for index, one in enumerate(planned) if there.get(index, 0) < one.size]
        return changed, [f"{self.table}: {late} rows"] if late else []

    def shown(self, key: str) -> str:
        """A range, for people."""
        low, high = orjson.loads(key)
        return f"{self.table} ({self.key} {low} to {high})"

    def _checked(self) -> str:
        """The type of the key. Raises BatchError where there is no table, or no key."""
        there = cells_of(self.database.rows, self.table)
        if not there:
            raise BatchError(
                Reason.INPUT_NOT_FOUND, f"{self.table}: there is no such table, or its schema may not be used"
            )
        lacking = [name for name in (self.key, *(name for name, _ in self.table.picks)) if name not in there]
        if lacking:
            raise BatchError(
                Reason.COLUMN_MISSING,
                f"{self.table} has no column {quoted(lacking)}; it has {listed(list(there))}",
            )
        kind = there[self.key].kind
        if kind not in _ORDERED:
            raise BatchError(
                Reason.COLUMN_TYPE_WRONG,
                f'{self.table}: the key "{self.key}" is {kind}; it may be {listed(sorted(_ORDERED))}',
            )
        return "text" if kind == "character varying" else kind


@dataclass(frozen=True, slots=True)
class SqlSource:
    """The rows of a table.

    Args:
        input: the table.
        binding: which columns are read.
        rows_per_block: rows at most.
    """

    input: SqlInput
    binding: Binding
    rows_per_block: int

    def units(self, files: Sequence[Stored], shards: int) -> list[Unit]:
        """A unit for each range."""
        del shards
        self._schema()
        return [Unit(index, 0, 1, one.size) for index, one in enumerate(files)]

    def schema(self, file: Stored) -> Any:
        """The columns as they come from the database."""
        del file
        return pa.schema([field for field in self._schema() if field.name != _KEY])

    def blocks(self, file: Stored, piece: Piece) -> Iterator[Block]:
        """The rows of a range, in the key's order."""
        del piece
        table, key = self.input.table, identifier(self.input.key)
        low, high = _span(file)
        query = (
            f"{self._select(cells_of(self.input.database.rows, table))} "
            f"AND {key} BETWEEN {literal(low)} AND {literal(high)} ORDER BY {key}"
        )
        read = 0
        for rows in self.input.database.reader(query):
            read += rows.num_rows
            for start in range(0, rows.num_rows, self.rows_per_block):
                yield self._block(rows.slice(start, self.rows_per_block))
        if read != file.size:
            raise BatchError(
                Reason.INPUT_CHANGED,
                f"{self.input.shown(file.key)} has {read} rows, and had {file.size} when the run was planned; "
                "read a table that does not change meanwhile, and run again into another output",
            )

    def _block(self, rows: Any) -> Block:
        keys = rows.column(_KEY)
        return Block(rows.select(self.binding.names()), str(self.input.table), 0, _Keys(keys), (), rows.num_rows)

    def _schema(self) -> Any:
        """Check the columns before anything is scored. Raises BatchError."""
        there = cells_of(self.input.database.rows, self.input.table)
        if any(name not in there for name in self.binding.names()):
            raise columns.missing(self.binding.names(), list(there), str(self.input.table), self.binding)
        found = self.input.database.schema(f"{self._select(there)} LIMIT 0")
        for column in self.binding.columns:
            if wrong := columns.mistyped(found.field(column.column).type, column):
                raise BatchError(Reason.COLUMN_TYPE_WRONG, f'{self.input.table}: column "{column.column}" is {wrong}')
        return found

    def _select(self, there: Mapping[str, Cell]) -> str:
        wanted = {column.column: column for column in self.binding.columns}
        terms = [
            f"{_read_as(name, there[name].kind, number=name in wanted and wanted[name].dtype.kind != 'O')} "
            f"AS {identifier(name)}"
            for name in self.binding.names()
        ]
        kind = there[self.input.key].kind
        terms.append(f"{identifier(self.input.key)}::{'bigint' if kind in _WHOLE else 'text'} AS {identifier(_KEY)}")
        table = self.input.table
        return f"SELECT {', '.join(terms)} FROM {table.quoted} WHERE {table.where()}"


class _Keys(Sequence[Any]):
    """The keys of rows, each looked up when it is asked for, which is when its row fails."""

    def __init__(self, keys: Any) -> None:
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: Any) -> Any:
        return self._keys[index].as_py()


def _read_as(name: str, kind: str, *, number: bool) -> str:
    """A column in a type that Arrow has: exact where it is passed on, a number where the model takes one."""
    column = identifier(name)
    if kind in _AS_THEY_ARE or (kind.endswith("[]") and kind.removesuffix("[]") in _AS_THEY_ARE):
        return column
    if number and kind.removesuffix("[]") == "numeric":
        return f"{column}::double precision{'[]' * kind.endswith('[]')}"
    return f"{column}::text"


def _ranges(edges: Sequence[tuple[Any, ...]]) -> list[Stored]:
    """The ranges between first and last rows; a range of one row has one edge."""
    found: dict[int, list[tuple[str, int]]] = {}
    for value, number, bucket, _ in edges:
        found.setdefault(bucket, []).append((value, number))
    return [
        Stored(orjson.dumps([each[0][0], each[-1][0]]).decode(), each[-1][1] - each[0][1] + 1, "")
        for _, each in sorted(found.items())
    ]


def _span(one: Stored) -> tuple[str, str]:
    low, high = orjson.loads(one.key)
    return low, high
