"""CSV and JSON lines: by file, or where a line's end can be told from a line break, by ranges of bytes.

JSON lines hold no line break but at their end. CSV may, inside quotes, unless the user says that it does not
(`splitLines`). Compressed text is read from its beginning, so it goes by file.

Rows that are no rows (a line that is no JSON object, one with too few cells) fail by themselves. A file that is not
text at all, or not of the compression that its name says, fails its shard.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import orjson
import pyarrow as pa
from pyarrow import csv as pacsv

from modelway.batch import columns
from modelway.batch.columns import Binding, Problems
from modelway.batch.errors import BatchError, ExitCode, Reason
from modelway.batch.files import compression, partitions
from modelway.batch.lines import CHUNK, ChunkFile, Progress, chunks, opened
from modelway.batch.settings import Format
from modelway.batch.source import Block, Failure
from modelway.batch.splits import Piece, Unit, by_bytes
from modelway.batch.store import Store, Stored
from modelway.batch.typed import as_texts, from_json, from_texts, repeated
from modelway.server.arrays import describe

_RANGES: Final = 4  # of a file, for each shard: so fine is their balance
_LOOKED_AT: Final = 1000


@dataclass(frozen=True, slots=True)
class TextSource:
    """CSV or JSON lines.

    Args:
        store: where the files are.
        binding: which columns are read.
        format: CSV or JSONL.
        split_lines: no CSV value holds a line break.

    """

    store: Store
    binding: Binding
    format: Format
    split_lines: bool

    def units(self, files: Sequence[Stored], shards: int) -> list[Unit]:
        """Ranges of bytes, or whole files. The first file is looked into: a missing column is told before all."""
        self._look(files[0])
        return [unit for index, file in enumerate(files) for unit in self._units_of(index, file, shards)]

    def schema(self, file: Stored) -> Any:
        """The model's columns in its types, all others as text."""
        del file
        inputs = {column.column: column.arrow() for column in self.binding.columns}
        return pa.schema([(name, inputs.get(name, pa.string())) for name in self.binding.names()])

    def blocks(self, file: Stored, piece: Piece) -> Iterator[Block]:
        """The rows of a range of lines."""
        uri = self.store.shown(file.key)
        whole = piece.start == 0 and piece.stop == file.size
        try:
            stream, progress = opened(self.store, file)
            parts = chunks(stream, piece.start, None if whole else piece.stop, uri)
            read = self._json if self.format is Format.JSONL else self._csv
            yield from read(parts, file, piece, progress)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise self._unreadable(uri, error) from error

    def _units_of(self, index: int, file: Stored, shards: int) -> list[Unit]:
        can_be_cut = compression(file.key) is None and (self.format is Format.JSONL or self.split_lines)
        return by_bytes(index, file.size, shards * _RANGES if can_be_cut else 1)

    def _look(self, file: Stored) -> None:
        """Raise BatchError where the first file has not the columns. What is no text at all is left to its shard."""
        uri = self.store.shown(file.key)
        told = partitions(file.key)
        try:
            if self.format is Format.CSV:
                there = self._header(file)
            else:
                parts = chunks(opened(self.store, file)[0], 0, None, uri)
                lines = (line for part in parts for line in part.split(b"\n") if line.strip())
                rows = [_loaded(line) for line in islice(lines, _LOOKED_AT)]
                there = list(dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row))
                if not there:
                    return
        except (pa.ArrowException, OSError, UnicodeDecodeError, BatchError):
            return
        self._check([*there, *told], uri, ExitCode.RUN)

    def _check(self, there: Sequence[str], uri: str, code: ExitCode) -> None:
        if any(name not in there for name in self.binding.names()):
            problem = columns.missing(self.binding.names(), there, uri, self.binding)
            raise BatchError(problem.reason, problem.message, code=code)

    def _unreadable(self, uri: str, error: Exception) -> BatchError:
        kind = {Format.CSV: "CSV", Format.JSONL: "JSON lines"}[self.format]
        return BatchError(
            Reason.INPUT_UNREADABLE, f"{uri} cannot be read as {kind}: {str(error).splitlines()[0][:300]}"
        )

    # JSON lines

    def _json(self, parts: Iterator[bytes], file: Stored, piece: Piece, progress: Progress) -> Iterator[Block]:
        number = 0
        for part in parts:
            lines = [line for line in part.split(b"\n") if line and not line.isspace()]
            rows, numbers, failures = [], [], []
            for line in lines:
                row = _loaded(line)
                if isinstance(row, dict):
                    rows.append(row)
                    numbers.append(number)
                else:
                    failures.append(
                        Failure(number, "", row if isinstance(row, str) else f"{describe(row)} is no object")
                    )
                number += 1
            batch = self._typed_json(rows, file)
            yield self._block(batch, file, piece, numbers, failures, progress)

    def _typed_json(self, rows: list[dict[str, Any]], file: Stored) -> tuple[Any, Problems]:
        told, problems, arrays = partitions(file.key), dict[int, tuple[str, str]](), []
        inputs = {column.column: column for column in self.binding.columns}
        for name in self.binding.names():
            values = [row.get(name) for row in rows]
            if name in told and not any(name in row for row in rows):
                arrays.append(repeated(told[name], name, self.binding, len(rows)))
            elif name in inputs:
                arrays.append(from_json(values, inputs[name], problems))
            else:
                arrays.append(as_texts(values))
        return pa.RecordBatch.from_arrays(arrays, names=self.binding.names()), problems

    # CSV

    def _header(self, file: Stored) -> list[str]:
        stream, _ = opened(self.store, file)
        begin = stream.read(CHUNK).decode("utf-8-sig", errors="ignore")
        return next(csv.reader(io.StringIO(begin, newline="")), [])

    def _csv(self, parts: Iterator[bytes], file: Stored, piece: Piece, progress: Progress) -> Iterator[Block]:
        header, told = self._header(file), partitions(file.key)
        uri = self.store.shown(file.key)
        self._check([*header, *told], uri, ExitCode.SHARD)
        wanted = [name for name in self.binding.names() if name in header]
        if twice := [name for name in wanted if header.count(name) > 1]:
            raise BatchError(Reason.INPUT_UNREADABLE, f'{uri}: the header names column "{twice[0]}" twice')
        invalid: list[Failure] = []

        def skip(row: Any) -> str:
            told = f"{row.actual_columns} cells, where the header names {row.expected_columns} columns"
            invalid.append(Failure(row.number, "", told))
            return "skip"

        first = next(parts, None)
        if first is None:
            return  # Arrow would call it an error
        stream = pa.PythonFile(ChunkFile(_chained(first, parts)), mode="r")
        reader = pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(
                column_names=header, skip_rows_after_names=int(piece.start == 0), block_size=CHUNK, use_threads=False
            ),
            parse_options=pacsv.ParseOptions(newlines_in_values=not self.split_lines, invalid_row_handler=skip),
            convert_options=pacsv.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string()), strings_can_be_null=False
            ),
        )
        numbering = _Numbering()
        for cells in reader:
            gaps = _gaps(invalid, piece)
            numbers = numbering.of(cells.num_rows, gaps)
            yield self._block(self._typed_csv(cells, file), file, piece, numbers, gaps, progress)
        if gaps := _gaps(invalid, piece):
            empty = pa.RecordBatch.from_arrays([pa.array([], pa.string()) for _ in wanted], names=wanted)
            yield self._block(self._typed_csv(empty, file), file, piece, [], gaps, progress)

    def _typed_csv(self, cells: Any, file: Stored) -> tuple[Any, Problems]:
        told, problems, arrays = partitions(file.key), dict[int, tuple[str, str]](), []
        inputs = {column.column: column for column in self.binding.columns}
        for name in self.binding.names():
            if name not in cells.schema.names:
                arrays.append(repeated(told[name], name, self.binding, cells.num_rows))
            elif name in inputs:
                arrays.append(from_texts(cells.column(name), inputs[name], problems))
            else:
                arrays.append(cells.column(name))
        return pa.RecordBatch.from_arrays(arrays, names=self.binding.names()), problems

    def _block(
        self,
        typed: tuple[Any, Problems],
        file: Stored,
        piece: Piece,
        numbers: Sequence[int],
        failures: list[Failure],
        progress: Progress,
    ) -> Block:
        """A block; rows with a cell that is not of its type are failures already."""
        rows, problems = typed
        if problems:
            failures = [*failures, *(Failure(numbers[row], *problem) for row, problem in problems.items())]
            kept = [row not in problems for row in range(rows.num_rows)]
            rows = rows.filter(pa.array(kept))
            numbers = [number for number, keep in zip(numbers, kept, strict=True) if keep]
        uri = self.store.shown(file.key)
        return Block(rows, uri, piece.start, numbers, tuple(failures), progress.step())


def _loaded(line: bytes) -> object:
    """A line's JSON; of what is none, why."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return f"no JSON: {error}"


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _gaps(invalid: list[Failure], piece: Piece) -> list[Failure]:
    """What Arrow has left out since the last look. It counts from 1 and the header; rows are counted from 0."""
    before = 1 + (piece.start == 0)
    gaps = [Failure(one.row - before, one.column, one.reason) for one in invalid]
    invalid.clear()
    return gaps


class _Numbering:
    """The numbers of rows between which some were left out. Arrow may tell those of the next block already."""

    def __init__(self) -> None:
        self._next = 0
        self._taken: set[int] = set()

    def of(self, rows: int, gaps: Sequence[Failure]) -> Sequence[int]:
        """The numbers of the next rows."""
        self._taken.update(gap.row for gap in gaps)
        if not self._taken:
            numbers: Sequence[int] = range(self._next, self._next + rows)
            self._next += rows
            return numbers
        found: list[int] = []
        while len(found) < rows:
            if self._next in self._taken:
                self._taken.discard(self._next)
            else:
                found.append(self._next)
            self._next += 1
        return found
