"""A table as output: every row of a run once, all at one moment, or none.

Shards add their rows, as they are scored, to a table that nobody reads (`modelway_<hash of run>`), each try of a
shard under a number of its own; what a killed try has left there counts for nothing, because a shard's record names
the try that counts. The last shard copies the rows of these tries into the user's table, counts them, and writes
`_SUCCESS`, in one transaction that begins by locking the table for writers.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import structlog

from modelway.batch.errors import BatchError, Reason
from modelway.batch.outputs import SUCCESS
from modelway.batch.parts import Written
from modelway.batch.plan import Plan
from modelway.batch.sql.ledger import Ledger, create
from modelway.batch.sql.location import Table, identifier, literal
from modelway.batch.sql.source import Cell, cells_of
from modelway.batch.store import Place, Stored
from modelway.server.validation import listed, quoted

_GROUP: Final = 1 << 15
_TRY: Final = "modelway try"
_PATIENCE: Final = "5s"
_COPIED: Final = "_COPIED"
"""Where the ledger keeps the seal of the rows that are in the user's table."""
_log = structlog.get_logger()

_NATIVE: Final = {
    "bool": "boolean",
    "int8": "smallint",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "uint8": "smallint",
    "uint16": "integer",
    "uint32": "bigint",
    "uint64": "numeric",
    "halffloat": "real",
    "float": "real",
    "double": "double precision",
    "string": "text",
    "large_string": "text",
    "date32[day]": "date",
    "timestamp[us]": "timestamp without time zone",
    "timestamp[us, tz=UTC]": "timestamp with time zone",
}
"""What a column of Arrow becomes in a table that modelway makes."""
_WIDER: Final = {
    "smallint": {"integer", "bigint", "numeric"},
    "integer": {"bigint", "numeric"},
    "bigint": {"numeric"},
    "real": {"double precision"},
    "text": {"character varying", "character", "uuid", "date", "numeric", "json", "jsonb"}
    | {"timestamp without time zone", "timestamp with time zone", "smallint", "integer", "bigint"},
}
"""Types that hold each value, or refuse one that they do not hold; none that rounds or cuts."""
_CUTTING: Final = frozenset({"character varying", "character"})
"""A cast to these cuts; an assignment refuses what is too long."""


