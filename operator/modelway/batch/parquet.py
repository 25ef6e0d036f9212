"""Parquet: cut by row groups, read by one row group at a time, only the columns that are needed.

Memory: the compressed bytes of one row group's needed columns (from a store; a file is mapped) and the decoded rows
of a block. pyarrow's dataset scanner keeps what it has fetched until it ends (apache/arrow#39808), so files are read
directly.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from pyarrow import parquet as pq

from modelway.batch import columns
from modelway.batch.columns import Binding
from modelway.batch.errors import BatchError, ExitCode, Reason
from modelway.batch.files import partitions
from modelway.batch.reading import ObjectFile
from modelway.batch.source import Block
from modelway.batch.splits import Piece, Unit
from modelway.batch.store import Store, Stored
from modelway.batch.typed import repeated

_FOOTERS_AT_ONCE: Final = 16
_BUFFER: Final = 1 << 19  # for each column: pages are read as they are decoded, not a row group at once


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """Parquet files.

    Args:
        store: where they are.
        binding: which columns are read.
        rows_per_block: rows at most.

    """

    store: Store
    binding: Binding
    rows_per_block: int

    def units(self, files: Sequence[Stored], shards: int) -> list[Unit]:
        """A unit for each row group, as heavy as its bytes."""
        del shards
        with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
            found = pool.map(self._units_of, range(len(files)), files)
            return [unit for units in found for unit in units]

    def schema(self, file: Stored) -> Any:
        """As the file says; what only its path tells is text where it is written, else as the model takes it."""
        uri = self.store.shown(file.key)
        try:
            with self._open(file) as opened:
                self._check(opened.schema_arrow, file, ExitCode.RUN)
                there, told = opened.schema_arrow, partitions(file.key)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(uri, error) from error
        return pa.schema(
            [
                there.field(name) if name in there.names else (name, repeated(told[name], name, self.binding, 0).type)
                for name in self.binding.names()
            ]
        )

    def blocks(self, file: Stored, piece: Piece) -> Iterator[Block]:
        """The rows of some row groups."""
        uri = self.store.shown(file.key)
        try:
            with self._open(file) as opened:
                self._check(opened.schema_arrow, file, ExitCode.SHARD)
                told = partitions(file.key)
                there = [name for name in self.binding.names() if name in opened.schema_arrow.names]
                for group in range(piece.start, piece.stop):
                    yield from self._group(opened, group, there, told, uri)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(uri, error) from error

    def _group(self, opened: Any, group: int, there: list[str], told: dict[str, str], uri: str) -> Iterator[Block]:
        metadata = opened.metadata
        before = sum(metadata.row_group(index).num_rows for index in range(group))
        weight = metadata.row_group(group).total_byte_size / max(metadata.row_group(group).num_rows, 1)
        # Threads of its own would compete with those that score; a reader beside them is enough.
        for rows in opened.iter_batches(self.rows_per_block, row_groups=[group], columns=there, use_threads=False):
            numbers = range(before, before + rows.num_rows)
            before += rows.num_rows
            yield Block(self._whole(rows, told), uri, 0, numbers, (), weight * rows.num_rows)

    def _whole(self, rows: Any, told: dict[str, str]) -> Any:
        """With the columns that only the path tells."""
        for name in self.binding.names():
            if name not in rows.schema.names:
                rows = rows.append_column(name, repeated(told[name], name, self.binding, rows.num_rows))
        return rows

    def _units_of(self, index: int, file: Stored) -> list[Unit]:
        try:
            with self._open(file) as opened:
                self._check(opened.schema_arrow, file, ExitCode.RUN)
                groups = [opened.metadata.row_group(group) for group in range(opened.metadata.num_row_groups)]
        except (pa.ArrowException, OSError):
            # Broken: the shard that gets it will say so, and fail alone.
            return [Unit(index, 0, 1, max(file.size, 1))]
        return [Unit(index, at, at + 1, group.total_byte_size) for at, group in enumerate(groups)]

    def _open(self, file: Stored) -> Any:
        path = self.store.local(file)
        if path is not None:
            return pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
        return pq.ParquetFile(pa.PythonFile(ObjectFile(self.store, file), mode="r"), pre_buffer=True)

    def _check(self, schema: Any, file: Stored, code: ExitCode) -> None:
        """Raise BatchError where a column is missing or its type wrong."""
        uri, told = self.store.shown(file.key), partitions(file.key)
        there = [*schema.names, *told]
        if any(name not in there for name in self.binding.names()):
            problem = columns.missing(self.binding.names(), there, uri, self.binding)
            raise BatchError(problem.reason, problem.message, code=code)
        for column in self.binding.columns:
            if column.column in schema.names:
                wrong = columns.mistyped(schema.field(column.column).type, column)
                if wrong:
                    raise BatchError(Reason.COLUMN_TYPE_WRONG, f'{uri}: column "{column.column}" is {wrong}', code=code)


def _unreadable(uri: str, error: Exception) -> BatchError:
    return BatchError(Reason.INPUT_UNREADABLE, f"{uri} cannot be read as Parquet: {str(error).splitlines()[0][:300]}")
