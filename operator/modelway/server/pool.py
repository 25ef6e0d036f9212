"""Threads for predictions that are too slow for the event loop, with a queue that has an end.

Invariants: at most `concurrency` threads predict and at most `queue` jobs wait; the next one is refused at once,
because a growing queue only turns overload into timeouts for everybody. A job whose caller gave up still occupies its
thread until it returns (a thread cannot be stopped); one that had not started is dropped. Jobs start in the order in
which they came, except that a thread takes what can be done together with the oldest one along: while it is busy the
next batch forms by itself, so nobody waits at low load.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from modelway.server.errors import RequestError

T = TypeVar("T")
Together = Callable[[Sequence["Job[Any]"]], Sequence["Result"]]
"""Does several jobs of the same key; a result for each, in order. Raises nothing."""

# A thread that has been busy for this many timeouts is not slow but stuck: everybody whom it could answer is gone.
STUCK_AFTER: Final = 10


@dataclass(slots=True)
class Result:
    """What a job gave, or what it raised."""

    value: Any = None
    error: BaseException | None = None


@dataclass(slots=True, eq=False)
class Job(Generic[T]):
    """A piece of work.

    Args:
        alone: does it.
        key: jobs of the same key can be done together; None: only alone.
        rows: how much of a batch it is.
        content: what the pool's `together` needs to know of it.

    """

    alone: Callable[[], T]
    key: Hashable = None
    rows: int = 1
    content: Any = None
    future: "asyncio.Future[T] | None" = field(default=None, init=False)


class Pool:
    """A bounded thread pool for one event loop.

    Args:
        concurrency: threads.
        queue: jobs that may wait for one of them.
        timeout: of a request, in seconds.
        together: does several jobs of a key at once.
        max_batch: the most rows that it is given.
        max_wait: seconds for which a thread waits for a batch to fill; it does so only when the last batch held more
            than one job, so that a lonely client never waits.
        on_batch: told on the event loop how many jobs were done together.
        clock: seconds, as that of `start` in `run`.

    """

    def __init__(
        self,
        *,
        concurrency: int,
        queue: int,
        timeout: float,
        together: Together | None = None,
        max_batch: int = 1,
        max_wait: float = 0.0,
        on_batch: Callable[[int], None] = lambda _jobs: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._timeout = timeout
        self._concurrency = concurrency
        self._queue = queue
        self._together = together
        self._max_batch = max_batch
        self._max_wait = max_wait
        self._on_batch = on_batch
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[Job[Any]] = deque()
        self._busy: dict[int, tuple[float, int]] = {}  # by thread: since when, with how many jobs
        self._threads: list[threading.Thread] = []
        self._gathering = False
        self._last_batch = 1
        self._stopped = False

    @property
    def occupied(self) -> int:
        """Jobs that run or wait."""
        with self._changed:
            return len(self._waiting) + sum(jobs for _, jobs in self._busy.values())

    @property
    def is_stuck(self) -> bool:
        """Whether every thread has been busy for so long that it will not come back."""
        limit = self._clock() - STUCK_AFTER * self._timeout
        with self._changed:
            return len(self._busy) == self._concurrency and all(since < limit for since, _ in self._busy.values())

    def run(self, job: Job[T], *, start: float) -> Coroutine[Any, Any, T]:
        """Do a job in a thread, for a request that came at `start`.

        Raises RequestError: at once 503 when the queue is full, and when awaited 504 when the request's time is over.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        job.future = future
        with self._changed:
            idle = self._concurrency - len(self._busy)
            if self._stopped or len(self._waiting) >= self._queue + idle:
                raise RequestError(
                    503, "overloaded: too many predictions are waiting; try again", headers={"retry-after": "1"}
                )
            self._waiting.append(job)
            if self._gathering:
                self._changed.notify_all()
            else:
                self._changed.notify()
        if len(self._threads) < self._concurrency:
            self._start_thread(loop)
        return self._awaited(job, future, start)

    def stop(self) -> bool:
        """Take no more work and drop what waits; tells whether all threads are idle."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()
            return not self._busy

    async def _awaited(self, job: Job[T], future: "asyncio.Future[T]", start: float) -> T:
        try:
            async with asyncio.timeout(max(self._timeout - (self._clock() - start), 0.0)) as time_left:
                return await future
        except TimeoutError:
            if not time_left.expired():
                raise  # the job's own
            raise RequestError(504, f"the prediction took longer than {self._timeout:g} s") from None
        finally:
            if not future.done() or future.cancelled():
                with self._changed:
                    if job in self._waiting:
                        self._waiting.remove(job)

    def _deliver(self, jobs: Sequence[Job[Any]], results: Sequence[Result]) -> None:
        if len(jobs) > 1:
            self._on_batch(len(jobs))
        for job, result in zip(jobs, results, strict=True):
            future = job.future
            if future is None or future.done():  # its caller gave up
                continue
            if result.error is not None:
                future.set_exception(result.error)
            else:
                future.set_result(result.value)

    # In threads.

    def _start_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        # Daemons: the process must be able to end while one of them never returns.
        name = f"predict-{len(self._threads)}"
        thread = threading.Thread(target=self._work, args=(loop, len(self._threads)), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self, loop: asyncio.AbstractEventLoop, index: int) -> None:
        while jobs := self._take(index):
            if len(jobs) > 1 and self._together is not None:
                results = self._together(jobs)
            else:
                results = [result_of(job.alone) for job in jobs]
            with self._changed:
                del self._busy[index]
            try:
                loop.call_soon_threadsafe(self._deliver, jobs, results)
            except RuntimeError:  # the loop is closed: the process is ending
                return

    def _take(self, index: int) -> list[Job[Any]]:
        """Wait for the oldest job and take it, and what goes with it. Nothing when the pool is stopped."""
        with self._changed:
            # While another thread gathers a batch, what could join it is left to it.
            while not self._waiting or (self._gathering and self._waiting[0].key is not None):
                if self._stopped:
                    return []
                self._changed.wait()
            jobs = [self._waiting.popleft()]
            if jobs[0].key is not None:
                self._gather(jobs)
            self._busy[index] = (self._clock(), len(jobs))
            return jobs

    def _gather(self, jobs: list[Job[Any]]) -> None:
        """Add what waits and has the key of the first job; wait for more where that is promising."""
        rows = self._add_waiting(jobs, jobs[0].rows)
        if self._max_wait and self._last_batch > 1:
            self._gathering = True
            deadline = self._clock() + self._max_wait
            while rows < self._max_batch and not self._stopped and (left := deadline - self._clock()) > 0:
                self._changed.wait(left)
                rows = self._add_waiting(jobs, rows)
            self._gathering = False
            self._changed.notify_all()
        self._last_batch = len(jobs)

    def _add_waiting(self, jobs: list[Job[Any]], rows: int) -> int:
        left: deque[Job[Any]] = deque()
        for job in self._waiting:
            if job.key == jobs[0].key and rows + job.rows <= self._max_batch:
                jobs.append(job)
                rows += job.rows
            else:
                left.append(job)
        self._waiting = left
        return rows


def result_of(work: Callable[[], object]) -> Result:
    """Do some work; what it raises is carried over to whom it concerns."""
    try:
        return Result(work())
    except BaseException as error:  # noqa: BLE001 a thread's exception is lost unless it is carried over
        return Result(error=error)
