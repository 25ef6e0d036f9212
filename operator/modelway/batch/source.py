"""Where rows come from: the seam behind which files, and later databases, are read.

A source says what there is to read, checks it against the model before anything is scored, and gives the rows of a
piece in blocks of bounded size. Whatever is wrong with a whole file is a BatchError; what is wrong with one row is a
Failure in its block.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from modelway.batch.splits import Piece, Unit
from modelway.batch.store import Stored


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that has no answer.

    Args:
        row: its number within its file, or within the piece that begins at byte `after` of it; the first is 0.
        column: the column that is wrong; empty where it is the row as a whole.
        reason: what is wrong with it.

    """

    row: int
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows of one file.

    Args:
        rows: a `pyarrow.RecordBatch` with the columns that were asked for.
        file: the URI of the file.
        after: the byte at which the count of rows begins.
        numbers: the number of each row, in order.
        failures: rows that could not be read, which are not among `rows`.
        done: bytes or other weight that this block brings the shard further, for the progress.

    """

    rows: Any
    file: str
    after: int
    numbers: Sequence[int]
    failures: tuple[Failure, ...]
    done: float


class Input(Protocol):
    """What there is to read: files, or ranges of a table's rows."""

    @property
    def is_cheap(self) -> bool:
        """Whether `since` costs so little that each process may ask; else it is asked when all is done."""

    def find(self, shards: int) -> list[Stored]:
        """The pieces that are there now, in their order. Raises BatchError(INPUT_NOT_FOUND) where there is none."""

    def since(self, planned: Sequence[Stored]) -> tuple[list[str], list[str]]:
        """Keys of what is gone or not what was planned, and, for people, what has come since."""

    def shown(self, key: str) -> str:
        """A piece, for people."""


class Source(Protocol):
    """One kind of input, read."""

    def units(self, files: Sequence[Stored], shards: int) -> list[Unit]:
        """Check all files as far as is cheap, and say what can be read by itself. Raises BatchError."""

    def schema(self, file: Stored) -> Any:
        """The columns that are read, as a `pyarrow.Schema`: the first file's, which all parts keep to."""

    def blocks(self, file: Stored, piece: Piece) -> Iterator[Block]:
        """The rows of a piece, in order. Raises BatchError, ChangedError."""
