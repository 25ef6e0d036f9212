"""Numbers that all workers of a server share: counters, heartbeats, who is ready.

One page of memory, mapped by the supervisor before it forks, with a region for each worker; only that worker writes
there, so nothing needs a lock, and only from its event loop's thread. A region outlives its worker: the one that
replaces it counts on from where the other stopped, so no counter ever falls. A server of one process is its own only
worker.
"""

import mmap
import os
from bisect import bisect_left
from typing import Final

from modelway.server.answers import Answers
from modelway.server.feedback_memory import FeedbackMemory
from modelway.server.observed_memory import Inputs

PROTOCOLS: Final = ("v1", "v2", "grpc", "other")
# Fine below 5 ms, where our own models live; from there on the thresholds that a latency check can name, so that a
# bucket boundary lies exactly on each.
BUCKETS: Final = (
    0.0005, 0.001, 0.0025,
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75,
    1.0, 1.5, 2.0, 2.5, 3.0, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
MAX_CODE: Final = 600

_PROTOCOL: Final = {name: index for index, name in enumerate(PROTOCOLS)}
_CELLS: Final = len(BUCKETS) + 2  # the last bucket is the open one; behind it the sum of seconds

# A region's fields, in numbers (of eight bytes).
PID: Final = 0
PULSE: Final = 1  # time.monotonic() of the last heartbeat
IN_FLIGHT: Final = 2
CLOSED: Final = 3  # connections that have ended
STUCK: Final = 4
LOAD_SECONDS: Final = 5
BATCHES: Final = 6
BATCHED: Final = 7
_ROWS: Final = 8
_DURATIONS: Final = _ROWS + len(PROTOCOLS)
_CODES: Final = _DURATIONS + len(PROTOCOLS) * _CELLS
_REGION: Final = _CODES + len(PROTOCOLS) * MAX_CODE

# What the supervisor writes, before the first region.
SUPERVISOR: Final = 0  # its process id; 0 where there is none
RESTARTS: Final = 1
DEAD_CPU: Final = 2  # CPU seconds of workers that are gone
_HEADER: Final = 8


class Tally:
    """The page.

    Args:
        workers: how many regions.
        feedback: whether labels of predictions are taken.

    `answers` is another page, of what was answered, `inputs` one of what was asked, and `feedback` one of their labels.

    """

    def __init__(self, workers: int = 1, *, feedback: bool = False) -> None:
        self.workers = workers
        # Anonymous and shared: children of a fork see the same memory, and it goes with the last of them.
        self._memory = mmap.mmap(-1, 8 * (_HEADER + workers * _REGION))
        self._numbers = memoryview(self._memory).cast("d")
        self.header = self._numbers[:_HEADER]
        self.answers = Answers(workers)
        self.inputs = Inputs(workers)
        self.feedback = FeedbackMemory(workers) if feedback else None

    def region(self, worker: int) -> "Region":
        """A worker's own numbers."""
        begin = _HEADER + worker * _REGION
        return Region(self._numbers[begin : begin + _REGION])

    def regions(self) -> "list[Region]":
        """All workers' numbers."""
        return [self.region(worker) for worker in range(self.workers)]


class Region:
    """One worker's numbers. Counting is on the path of every request: a float is added in place, nothing else."""

    __slots__ = ("fields",)

    def __init__(self, fields: "memoryview[float]") -> None:
        self.fields = fields

    def begin(self) -> None:
        """Take over the region: what describes a process, not its work, begins anew."""
        self.fields[PID] = os.getpid()
        for field in (PULSE, IN_FLIGHT, CLOSED, STUCK):
            self.fields[field] = 0.0

    def count(self, protocol: str, code: int) -> None:
        """Count an answer by its HTTP status."""
        self.fields[_CODES + _PROTOCOL[protocol] * MAX_CODE + code] += 1.0

    def observe(self, protocol: str, seconds: float) -> None:
        """Note how long a prediction took."""
        begin = _DURATIONS + _PROTOCOL[protocol] * _CELLS
        self.fields[begin + bisect_left(BUCKETS, seconds)] += 1.0
        self.fields[begin + _CELLS - 1] += seconds

    def add_rows(self, protocol: str, number: int) -> None:
        """Count rows that were predicted."""
        self.fields[_ROWS + _PROTOCOL[protocol]] += number

    def codes(self, protocol: str) -> "memoryview[float]":
        """Answers by status: as many as there are codes, most of them 0."""
        begin = _CODES + _PROTOCOL[protocol] * MAX_CODE
        return self.fields[begin : begin + MAX_CODE]

    def durations(self, protocol: str) -> "memoryview[float]":
        """Predictions in each of `BUCKETS` and beyond the last, and the sum of their seconds."""
        begin = _DURATIONS + _PROTOCOL[protocol] * _CELLS
        return self.fields[begin : begin + _CELLS]

    def rows(self, protocol: str) -> float:
        """Rows that were predicted."""
        return self.fields[_ROWS + _PROTOCOL[protocol]]
