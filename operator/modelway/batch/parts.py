"""What a shard writes: its part, and the list of its bad rows. The seam behind which rows go out.

The bytes of a part follow from its rows alone, not from how they came: they are gathered to groups of a fixed size, and
nothing in them tells a time. So a shard that is scored again writes the same bytes.
"""

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
import pyarrow as pa
from pyarrow import csv as pacsv
from pyarrow import parquet as pq

from modelway.batch.settings import Format
from modelway.batch.source import Failure
from modelway.batch.store import Store, Stored, Upload

SUFFIXES: Final = {Format.PARQUET: ".parquet", Format.CSV: ".csv", Format.JSONL: ".jsonl"}
_GROUP: Final = 1 << 17


@dataclass(frozen=True, slots=True)
class Written:
    """An object that is there, and the sha256 of its bytes in hex."""

    stored: Stored
    sha256: str


class Sink(Protocol):
    """Where a shard's answers go. Nothing of it is there before `commit`."""

    def write(self, answers: Any) -> None:
        """Add a RecordBatch."""

    def commit(self) -> Written:
        """Make it be there."""

    def abort(self) -> None:
        """Forget it."""


class _Hashed(io.RawIOBase):
    """An upload as a file, whose bytes are hashed on the way."""

    def __init__(self, upload: Upload) -> None:
        super().__init__()
        self._upload, self._sha, self._size = upload, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, chunk: Any) -> int:
        content = bytes(chunk)
        self._upload.write(content)
        self._sha.update(content)
        self._size += len(content)
        return len(content)

    def commit(self) -> Written:
        stored = self._upload.commit()
        return Written(Stored(stored.key, self._size, stored.mark), self._sha.hexdigest())

    def abort(self) -> None:
        self._upload.abort()


class PartSink:
    """One object in one of the formats."""

    def __init__(self, store: Store, key: str, form: Format, schema: Any) -> None:
        self._file = _Hashed(store.upload(key))
        self._schema = schema
        self._kept: list[Any] = []
        self._rows = 0
        self._writer = _WRITERS[form](self._file, schema)

    def write(self, answers: Any) -> None:
        self._kept.append(answers)
        self._rows += answers.num_rows
        while self._rows >= _GROUP:
            table = pa.Table.from_batches(self._kept, self._schema)
            self._writer.write(table.slice(0, _GROUP))
            rest = table.slice(_GROUP)
            self._kept, self._rows = rest.to_batches(), rest.num_rows

    def commit(self) -> Written:
        if self._rows:
            self._writer.write(pa.Table.from_batches(self._kept, self._schema))
        self._writer.close()
        return self._file.commit()

    def abort(self) -> None:
        self._file.abort()


class _Parquet:
    def __init__(self, file: _Hashed, schema: Any) -> None:
        # Without Arrow's own schema beside Parquet's: readers would get the constant columns as dictionaries.
        # And without a dictionary of numbers that hardly repeat: looking for one costs four times what all else does.
        often = [field.name for field in schema if not _is_number(field.type)]
        self._writer = pq.ParquetWriter(
            pa.PythonFile(file, mode="w"), schema, store_schema=False, use_dictionary=often or False
        )

    def write(self, table: Any) -> None:
        self._writer.write_table(table, row_group_size=_GROUP)

    def close(self) -> None:
        self._writer.close()


class _Csv:
    def __init__(self, file: _Hashed, schema: Any) -> None:
        self._schema = pa.schema([(field.name, _plain(field.type)) for field in schema])
        self._writer = pacsv.CSVWriter(pa.PythonFile(file, mode="w"), self._schema)

    def write(self, table: Any) -> None:
        self._writer.write_table(table.cast(self._schema).combine_chunks())

    def close(self) -> None:
        self._writer.close()


class _JsonLines:
    def __init__(self, file: _Hashed, schema: Any) -> None:
        del schema
        self._file = file

    def write(self, table: Any) -> None:
        for batch in table.to_batches(max_chunksize=4096):
            lines = (orjson.dumps(row, default=str) for row in batch.to_pylist())
            self._file.write(b"".join(line + b"\n" for line in lines))

    def close(self) -> None:
        pass


_WRITERS: Final[Mapping[Format, Callable[[_Hashed, Any], Any]]] = {
    Format.PARQUET: _Parquet,
    Format.CSV: _Csv,
    Format.JSONL: _JsonLines,
}


def _is_number(kind: Any) -> bool:
    if pa.types.is_list(kind):
        kind = kind.value_type
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _plain(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


class ErrorSink:
    """The list of a shard's bad rows; there is none while there is no bad row."""

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key
        self._file: _Hashed | None = None
        self.rows = 0

    def write(self, file: str, after: int, failures: Sequence[Failure]) -> None:
        """Add rows, a JSON object a line."""
        if not failures:
            return
        if self._file is None:
            self._file = _Hashed(self._store.upload(self._key))
        self.rows += len(failures)
        place = {"file": file} | ({"after_byte": after} if after else {})
        self._file.write(
            b"".join(
                orjson.dumps({**place, "row": one.row, "column": one.column or None, "reason": one.reason}) + b"\n"
                for one in failures
            )
        )

    def commit(self) -> Written | None:
        """Make it be there."""
        return None if self._file is None else self._file.commit()

    def abort(self) -> None:
        """Forget it."""
        if self._file is not None:
            self._file.abort()
