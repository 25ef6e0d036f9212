"""What other outputs keep in files, in a table: the plan, the records of shards, bad rows, manifest and `_SUCCESS`.

It lies in the schema of the user's table and serves all runs into that schema; a row is an object. Every write is one
statement, so an object is there wholly or not at all, and `create` lets only one win.
"""

import hashlib
from pathlib import Path
from typing import Any, Final

from modelway.batch.errors import BatchError, ChangedError, Reason
from modelway.batch.sql.database import Database
from modelway.batch.sql.location import identifier, literal
from modelway.batch.store import Stored

NAME: Final = "modelway_batch"
Rows = list[tuple[Any, ...]]
_LARGEST: Final = 256 << 20
"""Bytes of an object: PostgreSQL takes values of up to 1 GB, and statements that hold them."""


class Ledger:
    """Objects as rows of a table. A `Store`.

    Args:
        database: with the table that a run writes; the ledger is in its schema.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.exclusive = True
        self.quoted = f"{identifier(database.table.schema)}.{identifier(NAME)}"
        self._is_made = False

    def list(self, prefix: str) -> list[Stored]:
        found = self._rows(f"SELECT key, size, mark FROM {self.quoted} WHERE starts_with(key, {literal(prefix)})")
        return sorted((Stored(*row) for row in found), key=lambda stored: stored.key)

    def find(self, key: str) -> Stored | None:
        found = self._rows(f"SELECT key, size, mark FROM {self.quoted} WHERE key = {literal(key)}")
        return Stored(*found[0]) if found else None

    def get(self, key: str) -> bytes | None:
        found = self._rows(f"SELECT content FROM {self.quoted} WHERE key = {literal(key)}")
        return found[0][0].encode() if found else None

    def read(self, stored: Stored, start: int, stop: int) -> bytes:
        content = self.get(stored.key)
        if content is None or _mark(content) != stored.mark:
            raise ChangedError(stored.key)
        return content[start:stop]

    def create(self, key: str, content: bytes) -> bool:
        # Done twice, when its answer was lost, it finds its own row: then what is there is what was to be written.
        added = self._rows(f"{self._insert(key, content)} ON CONFLICT (key) DO NOTHING RETURNING key")
        return bool(added) or self.get(key) == content

    def put(self, key: str, content: bytes) -> None:
        self.make()
        self.database.run(self.putting(key, content))

    def upload(self, key: str) -> "LedgerUpload":
        return LedgerUpload(self, key)

    def delete(self, key: str) -> None:
        self.make()
        self.database.run(f"DELETE FROM {self.quoted} WHERE key = {literal(key)}")

    def local(self, stored: Stored) -> Path | None:
        del stored
        return None

    def shown(self, key: str) -> str:
        return f"{self.database.table.conninfo}/{key}"

    def putting(self, key: str, content: bytes, *, size: int | None = None, mark: str | None = None) -> str:
        """The statement that writes an object; size and mark are its bytes' own where they are left out."""
        values = "size = excluded.size, mark = excluded.mark, content = excluded.content, written = now()"
        return f"{self._insert(key, content, size, mark)} ON CONFLICT (key) DO UPDATE SET {values}"

    def make(self) -> None:
        """See to it that the table is there. Raises BatchError."""
        if self._is_made:
            return
        if not self.database.rows(f"SELECT to_regclass({literal(self.quoted)})::text")[0][0]:
            columns = (
                "key text PRIMARY KEY, size bigint NOT NULL, mark text NOT NULL, content text NOT NULL, "
                "written timestamptz NOT NULL DEFAULT now()"
            )
            create(self.database, f"CREATE TABLE IF NOT EXISTS {self.quoted} ({columns})")
        self._is_made = True

    def _rows(self, query: str) -> Rows:
        self.make()
        return self.database.rows(query)

    def _insert(self, key: str, content: bytes, size: int | None = None, mark: str | None = None) -> str:
        if len(content) > _LARGEST:
            raise BatchError(
                Reason.STORE_REFUSED,
                f"{self.shown(key)} would have {len(content) >> 20} MiB, more than a table holds well; "
                "take more shards, or write to s3://",
            )
        size, mark = len(content) if size is None else size, mark or _mark(content)
        values = f"{literal(key)}, {size}, {literal(mark)}, {literal(content.decode())}"
        return f"INSERT INTO {self.quoted} (key, size, mark, content) VALUES ({values})"


class LedgerUpload:
    """An object that is being gathered."""

    def __init__(self, ledger: Ledger, key: str) -> None:
        self._ledger, self._key, self._chunks = ledger, key, list[bytes]()

    def write(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def commit(self) -> Stored:
        content = b"".join(self._chunks)
        self._ledger.put(self._key, content)
        return Stored(self._key, len(content), _mark(content))

    def abort(self) -> None:
        self._chunks = []


def create(database: Database, statement: str) -> None:
    """Make a table that another may be making at this moment: of two `IF NOT EXISTS` at once one may still fail."""
    try:
        database.run(statement)
    except BatchError as error:
        if "already exists" not in error.message and "duplicate key" not in error.message:
            raise
        database.run(statement)


def _mark(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
