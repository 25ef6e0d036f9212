"""What a request to the loaded model may look like: the one thing that all protocols check requests against.

Made once, when the model is loaded, so that no request pays for it. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from modelway.server.formats.base import Model
from modelway.server.tensors import TensorSpec

DEFAULT_MAX_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """A model's inputs and outputs, and what is done about requests that bring more than is needed.

    Equal to itself alone, so that what follows from one can be remembered for it.

    Args:
        inputs: what a request must bring, in the model's order.
        outputs: what can be asked for.
        default_outputs: the outputs of a request that does not ask for any.
        features: names of a row's values; only of a model with one input of shape [rows, n], and then n of them.
        by_name: the inputs by their name.
        only: the input of a model that has one; None where there are several.
        ignores_extra: whether named values that the model has no use for are left out instead of refused.
        max_rows: rows of a request at most.

    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    default_outputs: tuple[str, ...]
    features: tuple[str, ...]
    by_name: Mapping[str, TensorSpec]
    only: TensorSpec | None
    ignores_extra: bool
    max_rows: int

    @classmethod
    def of(cls, model: Model, *, ignores_extra: bool = False, max_rows: int = DEFAULT_MAX_ROWS) -> "Signature":
        """The signature of a model. `ignores_extra`: `extraFeatures` of `modelway.json` is `Ignore`."""
        inputs = tuple(model.inputs)
        return cls(
            inputs=inputs,
            outputs=tuple(model.outputs),
            default_outputs=model.default_outputs,
            features=_features(inputs, tuple(model.features)),
            by_name={spec.name: spec for spec in inputs},
            only=inputs[0] if len(inputs) == 1 else None,
            ignores_extra=ignores_extra,
            max_rows=max_rows,
        )


def _features(inputs: Sequence[TensorSpec], names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, where they are one for each value of a row; names that fit nothing could only mislead."""
    if len(inputs) != 1 or len(inputs[0].shape) != 2:
        return ()
    width = inputs[0].shape[1]
    return names if width in {-1, len(names)} and len(set(names)) == len(names) else ()
