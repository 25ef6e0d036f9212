"""Whether a prediction may run on the event loop, or has to go to a thread. A measured rule.

Handing work to a thread and back costs about 60 µs of CPU, ten times a small ONNX model (5 µs), so small predictions
run where they are. But while one runs on the loop nobody else is answered, health checks included, so only those may
that are known to be over within `BUDGET`: at load the model is timed with a row and with 64 times as many, which gives
a price for the call and a price for each row; a request runs inline when that estimate is within the budget.

The estimate can be wrong (cost that depends on the values), so inline runs are timed too: after `STRIKES` in a row that
took far longer than the budget everything goes to threads for a while, at first a second and each time twice as long.
Neither at once nor for good, since to a process on a busy machine any single run can look slow.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modelway.server.formats.base import Model
from modelway.server.tensors import DTYPES, Batch

BUDGET = 1e-3  # seconds
STRIKES = 3
FAR = 5
FIRST_DISTRUST = 1.0  # seconds
LONGEST_DISTRUST = 600.0
FORGIVEN_AFTER = 600.0  # seconds of good behaviour after which the next distrust is short again
SAMPLE_ROWS = 64
FEW_TIMES = 8
LONGEST_TIMED = 0.25  # seconds; of a slower model the price of a row is not worth the longer load
_REPEATS = 5
_ENOUGH = 50 * BUDGET  # seconds spent on timing a model that is too slow whatever the next run says


@dataclass(frozen=True, slots=True)
class Cost:
    """What a prediction costs: seconds for the call, and for each row."""

    call: float
    row: float

    def of(self, rows: int) -> float:
        """The estimate for a request, in seconds."""
        return self.call + self.row * rows


UNKNOWN = Cost(call=float("inf"), row=0.0)
"""Of a model that could not be timed; it always runs in a thread."""


class Pace:
    """The rule's state: the measured cost, and until when it is not believed. Used by the event loop only.

    Args:
        cost: as measured at load.
        clock: seconds, monotonic.

    """

    def __init__(self, cost: Cost, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.cost = cost
        self._clock = clock
        self._strikes = 0
        self._distrusted_until = 0.0
        self._distrust = FIRST_DISTRUST

    def allows_inline(self, rows: int) -> bool:
        """Whether a request of so many rows may run on the event loop."""
        return self.cost.of(rows) <= BUDGET and (not self._distrusted_until or self._clock() >= self._distrusted_until)

    def note(self, seconds: float) -> None:
        """Take note of how long an inline run really took."""
        if seconds <= FAR * BUDGET:
            self._strikes = 0
            return
        self._strikes += 1
        if self._strikes >= STRIKES:
            now = self._clock()
            if now - self._distrusted_until > FORGIVEN_AFTER:
                self._distrust = FIRST_DISTRUST
            self._strikes = 0
            self._distrusted_until = now + self._distrust
            self._distrust = min(2 * self._distrust, LONGEST_DISTRUST)


def measure(
    model: Model, sample: Batch | None = None, *, clock: Callable[[], float] = time.perf_counter
) -> tuple[Cost, Exception | None]:
    """Time the model, which also warms it up.

    Args:
        model: what to time.
        sample: rows that it can answer (a golden request's); left out: a row of zeros and empty texts.
        clock: seconds.

    Returns the cost, and what the model raised when it could not predict the sample (then the cost is `UNKNOWN`).

    """
    try:
        batch = sample or zeros(model)
        few = _time(model, batch, clock)
        if few > LONGEST_TIMED or any(spec.shape[:1] != (-1,) for spec in model.inputs):
            return Cost(call=few, row=0.0), None
        row = _row_cost(model, batch, few, clock)
    except Exception as error:  # noqa: BLE001 a library may refuse zeros with anything
        return UNKNOWN, error
    return Cost(call=max(few - row * batch.rows, 0.0), row=row), None


def _row_cost(model: Model, batch: Batch, few: float, clock: Callable[[], float]) -> float:
    """Seconds that a further row costs; of a slow model first from few rows, so as not to wait for many dear ones."""
    row = 0.0
    for times in (SAMPLE_ROWS,) if few <= BUDGET else (FEW_TIMES, SAMPLE_ROWS):
        grown = _grow(batch, times)
        many = _time(model, grown, clock)
        row = max(many - few, 0.0) / (grown.rows - batch.rows)
        if many > 2 * few:
            break
    return row


def zeros(model: Model) -> Batch:
    """A row of zeros and empty texts; open dimensions are 1."""
    tensors = {
        spec.name: np.full(
            tuple(max(size, 1) for size in spec.shape),
            "" if spec.datatype == "BYTES" else 0,
            dtype=DTYPES[spec.datatype],
        )
        for spec in model.inputs
    }
    rows = next((array.shape[0] for array in tensors.values() if array.ndim), 1)
    return Batch(tensors, rows=rows, wanted=model.default_outputs)


def _grow(batch: Batch, times: int) -> Batch:
    """The same rows, so many times."""
    tensors = {name: np.concatenate([array] * times) for name, array in batch.tensors.items()}
    return Batch(tensors, rows=batch.rows * times, wanted=batch.wanted)


def _time(model: Model, batch: Batch, clock: Callable[[], float]) -> float:
    """Seconds of the quickest of some runs, after one that pays for first-use allocations; fewer of a slow model."""
    model.predict(batch)
    best, spent = float("inf"), 0.0
    for _ in range(_REPEATS):
        start = clock()
        model.predict(batch)
        seconds = clock() - start
        best, spent = min(best, seconds), spent + seconds
        if spent > _ENOUGH:
            break
    return best
