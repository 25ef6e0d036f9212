"""Threads for predictions that are too slow for the event loop, with a queue that has an end.

Invariant: at most `concurrency` predictions run and at most `queue` wait; the next one is refused at once. A growing
queue only turns overload into timeouts for everybody. A prediction whose caller gave up still occupies its thread until
it returns (a thread cannot be stopped) and still counts; one that had not started is dropped.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from modelway.server.errors import RequestError

T = TypeVar("T")


class Pool:
    """A bounded thread pool for one event loop."""

    def __init__(self, *, concurrency: int, queue: int, timeout: float) -> None:
        self._timeout = timeout
        self._executor = ThreadPoolExecutor(concurrency, thread_name_prefix="predict")
        self._limit = concurrency + queue
        self._occupied = 0
        self._lock = threading.Lock()

    @property
    def occupied(self) -> int:
        """Predictions that run or wait."""
        return self._occupied

    async def run(self, work: Callable[[], T], *, elapsed: float = 0.0) -> T:
        """Run `work` in a thread, for a request that came `elapsed` seconds ago.

        Raises RequestError: 503 when the queue is full, 504 when the request's time is over.
        """
        with self._lock:
            if self._occupied >= self._limit:
                raise RequestError(
                    503, "overloaded: too many predictions are waiting; try again", headers={"retry-after": "1"}
                )
            self._occupied += 1
        future = self._executor.submit(work)
        future.add_done_callback(self._leave)
        try:
            async with asyncio.timeout(max(self._timeout - elapsed, 0.0)):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise RequestError(504, f"the prediction took longer than {self._timeout:g} s") from None

    def stop(self) -> bool:
        """Take no more work and drop what waits; tells whether all threads are idle."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        return self._occupied == 0

    def _leave(self, _future: "Future[T]") -> None:
        with self._lock:
            self._occupied -= 1
