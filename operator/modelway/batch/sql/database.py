"""One connection to a database: statements, answers as Arrow, tries again, and what went wrong in words.

Each statement is a transaction, but inside `transaction`. Statements that `run` and `rows` do may be done twice, when
an answer was lost on its way: callers see to it that this changes nothing.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from modelway.artifacts.errors import ArtifactError, TransientError
from modelway.artifacts.transfer import Retries
from modelway.batch.errors import BatchError, Reason
from modelway.batch.sql.location import Table

T = TypeVar("T")

_SETTINGS: Final = (
    "SET standard_conforming_strings = on",
    "SET DateStyle = ISO",
    "SET IntervalStyle = iso_8601",
    "SET TimeZone = 'UTC'",
    "SET client_encoding = 'UTF8'",
)
_CONNECTION: Final = "application_name=modelway&connect_timeout=10&keepalives_idle=30&keepalives_interval=10"
_PASSING: Final = ("08", "53", "57", "40", "55P03", "58")
"""Classes of errors that may go by: the connection, resources, shut downs, who collided with whom, locks, the disk."""
_FINAL: Final = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "no password supplied",
    "not permitted",
)
"""What is said, before a connection has a state to tell, of what will be no better next time. In another language than
English it is tried again, in vain: better than to give a server up that is starting."""
_BATCH_BYTES: Final = 8 << 20


class Database:
    """The database of a table. Used from several threads, one at a time.

    Args:
        table: the table; others of its database can be reached too.
        retries: how often a statement is tried again.
    """

    def __init__(self, table: Table, retries: Retries | None = None) -> None:
        self.table = table
        self._retries = retries or Retries(attempts=10)
        self._lock = threading.RLock()
        self._connection: Any = None
        self._errors = _driver().Error

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query answers. Raises BatchError."""

        def work(connection: Any) -> list[tuple[Any, ...]]:
            with connection.cursor() as cursor:
                cursor.execute(query)
                found: list[tuple[Any, ...]] = cursor.fetchall()
                return found

        return self._doing(work)

    def run(self, *statements: str) -> None:
        """Do statements, each by itself. Raises BatchError."""

        def work(connection: Any) -> None:
            for statement in statements:
                _do(connection, statement)

        self._doing(work)

    def reader(self, query: str) -> Iterator[Any]:
        """What a query answers as RecordBatches of a few megabytes; a snapshot of one moment. Raises BatchError."""
        with self._lock:
            connection = self._doing(lambda there: there)
            try:
                with connection.cursor() as cursor:
                    options = {"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)}
                    cursor.adbc_statement.set_options(**options)
                    cursor.execute(query)
                    yield from cursor.fetch_record_batch()
            except self._errors as error:
                raise self._told(error) from error
            except OSError as error:  # the stream broke: ADBC raises it through Arrow
                raise BatchError(Reason.STORE_FAILED, f"{self.table}: {_hidden(str(error))}") from error
            finally:
                self._forget()  # whoever stops half-way leaves rows on the line

    def schema(self, query: str) -> Any:
        """The columns that a query answers, as a `pyarrow.Schema`."""

        def work(connection: Any) -> Any:
            with connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetch_record_batch().schema

        return self._doing(work)

    def add(self, schema: str, table: str, rows: Any) -> None:
        """Add a `pyarrow.Table` to a table, by COPY; not tried again. Raises BatchError."""
        with self._lock:
            connection = self._doing(lambda there: there)
            try:
                with connection.cursor() as cursor:
                    cursor.adbc_ingest(table, rows, mode="append", db_schema_name=schema)
            except self._errors as error:
                self._forget()
                raise self._told(error) from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
        """Statements that happen together or not at all: call what it gives. Raises BatchError."""
        with self._lock:
            connection = self._doing(lambda there: there)

            def execute(statement: str) -> list[tuple[Any, ...]]:
                with connection.cursor() as cursor:
                    cursor.execute(statement)
                    return cursor.fetchall() if cursor.description else []

            try:
                # One picture for all of them, taken after the first lock.
                _do(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ")
                yield execute
                _do(connection, "COMMIT")
            except self._errors as error:
                self._forget()
                raise self._told(error) from error
            except BaseException:
                self._forget()  # which rolls it back
                raise

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            self._forget()

    def _doing(self, work: Callable[[Any], T]) -> T:
        def once() -> T:
            try:
                return work(self._connected())
            except self._errors as error:
                told = self._told(error)
                if told.reason is Reason.STORE_FAILED:
                    self._forget()
                    raise TransientError(told.message) from error
                raise told from error

        with self._lock:
            try:
                return self._retries.run(once, str(self.table))
            except ArtifactError as error:
                raise BatchError(Reason.STORE_FAILED, error.message) from error

    def _connected(self) -> Any:
        if self._connection is None:
            made = _driver().connect(f"{self.table.conninfo}?{_CONNECTION}", autocommit=True)
            for setting in _SETTINGS:
                _do(made, setting)
            self._connection = made
        return self._connection

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(self._errors, OSError):
                connection.close()

    def _told(self, error: Any) -> BatchError:
        state = error.sqlstate or ""
        first = " ".join(str(error).split())
        reason = Reason.STORE_FAILED if may_pass(state, first) else Reason.STORE_REFUSED
        return BatchError(reason, f"{self.table}: {_hidden(first)[:600]}")


def may_pass(state: str, message: str) -> bool:
    """Whether an error may be gone at the next try, by its SQLSTATE, or where it has none, by its words."""
    return state.startswith(_PASSING) if state else not any(words in message for words in _FINAL)


def _do(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.executescript(statement)


def _hidden(text: str) -> str:
    """A message without what the Secret holds: servers repeat the user's name."""
    for name in ("PGPASSWORD", "PGUSER"):
        if value := os.environ.get(name):
            text = text.replace(f'"{value}"', f"of {name}") if name == "PGUSER" else text.replace(value, "…")
    return text


def _driver() -> Any:
    try:
        from adbc_driver_postgresql import dbapi  # noqa: PLC0415 an extra of its own
    except ModuleNotFoundError as missing:
        raise BatchError(
            Reason.SETTINGS_INVALID,
            f"{missing.name} is not installed: use the image modelway-server-full, or pip install 'modelway[sql]'",
        ) from missing
    return dbapi
