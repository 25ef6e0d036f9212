"""Keys that need a look: deduplicated, delayed, prioritised, retried.

The contract, as in controller-runtime's priority queue:
- A key waits at most once; adding it again keeps the earliest time and the highest priority.
- A key is never handed out twice at once. One that is added while it is being worked on is dirty: it comes back when
  `done` is called.
- Among keys that are due, higher priority goes first, then the one that has waited longest.
- `retry` delays a key exponentially, with full jitter; `forget` resets that.
The clock and the randomness are arguments. For one event loop; only `get` waits.
"""

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

from modelway.controller.metrics import QueueMetrics

_FIRST_RETRY, _LONGEST_RETRY = 0.25, 300.0


@dataclass(slots=True)
class _Waiting:
    due: float
    priority: int
    ticket: int
    added: float


Key = TypeVar("Key", bound=Hashable)


class Queue(Generic[Key]):
    """A queue of keys."""

    def __init__(
        self,
        *,
        metrics: QueueMetrics,
        clock: Callable[[], float] = monotonic,
        seed: random.Random | None = None,
    ) -> None:
        self._clock = clock
        self._random = seed or random.Random()  # noqa: S311 - jitter, not secrets
        self._metrics = metrics
        self._waiting: dict[Key, _Waiting] = {}
        self._later: list[tuple[float, int, Key]] = []
        self._due: list[tuple[int, int, Key]] = []
        self._working: dict[Key, float] = {}
        self._dirty: dict[Key, tuple[float, int]] = {}
        self._failures: dict[Key, int] = {}
        self._tickets = itertools.count()
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Key, *, after: float = 0.0, priority: int = 0) -> None:
        """Have `key` looked at, in `after` seconds at the latest."""
        if self._closed:
            return
        self._metrics.adds.inc()
        due = self._clock() + after
        if key in self._working:
            was = self._dirty.get(key)
            self._dirty[key] = (min(due, was[0]), max(priority, was[1])) if was else (due, priority)
            return
        self._put(key, due, priority)

    def retry(self, key: Key, *, at_least: float = 0.0) -> float:
        """Have `key` looked at again after a failure, in `at_least` seconds or more; gives the delay."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        longest = min(_FIRST_RETRY * 2.0 ** min(failures, 32), _LONGEST_RETRY)
        delay = max(self._random.uniform(longest / 2, longest), at_least)
        self._metrics.retries.inc()
        self.add(key, after=delay)
        return delay

    def forget(self, key: Key) -> None:
        """The last look succeeded: the next failure begins with the shortest delay."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """The next key that is due. Its owner must call `done`.

        Raises:
            asyncio.CancelledError: the queue was closed.
        """
        while True:
            if self._closed:
                raise asyncio.CancelledError
            if (key := self._next()) is not None:
                return key
            self._changed.clear()
            wait = self._later[0][0] - self._clock() if self._later else None
            try:
                async with asyncio.timeout(wait if wait is None else max(wait, 0.0)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, key: Key) -> None:
        """`key` is no longer being worked on; if it was added meanwhile, it waits again."""
        started = self._working.pop(key)
        self._metrics.work_seconds.observe(self._clock() - started)
        if (dirty := self._dirty.pop(key, None)) is not None and not self._closed:
            self._put(key, *dirty)
        if not self._working:
            self._idle.set()

    def close(self) -> None:
        """Hand out nothing more; wakes everybody who waits."""
        self._closed = True
        self._changed.set()

    async def idle(self) -> None:
        """Wait until nothing is being worked on."""
        await self._idle.wait()

    def longest_working(self) -> float:
        """Seconds since the oldest work in progress began; 0 when there is none."""
        return self._clock() - min(self._working.values()) if self._working else 0.0

    def _put(self, key: Key, due: float, priority: int) -> None:
        known = self._waiting.get(key)
        if known is not None:
            if due >= known.due and priority <= known.priority:
                return
            due, priority = min(due, known.due), max(priority, known.priority)
        added = known.added if known else self._clock()
        entry = _Waiting(due=due, priority=priority, ticket=next(self._tickets), added=added)
        self._waiting[key] = entry
        self._metrics.depth.set(len(self._waiting))
        heapq.heappush(self._later, (due, entry.ticket, key))
        self._changed.set()

    def _next(self) -> Key | None:
        """The next due key, now in work; entries that were superseded are skipped by their ticket."""
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            _, ticket, key = heapq.heappop(self._later)
            entry = self._waiting.get(key)
            if entry is not None and entry.ticket == ticket:
                heapq.heappush(self._due, (-entry.priority, ticket, key))
        while self._due:
            _, ticket, key = heapq.heappop(self._due)
            entry = self._waiting.get(key)
            if entry is None or entry.ticket != ticket:
                continue
            del self._waiting[key]
            self._metrics.depth.set(len(self._waiting))
            self._metrics.queue_seconds.observe(max(0.0, now - max(entry.added, entry.due)))
            self._working[key] = now
            self._idle.clear()
            return key
        return None
