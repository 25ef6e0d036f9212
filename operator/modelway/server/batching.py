"""Requests of different clients, predicted together and answered each with its own rows.

It pays where the call costs much and a row little, as with scikit-learn's forests in Python (4 ms for 1 row and for
64), and only for models that are too slow for the event loop: a batch costs a thread. Whether a model is such is
measured when it is loaded (`pace.Cost`). It is right only where rows do not see each other. The declared shapes must
have an open first dimension everywhere, and `rows_are_independent` asks the model itself, for a model that normalises
over its batch has the same shapes as one that does not.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from modelway.server.formats.base import Model
from modelway.server.pace import BUDGET, Cost
from modelway.server.pool import Job, Result, result_of
from modelway.server.tensors import Array, Batch

# From this share on of a lone prediction's time that further rows do not add, batching is worth a thread's while.
_WORTH: Final = 0.5
_CLOSE: Final = 1e-4


def pays(cost: Cost) -> bool:
    """Whether a model of this cost gains: too slow for the event loop, and more by the call than by the row."""
    alone = cost.of(1)
    return BUDGET < alone < float("inf") and cost.row < alone * (1 - _WORTH)


class Batching:
    """What of a model's requests can be predicted together.

    Args:
        model: the model.
        max_rows: the most rows at once; 1 when nothing can be predicted together.

    """

    def __init__(self, model: Model, *, max_rows: int) -> None:
        self.max_rows = max_rows
        self._model = model

    def job(self, alone: Callable[[], Any], batch: Batch, finish: Callable[[Mapping[str, Array]], Any]) -> Job[Any]:
        """The job that predicts `batch`: by `alone`, or as a part of a larger one, whose outputs `finish` is given."""
        if 2 * batch.rows > self.max_rows:
            return Job(alone)
        return Job(alone, key=_key(batch), rows=batch.rows, content=(batch, finish))

    def predict(self, jobs: Sequence[Job[Any]]) -> Sequence[Result]:
        """Predict jobs of the same key together.

        Where that fails each is predicted alone: what one request does to the model is no other's fault.
        """
        batches = [job.content[0] for job in jobs]
        together = result_of(lambda: _split(self._model.predict(_joined(batches)), batches))
        if together.error is not None:
            return [result_of(job.alone) for job in jobs]
        return [result_of(partial(job.content[1], outputs)) for job, outputs in zip(jobs, together.value, strict=True)]


def rows_are_independent(model: Model, sample: Batch) -> bool:
    """Whether a row's outputs are the same whatever rows it is predicted with. Asks the model; raises what it raises.

    The rows asked are the sample's and others, since a model that mixes equal rows would not be noticed.
    """
    if any(spec.shape[:1] != (-1,) for spec in (*model.inputs, *model.outputs)):
        return False
    names = tuple(spec.name for spec in model.outputs)
    one = Batch(sample.tensors, rows=sample.rows, wanted=names)
    other = Batch({name: _unlike(array) for name, array in sample.tensors.items()}, rows=sample.rows, wanted=names)
    apart = [model.predict(one), model.predict(other)]
    together = _split(model.predict(_joined([one, other])), [one, other])
    return all(_agree(left[name], right[name]) for left, right in zip(apart, together, strict=True) for name in names)


@dataclass(frozen=True, slots=True)
class _Key:
    wanted: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]


def _key(batch: Batch) -> Hashable:
    return _Key(batch.wanted, tuple(array.shape[1:] for array in batch.tensors.values()))


def _joined(batches: Sequence[Batch]) -> Batch:
    first = batches[0]
    tensors = {name: np.concatenate([batch.tensors[name] for batch in batches]) for name in first.tensors}
    return Batch(tensors, rows=sum(batch.rows for batch in batches), wanted=first.wanted)


def _split(outputs: Mapping[str, Array], batches: Sequence[Batch]) -> list[dict[str, Array]]:
    rows = sum(batch.rows for batch in batches)
    for name, array in outputs.items():
        if array.shape[:1] != (rows,):
            raise ValueError(f'output "{name}" of shape {list(array.shape)} has no row for each of {rows}')
    parts, begin = [], 0
    for batch in batches:
        end = begin + batch.rows
        parts.append({name: array[begin:end] for name, array in outputs.items()})
        begin = end
    return parts


def _unlike(array: Array) -> Array:
    """Other rows than these."""
    if array.dtype.kind == "O":
        return np.full_like(array, "a" if not array.any() else "")
    return np.zeros_like(array) if array.any() else np.ones_like(array)


def _agree(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind == "f":
        return bool(np.allclose(one, other, rtol=_CLOSE, atol=_CLOSE, equal_nan=True))
    return bool(np.array_equal(one, other))
