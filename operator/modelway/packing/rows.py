"""The rows that an original and its conversion are both asked: the user's, or made from the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from modelway.packing import probes, samples
from modelway.packing.anchors import Anchors
from modelway.packing.errors import RowsError
from modelway.server.formats.base import Model
from modelway.server.tensors import Array, Batch

Tensors = Mapping[str, Array]

_ENOUGH: Final = 32


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows for a model's inputs.

    Args:
        plain: rows without a missing value.
        missing: rows with missing values; None where there are none.
        given: whether they are the user's.

    """

    plain: Tensors
    missing: Tensors | None
    given: bool


def given(path: Path, model: Model) -> Rows:
    """The rows of a file. Raises RowsError."""
    read = samples.read(path, model).tensors
    masks = [np.isnan(array).reshape(len(array), -1).any(axis=1) for array in read.values() if array.dtype.kind == "f"]
    incomplete = np.any(masks, axis=0) if masks else np.zeros(len(next(iter(read.values()))), dtype=bool)
    if incomplete.all():
        raise RowsError(f"{path.name}: every row has a missing value; add some that have none")
    holes = {name: array[incomplete] for name, array in read.items()} if incomplete.any() else None
    return Rows({name: array[~incomplete] for name, array in read.items()}, holes, given=True)


def made(model: Model, anchors: Anchors) -> Rows:
    """Rows around what the model has learnt. Raises RowsError where it refuses nearly all of them."""
    plain = _answerable(model, probes.make(model.inputs, anchors))
    holes = probes.with_missing(plain, model.inputs)
    return Rows(plain, None if holes is None else _answerable(model, holes), given=False)


def _answerable(model: Model, tensors: Tensors) -> Tensors:
    """The rows that the model does not refuse, as it may those with a category that it has never seen."""
    if _answers(model, tensors):
        return tensors
    rows = range(len(next(iter(tensors.values()))))
    good = [row for row in rows if _answers(model, {name: array[row : row + 1] for name, array in tensors.items()})]
    if len(good) < _ENOUGH:
        raise RowsError(
            f"of {len(rows)} rows that were made from the model it refuses {len(rows) - len(good)}; "
            "give sample rows with --rows"
        )
    return {name: array[good] for name, array in tensors.items()}


def _answers(model: Model, tensors: Tensors) -> bool:
    try:
        model.predict(Batch(tensors, len(next(iter(tensors.values()))), model.default_outputs))
    except Exception:  # noqa: BLE001 each library refuses a row in its own way
        return False
    return True
