"""What a shard counts of the rows that it has answered, and how shards add up.

A sample of bounded size is counted, in the cells of the reference, so it costs the same however many rows there are,
and the same rows are taken whenever a shard is scored again. All numbers are whole. Used by `shard`, `finish` and
`inputs`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np

from modelway.server.observed_layout import Layout
from modelway.server.tensors import Array
from modelway.stats.counts import Ints

MOST_ROWS: Final = 1 << 14
"""Of a shard that are counted: they tell a PSI to some thousandths, and of 30 features cost some 30 ms of CPU."""
_MOST_VALUES: Final = 1 << 22
_SLICE: Final = 1 << 10
_LAST: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Counts:
    """What a shard has counted.

    Args:
        layout: what the numbers mean.
        stride: one row of so many was counted.
        rows: that were counted.
        numbers: of all features, one after the other, as `stats.drift_cells` has them.

    """

    layout: str
    stride: int
    rows: int
    numbers: Ints = field(compare=False)

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"layout": self.layout, "stride": self.stride, "rows": self.rows, "counts": self.numbers.tolist()}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """From JSON; only we write it."""
        return cls(record["layout"], record["stride"], record["rows"], np.array(record["counts"], np.int64))


@dataclass(slots=True)
class Total:
    """All shards' counts, added up as they come.

    A row of a shard that counts one of eight stands for eight, so shards of all sizes have the weight of their rows.
    What is compared in the end is as if all had counted with the largest stride: whole numbers until then, so the order
    does not matter, and never more rows than were counted.

    Args:
        layout: of the shards.
        size: how many numbers there are.

    """

    layout: str
    size: int
    shards: int = 0
    rows: int = 0
    stride: int = 1
    sums: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.sums = np.zeros(self.size, np.int64)

    def add(self, counts: Counts | None) -> None:
        """Add a shard; one that has not counted, or counted something else, is not among `shards`."""
        if counts is None or counts.layout != self.layout or counts.numbers.size != self.size:
            return
        self.shards += 1
        self.rows += counts.rows
        self.stride = max(self.stride, counts.stride)
        self.sums += counts.numbers * counts.stride

    def window(self) -> Ints:
        """What is compared."""
        return np.rint(self.sums / self.stride).astype(np.int64)


@dataclass(slots=True)
class Sample:
    """Rows of a shard, spread evenly over all of it, however many it has; the same whenever they are scored again.

    A row is taken where a hash of its number is small enough; were it each so many-th row, a table whose rows alternate
    would be seen from one side. When there are too many rows, the stride is doubled and half of them go.

    Args:
        layout: what is counted.

    """

    layout: Layout
    stride: int = 1
    _seen: int = 0
    _kept: int = 0
    _parts: list[tuple[Any, dict[str, Array]]] = field(default_factory=list)

    def add(self, tensors: Mapping[str, Array], rows: int) -> None:
        """Rows that have an answer."""
        wanted = {name: array for name, array in tensors.items() if self._is_counted(name, len(tensors))}
        width = sum(int(np.prod(array.shape[1:])) for array in wanted.values())
        marks = _hashed(np.arange(self._seen, self._seen + rows, dtype=np.uint64))
        self._seen += rows
        self._take(marks, wanted)
        while self._kept > min(MOST_ROWS, max(_MOST_VALUES // width, 1)):
            marks, wanted = self._joined()
            self._parts, self._kept, self.stride = [], 0, 2 * self.stride
            self._take(marks, wanted)

    def counts(self) -> Counts:
        """What they count."""
        numbers = np.zeros(self.layout.size, np.int64)
        if self._parts:
            _, tensors = self._joined()
            for first in range(0, self._kept, _SLICE):
                part = {name: array[first : first + _SLICE] for name, array in tensors.items()}
                self.layout.count(numbers, part, min(_SLICE, self._kept - first))
        return Counts(self.layout.id, self.stride, self._kept, numbers)

    def _take(self, marks: Any, tensors: dict[str, Array]) -> None:
        chosen = np.flatnonzero(marks <= np.uint64(_LAST // self.stride))
        if chosen.size:
            self._kept += chosen.size
            self._parts.append((marks[chosen], {name: array[chosen] for name, array in tensors.items()}))

    def _joined(self) -> tuple[Any, dict[str, Array]]:
        marks = np.concatenate([part for part, _ in self._parts])
        names = self._parts[0][1]
        return marks, {name: np.concatenate([part[name] for _, part in self._parts]) for name in names}

    def _is_counted(self, name: str, inputs: int) -> bool:
        """An input that is counted; the only one may be a matrix of columns with names of their own."""
        return inputs == 1 or any(one.name == name for one in self.layout.counted)


def _hashed(numbers: Any) -> Any:
    """The outputs of the generator splitmix64 (Steele, Lea and Flood, OOPSLA 2014) at these places; in place."""
    numbers *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers ^= numbers >> np.uint64(shift)
        numbers *= np.uint64(factor)
    numbers ^= numbers >> np.uint64(31)
    return numbers