@dataclass(frozen=True, slots=True)
class SqlParts:
    """The table that a run writes. See `batch.outputs.Parts`.

    Args:
        output: the ledger's place.
        table: the table, and the values that stand in each of the run's rows.
    """

    output: Place
    table: Table

    @property
    def suffix(self) -> str:
        return ""

    @property
    def _ledger(self) -> Ledger:
        ledger = self.output.store
        assert isinstance(ledger, Ledger)  # noqa: S101 made by `open_place`
        return ledger

    def check(self, schema: Any, *, is_new: bool) -> None:
        """See that the table, where there is one, can take such rows, and that none of its rows are this run's."""
        wanted, picks = {field.name: _kind(field) for field in schema}, dict(self.table.picks)
        if clash := sorted(wanted.keys() & picks):
            raise BatchError(
                Reason.SETTINGS_INVALID, f"{self.table} says {clash[0]}, which the run writes as a column itself"
            )
        there = cells_of(self._ledger.database.rows, self.table)
        if not there:
            return
        lacking = [name for name in (*wanted, *picks) if name not in there]
        if lacking:
            raise BatchError(
                Reason.COLUMN_MISSING,
                f"{self.table} has no column {quoted(lacking)}, which the run would write; it has "
                f"{listed(list(there))}. Add it, or take a table that is not there, which is made",
            )
        for name, kind in wanted.items():
            if not _holds(there[name], kind):
                raise BatchError(
                    Reason.COLUMN_TYPE_WRONG,
                    f'{self.table}: column "{name}" is {there[name].kind}, where the run would write {kind}',
                )
        for cell in there.values():
            if cell.is_needed and not cell.is_filled and cell.name not in {*wanted, *picks}:
                raise BatchError(
                    Reason.COLUMN_MISSING,
                    f'{self.table}: column "{cell.name}" must have a value, and the run writes none: give it '
                    "a default, or name it among the output's columns",
                )
        if is_new and self._is_filled(self._ledger.database.rows):
            raise self._not_empty()

    def sink(self, plan: Plan, number: int, schema: Any) -> "SqlSink":
        """What takes a shard's answers. Raises BatchError."""
        staged = self._staged(plan)
        columns = ", ".join(f"{identifier(field.name)} {_kind(field)}" for field in schema)
        create(
            self._ledger.database,
            f"CREATE TABLE IF NOT EXISTS {staged.quoted} ({identifier(_TRY)} bigint, {columns})",
        )
        return SqlSink(self._ledger, staged, self.output.key(plan.part(number, self.suffix)), schema)

    def publish(self, plan: Plan, rows: int, seal: bytes, schema: Any) -> None:
        """Make the rows of all shards rows of the table, and `_SUCCESS` be there: both or neither."""
        ledger, staged = self._ledger, self._staged(plan)
        if ledger.get(self.output.key(SUCCESS)) == seal:
            self._drop(staged)
            return
        self._make(schema)
        with ledger.database.transaction() as execute:
            # Who reads is not disturbed; who writes, another run among them, waits.
            execute(f"LOCK TABLE {self.table.quoted} IN SHARE ROW EXCLUSIVE MODE")
            key = literal(self.output.key(SUCCESS))
            if not execute(f"SELECT 1 FROM {ledger.quoted} WHERE key = {key} AND content = {literal(seal.decode())}"):
                copied = literal(self.output.key(_COPIED))
                told = f"SELECT 1 FROM {ledger.quoted} WHERE key = {copied} AND content = {literal(seal.decode())}"
                # Whoever scores a shard anew takes `_SUCCESS` away; the rows that it told of are in the table still.
                if not (self._is_filled(execute) and execute(told)):
                    self._publish(execute, plan, rows, schema)
                    execute(ledger.putting(self.output.key(_COPIED), seal))
                execute(ledger.putting(self.output.key(SUCCESS), seal))
        self._drop(staged)

    def _publish(self, execute: Callable[[str], list[tuple[Any, ...]]], plan: Plan, rows: int, schema: Any) -> None:
        if self._is_filled(execute):
            raise self._not_empty()
        staged, parts = self._staged(plan), self.output.key(plan.part(0, self.suffix)).removesuffix("00000")
        tries = f"SELECT content::bigint FROM {self._ledger.quoted} WHERE starts_with(key, {literal(parts)})"
        counted = f"FROM {staged.quoted} WHERE {identifier(_TRY)} IN ({tries})"
        found = execute(f"SELECT count(*) {counted}")[0][0]
        if found != rows:
            raise BatchError(
                Reason.PART_CHANGED,
                f"{staged} holds {found} rows, where the shards have written {rows}: somebody has changed it. Drop it, "
                f"delete the rows of {self._ledger.quoted} whose key begins with {self.output.prefix}, and run again",
            )
        there = cells_of(execute, self.table)
        picks = dict(self.table.picks)
        names = [*schema.names, *picks]
        values = [_assigned(identifier(name), there[name].kind, _kind(schema.field(name))) for name in schema.names]
        values += [_assigned(literal(value), there[name].kind, "text") for name, value in picks.items()]
        execute(
            f"INSERT INTO {self.table.quoted} ({', '.join(map(identifier, names))}) "
            f"SELECT {', '.join(values)} {counted}"
        )

    def _make(self, schema: Any) -> None:
        """Make the table where there is none."""
        if cells_of(self._ledger.database.rows, self.table):
            return
        columns = [f"{identifier(field.name)} {_kind(field)}" for field in schema]
        columns += [f"{identifier(name)} text" for name, _ in self.table.picks]
        create(self._ledger.database, f"CREATE TABLE IF NOT EXISTS {self.table.quoted} ({', '.join(columns)})")

    def _is_filled(self, rows: Callable[[str], list[tuple[Any, ...]]]) -> bool:
        found = rows(f"SELECT EXISTS (SELECT 1 FROM {self.table.quoted} WHERE {self.table.where()})")
        return bool(found[0][0])

    def _not_empty(self) -> BatchError:
        return BatchError(
            Reason.OUTPUT_NOT_EMPTY,
            f"{self.table} holds rows that are not this run's: delete them, or tell runs apart by a column, as in "
            f"{self.table}/run={{date}}. No row is scored twice",
        )

    def _staged(self, plan: Plan) -> Table:
        table = self.table
        # Not by the plan alone: it says what is read, and may be written to two places at once.
        name = hashlib.sha256(f"{self.output.prefix}{plan.hash}".encode()).hexdigest()[:16]
        return Table(table.host, table.port, table.database, table.schema, f"modelway_{name}")

    def _drop(self, staged: Table) -> None:
        """Drop what is not needed any more. A shard that is still scored twice may hold it: then it stays, a while."""
        database = self._ledger.database
        try:
            with database.transaction() as execute:
                execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
                execute(f"DROP TABLE IF EXISTS {staged.quoted}")
        except BatchError as error:
            _log.warning("staged_rows_stay", table=str(staged), problem=error.message, remedy="drop the table")


