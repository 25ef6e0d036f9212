"""What a model answers to its maker's rows, counted as the server counts (`api.observations`).

It travels in `modelway.json`, so that a rollout knows from its first request which answers are usual.
"""

from typing import Final

from modelway.packing.samples import Tensors
from modelway.server.answers import Answers
from modelway.server.formats.base import Model
from modelway.server.observations import counted
from modelway.server.sighting import Look
from modelway.server.tensors import Batch

LEAST_ROWS: Final = 500
"""As many as the operator wants before it compares answers; of fewer rows nothing is said."""
_AT_ONCE: Final = 1000


def of(model: Model, tensors: Tensors) -> dict[str, int] | None:
    """The counts of a model's answers to each of these rows; None where there are too few of them."""
    rows = len(next(iter(tensors.values())))
    if rows < LEAST_ROWS:
        return None
    look, region, wanted = Look.at(model), Answers().region(0), model.default_outputs
    for begin in range(0, rows, _AT_ONCE):
        part = {name: array[begin : begin + _AT_ONCE] for name, array in tensors.items()}
        outputs = model.predict(Batch(part, rows=min(_AT_ONCE, rows - begin), wanted=wanted))
        for row in range(min(_AT_ONCE, rows - begin)):
            region.count(look({name: outputs[name][row : row + 1] for name in wanted}, wanted))
    return counted([region])
