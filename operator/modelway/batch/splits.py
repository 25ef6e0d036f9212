"""Who scores what: units of work, in the input's order, cut into shards of about the same weight. Pure.

A unit is what can be read by itself: a row group, a range of bytes, or a whole file. A shard's units are consecutive,
so the parts in their order hold the rows in the input's order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Unit:
    """Something that can be read by itself: of the `file`-th file, `start` to `stop` in row groups, bytes or files."""

    file: int
    start: int
    stop: int
    weight: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive units of one file that one shard reads."""

    file: int
    start: int
    stop: int
    weight: int


def by_bytes(file: int, size: int, pieces: int) -> list[Unit]:
    """A file that may be cut at any line, in so many ranges; fewer where it has not as many bytes."""
    edges = sorted({size * index // pieces for index in range(pieces + 1)})
    return [Unit(file, start, stop, stop - start) for start, stop in pairwise(edges)]


def cut(units: Sequence[Unit], shards: int) -> tuple[tuple[Piece, ...], ...]:
    """The pieces of each shard; a shard may have none. A unit goes where its middle lies."""
    total = sum(unit.weight for unit in units) or 1
    shares: list[list[Unit]] = [[] for _ in range(shards)]
    before = 0
    for unit in units:
        shares[min((2 * before + unit.weight) * shards // (2 * total), shards - 1)].append(unit)
        before += unit.weight
    return tuple(tuple(_joined(share)) for share in shares)


def _joined(units: Iterable[Unit]) -> list[Piece]:
    pieces: list[Piece] = []
    for unit in units:
        last = pieces[-1] if pieces else None
        if last and last.file == unit.file and last.stop == unit.start:
            pieces[-1] = Piece(last.file, last.start, unit.stop, last.weight + unit.weight)
        else:
            pieces.append(Piece(unit.file, unit.start, unit.stop, unit.weight))
    return pieces