class SqlSink:
    """The answers of one try of a shard."""

    def __init__(self, ledger: Ledger, staged: Table, key: str, schema: Any) -> None:
        self._ledger, self._staged, self._key, self._schema = ledger, staged, key, schema
        self._try = secrets.randbits(63)
        self._plain = pa.schema([pa.field(field.name, _storable(field.type)) for field in schema])
        self._sha = hashlib.sha256()
        self._kept: list[Any] = []
        self._rows = self._written = 0

    def write(self, answers: Any) -> None:
        self._kept.append(answers)
        self._rows += answers.num_rows
        while self._rows >= _GROUP:
            table = pa.Table.from_batches(self._kept, self._schema)
            self._add(table.slice(0, _GROUP))
            rest = table.slice(_GROUP)
            self._kept, self._rows = rest.to_batches(), rest.num_rows

    def commit(self) -> Written:
        if self._rows:
            self._add(pa.Table.from_batches(self._kept, self._schema))
        digest = self._sha.hexdigest()
        statement = self._ledger.putting(self._key, str(self._try).encode(), size=self._written, mark=digest)
        self._ledger.database.run(statement)
        return Written(Stored(self._key, self._written, digest), digest)

    def abort(self) -> None:
        self._kept = []

    def _add(self, table: Any) -> None:
        """Rows in groups of a fixed size, so that their digest does not depend on how they came."""
        table = table.cast(self._plain).combine_chunks()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        self._sha.update(sink.getvalue())
        told = {_TRY: pa.repeat(pa.scalar(self._try, pa.int64()), table.num_rows)}
        columns = told | dict(zip(table.column_names, table.columns, strict=True))
        self._ledger.database.add(self._staged.schema, self._staged.name, pa.table(columns))
        self._written += table.num_rows


def _holds(cell: Cell, kind: str) -> bool:
    """Whether a column takes each value of a type as it is, or refuses it: it never rounds and never cuts."""
    if cell.is_limited and cell.kind not in _CUTTING:
        return False
    return cell.kind == kind or cell.kind in _WIDER.get(kind, set())


def _assigned(value: str, target: str, source: str) -> str:
    return value if target == source or target in _CUTTING else f"CAST({value} AS {target})"


def _kind(field: Any) -> str:
    """The type of a column in SQL. Raises BatchError(COLUMN_TYPE_WRONG) where there is none."""
    kind = _storable(field.type)
    if pa.types.is_list(kind):
        return f"{_native(kind.value_type, field.name)}[]"
    return _native(kind, field.name)


def _native(kind: Any, name: str) -> str:
    found = _NATIVE.get(str(kind))
    if found is None:
        raise BatchError(Reason.COLUMN_TYPE_WRONG, f'column "{name}" of {kind} has no form in PostgreSQL')
    return found


def _storable(kind: Any) -> Any:
    """The type in which a column is sent: the nearest that COPY is spoken in."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_storable(kind.value_type))
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if pa.types.is_date(kind):
        return pa.date32()
    if pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return pa.string()
    smaller = {"int8": pa.int16(), "uint8": pa.int16(), "uint16": pa.int32(), "uint32": pa.int64()}
    smaller |= {
        "uint64": pa.string(),
        "halffloat": pa.float32(),
        "large_string": pa.string(),
        "string_view": pa.string(),
    }
    return smaller.get(str(kind), kind)
