"""A model without a library behind it, for tests of what is around models."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from modelway.server.loading import Loaded
from modelway.server.pace import Cost
from modelway.server.signature import Signature
from modelway.server.tensors import Batch, TensorSpec

ROWS_OF_THREE = TensorSpec("x", "FP32", (-1, 3))


def first_column(batch: Batch) -> dict[str, np.ndarray]:
    array = next(iter(batch.tensors.values()))
    return {"y": array.reshape(len(array), -1)[:, 0]}


@dataclass(frozen=True, slots=True)
class FakeModel:
    """Answers the first column of its first input, or what `compute` makes of the batch."""

    inputs: tuple[TensorSpec, ...] = (ROWS_OF_THREE,)
    outputs: tuple[TensorSpec, ...] = (TensorSpec("y", "FP32", (-1,)),)
    compute: Callable[[Batch], Mapping[str, np.ndarray]] = first_column
    features: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    platform: str = "fake"

    @property
    def default_outputs(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.outputs)

    def predict(self, batch: Batch) -> Mapping[str, np.ndarray]:
        return self.compute(batch)


def loaded(model: FakeModel, *, version: str | None = "7") -> Loaded:
    """The model as if it had been loaded, and found to be fast enough for the event loop."""
    return Loaded(
        model=model,
        signature=Signature.of(model),
        version=version,
        format="fake",
        cost=Cost(call=0.0, row=0.0),
        batchable=False,
        cost_unknown_because="",
        sample=None,
        golden=0,
        seconds=0.0,
    )
