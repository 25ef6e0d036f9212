"""What comes in one turn of the event loop is worked on together: all of it read, then all predicted, then all written.

Reading JSON, running a model and writing an answer each fill a processor's caches with code of their own. One request
after the other pays for that three times each; in stages, all requests of a turn together do (ADR 23 has the figures).
So a request that runs on the event loop is read when it comes, and its prediction waits until the loop has looked at
every socket that had something. Nobody waits for a clock, and a lonely request waits for nothing but the loop.
"""

import asyncio
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

MOST: Final = 64
"""Requests that wait for each other in a turn; more only make the first ones wait."""


class Soon(Generic[T]):
    """A value, or an error, that comes before this turn of the event loop is over.

    To be taken once: by functions, which are told at once, or by awaiting it, which costs a future.
    """

    __slots__ = ("_came", "_fail", "_take")

    def __init__(self) -> None:
        self._take: Callable[[T], object] | None = None
        self._fail: Callable[[Exception], object] | None = None
        self._came: Callable[[], object] | None = None  # where nobody had asked

    def then(self, take: Callable[[T], object], fail: Callable[[Exception], object] | None = None) -> None:
        """Have `take` called with the value when it comes, or `fail` with the error; neither may raise."""
        self._take, self._fail = take, fail
        if self._came is not None:
            self._came()

    def come(self, value: T) -> None:
        """Here it is."""
        if self._take is not None:
            self._take(value)
        else:
            self._came = partial(self.come, value)

    def fail(self, error: Exception) -> None:
        """It does not come."""
        if self._fail is not None:
            self._fail(error)
        elif self._take is None:
            self._came = partial(self.fail, error)

    def __await__(self) -> Generator[Any, None, T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def take(value: T) -> None:
            if not future.done():  # else who waited has been cancelled
                future.set_result(value)

        def fail(error: Exception) -> None:
            if not future.done():
                future.set_exception(error)

        self.then(take, fail)
        return (yield from future)


class Turn(Generic[T]):
    """How long the event loop has been answering what had come when it last looked, and what waits for the end of it.

    Requests that run on the loop wait in no queue of ours, but in their sockets, all of which one turn of the loop
    serves. When a turn takes too long, refusing the rest of it costs little and lets the next one begin.

    Args:
        work: does what has waited; it must not raise, nor add anything.
        longest: seconds after which a turn is over.
        budget: seconds of work that may wait at once; what would make it more has the others done first.

    """

    __slots__ = ("_began", "_budget", "_longest", "_seconds", "_waiting", "_work")

    def __init__(self, work: Callable[[Sequence[T]], None], *, longest: float, budget: float) -> None:
        self._work = work
        self._longest = longest
        self._budget = budget
        self._began = 0.0
        self._waiting: list[T] = []
        self._seconds = 0.0

    def is_over(self, now: float) -> bool:
        """Whether a request that came at `now` (`time.perf_counter()`) comes too late in this turn."""
        if self._began:
            return now - self._began > self._longest
        self._began = now
        asyncio.get_running_loop().call_soon(self._end)
        return False

    def add(self, item: T, seconds: float) -> None:
        """Leave to the end of the turn, after `is_over`, what takes so many seconds by an estimate."""
        if self._waiting and (self._seconds + seconds > self._budget or len(self._waiting) >= MOST):
            self._do()
        self._waiting.append(item)
        self._seconds += seconds

    def _end(self) -> None:
        self._began = 0.0
        self._do()

    def _do(self) -> None:
        waiting, self._waiting, self._seconds = self._waiting, [], 0.0
        self._work(waiting)
