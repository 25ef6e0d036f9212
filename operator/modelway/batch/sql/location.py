"""Which table, as the user wrote it: postgresql://host:port/database/schema.table/column=value/….

The values after the table are to it what folders named `dt=2026-11-20` are to files: of a table that is read they pick
the rows, and in one that is written they stand in each row.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from modelway.batch.errors import BatchError, Reason

SCHEMES: Final = ("postgresql://", "postgres://")
EXAMPLE: Final = "postgresql://warehouse:5432/shop/public.orders/dt=2026-11-20"
_MOST_BYTES: Final = 63
"""PostgreSQL cuts longer names off, silently."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table, and which of its rows.

    Args:
        host: of the database; empty: as PGHOST says.
        port: of the database; None: as PGPORT says.
        database: its name.
        schema: of the table.
        name: of the table.
        picks: columns with the value that they have in all rows that are meant.

    """

    host: str
    port: int | None
    database: str
    schema: str
    name: str
    picks: tuple[tuple[str, str], ...] = ()

    @property
    def quoted(self) -> str:
        """The table's name in SQL."""
        return f"{identifier(self.schema)}.{identifier(self.name)}"

    @property
    def conninfo(self) -> str:
        """How libpq finds the database; who asks stands in the environment."""
        port = f":{self.port}" if self.port is not None else ""
        return f"postgresql://{self.host}{port}/{quote(self.database, safe='')}"

    @property
    def path(self) -> str:
        """What tells these rows from others of the database; ends with a slash."""
        return "/".join([f"{self.schema}.{self.name}", *(f"{name}={value}" for name, value in self.picks), ""])

    def where(self) -> str:
        """The rows, as a condition in SQL."""
        # A literal without a type takes the column's, so an index of the column serves.
        return " AND ".join(f"{identifier(name)} = {literal(value)}" for name, value in self.picks) or "true"

    def is_same_as(self, other: "Table") -> bool:
        """Whether it is the same table, whichever rows."""
        mine, theirs = ((one.host, one.port or 5432, one.database, one.schema, one.name) for one in (self, other))
        return mine == theirs

    def __str__(self) -> str:
        return f"{self.conninfo}/{self.path}".rstrip("/")


def is_table(uri: str) -> bool:
    """Whether a URI is one of a table."""
    return uri.startswith(SCHEMES)


def parse(uri: str) -> Table:
    """Read a URI. Raises BatchError(SETTINGS_INVALID)."""
    parts = urlsplit(uri)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if "@" in parts.netloc:
        raise _invalid(shown, "holds a user or a password; set PGUSER and PGPASSWORD instead, in a Secret on a cluster")
    if parts.query or parts.fragment:
        raise _invalid(
            shown, "holds ? or #; set libpq's variables instead (PGSSLMODE, …), or write them as %3F and %23"
        )
    try:
        port = parts.port
    except ValueError:
        raise _invalid(shown, "has no port that is one") from None
    database, table, *picks = [unquote(part) for part in parts.path.strip("/").split("/")] + [""] * (
        parts.path.strip("/").count("/") == 0
    )
    schema, dot, name = table.partition(".")
    schema, name = (schema, name) if dot else ("public", schema)
    if not database or not schema or not name:
        raise _invalid(shown, "names no database and table")
    pairs = tuple(_pair(pick, shown) for pick in picks)
    for what in (schema, name, *(column for column, _ in pairs)):
        if len(what.encode()) > _MOST_BYTES:
            raise _invalid(shown, f"holds a name of more than {_MOST_BYTES} bytes")
    if len({column for column, _ in pairs}) < len(pairs):
        raise _invalid(shown, "names a column twice")
    if any(ord(character) < 32 for character in unquote(uri)):
        raise _invalid(shown, "has control characters in it")
    return Table(parts.hostname or "", port, database, schema, name, pairs)


def identifier(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in SQL; connections are told to take a backslash for what it is."""
    return "'" + text.replace("'", "''") + "'"


def _pair(text: str, shown: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not re.fullmatch(r"[^=]+", name):
        raise _invalid(shown, f'has "{text}" after the table, where column=value is meant')
    return name, value


def _invalid(shown: str, problem: str) -> BatchError:
    return BatchError(Reason.SETTINGS_INVALID, f"{shown} {problem}; write {EXAMPLE}")
