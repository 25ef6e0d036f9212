"""What a shard says of itself while it runs: rows done, rate, remaining time, a line every few seconds."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from modelway.batch.metrics import Meter

_log = structlog.get_logger()


@dataclass(slots=True)
class Progress:
    """How far a shard is.

    Args:
        shard: its number.
        total: weight of all its pieces; blocks say how much of it they are.
        clock: seconds.
        every: seconds between two lines.
        meter: where it is shown as metrics.

    """

    shard: int
    total: float
    clock: Callable[[], float] = time.monotonic
    every: float = 10.0
    meter: Meter | None = None
    rows: int = 0
    failed: int = 0
    done: float = 0.0
    _started: float = field(init=False)
    _said: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self._said = self.clock()

    def add(self, rows: int, failed: int, done: float) -> None:
        """Count a block that is written."""
        self.rows += rows
        self.failed += failed
        self.done += done
        if self.meter is not None:
            self.meter.count(rows, failed, self._share())
        if self.clock() - self._said >= self.every:
            self._said = self.clock()
            self.say()

    def say(self) -> None:
        """Write the line."""
        seconds = max(self.clock() - self._started, 1e-9)
        share = self._share()
        _log.info(
            "scoring",
            shard=self.shard,
            rows=self.rows,
            failed_rows=self.failed,
            rows_per_second=round(self.rows / seconds),
            percent=round(100 * share, 1),
            remaining_seconds=round(seconds * (1 - share) / share) if share else None,
        )

    def _share(self) -> float:
        return min(self.done / self.total, 1.0) if self.total else 1.0
