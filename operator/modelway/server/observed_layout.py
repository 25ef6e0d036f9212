"""Which of a model's inputs are counted, how, and where in memory.

Made once, when the model is loaded, from its signature and from the reference that its maker gave. With a reference the
features that it names are counted in its cells. Without one all columns are counted in cells that suit any feature, so
that a reference can be learnt (`stats.drift_learning`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import structs

from modelway.server.formats.base import Model
from modelway.server.metadata import Reference
from modelway.server.observed_memory import CAPACITY
from modelway.server.pace import zeros
from modelway.server.signature import Signature
from modelway.server.tensors import Array, Batch
from modelway.stats.counts import Ints
from modelway.stats.drift_cells import FIGURES, Block, Cells, counted
from modelway.stats.drift_learning import grid, hashed
from modelway.stats.drift_reference import MOST_FEATURES, feature_of

_NUMBERS: Final = "fiub"
_MOST_LEARNT: Final = 100
"""Features that are counted without a reference: each has a thousand cells on the grid, all added up each time."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A feature that is counted.

    Args:
        name: its name.
        cells: where its values fall.
        begin: where its counts begin.

    """

    name: str
    cells: Cells
    begin: int

    @property
    def end(self) -> int:
        """Where they end."""
        return self.begin + FIGURES + self.cells.size


@dataclass(frozen=True, slots=True)
class Layout:
    """How the inputs of one model are counted.

    Args:
        numbers: features of numbers, at the beginning of the memory.
        texts: those of texts, behind them.
        block: counts all numbers at once.
        features: names of the values of the model's only input.
        uncounted: columns that are not counted, and features of the reference that the model has not; with the reason.
        learning: whether there was no reference.
        id: changes when the counts mean something else.

    """

    numbers: tuple[Counted, ...]
    texts: tuple[Counted, ...]
    block: Block
    features: tuple[str, ...]
    uncounted: dict[str, str]
    learning: bool
    id: str

    @property
    def counted(self) -> tuple[Counted, ...]:
        """All features that are counted, in the order of their counts."""
        return self.numbers + self.texts

    @property
    def size(self) -> int:
        """Numbers of memory that are used."""
        return self.counted[-1].end if self.counted else 0

    @property
    def mark(self) -> int:
        """The id as a number that is not 0."""
        return int(self.id[:15], 16) | 1

    def count(self, counts: Ints, tensors: Mapping[str, Array], rows: int) -> None:
        """Add what so many rows count to `counts`; a few hundred at once are counted quickest."""
        columns = dict(Batch(tensors, rows, ()).columns(self.features))
        if self.numbers:
            values = np.array([columns[one.name] for one in self.numbers], dtype=np.float64)
            counts[: self.block.size] += self.block.counted(values)
        for one in self.texts:
            counts[one.begin : one.end] += counted(columns[one.name].tolist(), one.cells)

    def told(self) -> list[dict[str, Any]]:
        """The features as `/v1/observations/reference` tells them while there is no reference."""
        return [{"name": one.name, "kind": "texts" if one in self.texts else "numbers"} for one in self.counted]


def lay_out(model: Model, signature: Signature, reference: Reference | None) -> Layout:
    """The layout of a model."""
    columns = {name: _kind(array) for name, array in zeros(model).columns(signature.features)}
    if any(-1 in spec.shape[1:] for spec in model.inputs):
        columns = dict.fromkeys(columns, "")  # another request may have other columns
    return lay_out_columns(columns, signature.features, reference)


def lay_out_columns(columns: Mapping[str, str], features: tuple[str, ...], reference: Reference | None) -> Layout:
    """The layout of columns.

    Args:
        columns: numpy's kind of each one's values by its name; empty for what is no column of single values.
        features: names of the values of the model's only input.
        reference: of the model's maker.

    """
    uncounted = {name: "it is no column of values" for name, kind in columns.items() if not kind}
    if reference is None:
        chosen = {name: grid() if kind in _NUMBERS else hashed() for name, kind in columns.items() if kind}
    else:
        chosen = {}
        for one in reference.features:
            cells = feature_of(structs.asdict(one)).cells
            if problem := _unfit(cells, columns.get(one.name)):
                uncounted[one.name] = problem
            else:
                chosen[one.name] = cells
        uncounted |= {name: "the reference does not have it" for name in columns if name not in chosen | uncounted}
    return _laid_out(chosen, uncounted, features, learning=reference is None)


def _laid_out(
    chosen: dict[str, Cells], uncounted: dict[str, str], features: tuple[str, ...], *, learning: bool
) -> Layout:
    found: dict[bool, list[Counted]] = {True: [], False: []}
    begin, most = 0, _MOST_LEARNT if learning else MOST_FEATURES
    for is_text in (False, True):
        for name, cells in chosen.items():
            if (cells.categories is not None) is not is_text:
                continue
            one = Counted(name, cells, begin)
            if one.end > CAPACITY or sum(map(len, found.values())) == most:
                uncounted[name] = f"only {most} features are counted{' without a reference' if learning else ''}"
                continue
            found[is_text].append(one)
            begin = one.end
    said = [(one.name, one.cells.edges, one.cells.categories, one.begin) for group in found.values() for one in group]
    return Layout(
        numbers=tuple(found[False]),
        texts=tuple(found[True]),
        block=Block([one.cells for one in found[False]]),
        features=features,
        uncounted=uncounted,
        learning=learning,
        id=hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:16],
    )


def _kind(array: Any) -> str:
    """The kind of a column's values as numpy has it; empty for what is no column of single values."""
    return array.dtype.kind if array.ndim == 1 else ""


def _unfit(cells: Cells, kind: str | None) -> str:
    if kind is None:
        return "the model has no such column"
    if not kind:
        return "it is no column of values"
    if (cells.categories is not None) is (kind in _NUMBERS):
        return f"the reference has {'texts' if cells.categories is not None else 'numbers'}, the model takes the other"
    return ""
