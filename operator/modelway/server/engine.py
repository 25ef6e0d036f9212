"""Where a prediction runs: on the event loop, in a thread, or in a thread together with others.

The one path that every protocol's requests take. A protocol hands over two functions, reading the request and writing
the answer; between them lies the model. Small requests to a model that is known to be fast run on the event loop
(`pace` says which), those of one turn of the loop side by side (`turn`). Everything else goes to a bounded pool of
threads, reading and writing included, so the loop is free for others; where the model answers many rows for little more
than one, what waits is predicted together (`batching`).
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from modelway.server.batching import Batching
from modelway.server.errors import RequestError
from modelway.server.loading import Loaded
from modelway.server.pace import BUDGET, Pace
from modelway.server.pool import Job, Pool
from modelway.server.tensors import Array
from modelway.server.turn import Soon, Turn
from modelway.server.wire import Request

T = TypeVar("T")
Parse = Callable[[], Request]
"""Reads the request; raises InvalidInputError."""
Finished = tuple[T, int]
"""An answer and its number of rows."""
Outcome = Soon[Finished[T]] | Coroutine[Any, Any, Finished[T]]
"""The same, before the turn of the event loop is over, or later."""

# A body up to this size is decoded on the event loop (about 0.3 ms); a larger one in a thread, with its prediction.
INLINE_BODY: Final = 64 * 1024
# The part of the timeout that requests may wait for the event loop before those behind them are refused.
_PATIENCE: Final = 0.25


class _Prediction(Soon[Finished[Any]]):
    """A request that was read, and its answer at the end of the turn."""

    __slots__ = ("found", "render", "request", "start")

    found: Mapping[str, Array] | Exception
    """What the model gave, or raised."""

    def __init__(self, request: Request, render: Callable[[Mapping[str, Array], Request], Any], start: float) -> None:
        super().__init__()
        self.request = request
        self.render = render
        self.start = start

    def outputs(self) -> Mapping[str, Array]:
        """What the model gave; raises what it raised."""
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class Engine:
    """One loaded model and the places where it may run. Used from one event loop.

    Args:
        loaded: the model.
        concurrency: predictions that run at once in threads.
        queue: predictions that may wait for one of them.
        timeout: of a request, in seconds.
        max_batch: rows that are predicted together at most; 1 switches that off.
        max_wait: seconds that a thread waits for a batch to fill while others are about.
        on_batch: told, on the event loop, how many requests were predicted together.

    """

    def __init__(
        self,
        loaded: Loaded,
        *,
        concurrency: int,
        queue: int,
        timeout: float,
        max_batch: int = 1,
        max_wait: float = 0.0,
        on_batch: Callable[[int], None] = lambda _requests: None,
    ) -> None:
        self.loaded = loaded
        self.batching = Batching(loaded.model, max_rows=max_batch if loaded.batchable else 1)
        self.pool = Pool(
            concurrency=concurrency,
            queue=queue,
            timeout=timeout,
            together=self.batching.predict,
            max_batch=self.batching.max_rows,
            max_wait=max_wait,
            on_batch=on_batch,
        )
        self._pace = Pace(loaded.cost)
        self._turn = Turn(self._predict, longest=timeout * _PATIENCE, budget=BUDGET)
        self._elsewhere: set[asyncio.Task[None]] = set()

    def begin(
        self, parse: Parse, render: Callable[[Mapping[str, Array], Request], T], *, size: int, start: float
    ) -> Outcome[T]:
        """Predict one request.

        Args:
            parse: reads the request; called once, on the event loop or in a thread.
            render: writes the answer from the model's outputs; likewise.
            size: bytes of the request.
            start: when it came (`time.perf_counter()`); its time runs from there.

        Returns what gives the answer and the number of rows. Raises RequestError, now or in what it gives: what `parse`
        raises, 503 when too much waits, 504 when the request's time is over. Whatever the model raises comes through.

        """
        if size > INLINE_BODY:
            return self.pool.run(Job(lambda: self._finished(parse(), render)), start=start)
        if self._turn.is_over(start):
            raise RequestError(503, "overloaded: too many requests at once; try again", headers={"retry-after": "1"})
        request = parse()
        rows = request.batch.rows
        if not self._pace.allows_inline(rows):
            return self.pool.run(self._job(request, render), start=start)
        prediction = _Prediction(request, render, start)
        self._turn.add(prediction, self._pace.cost.of(rows))
        return prediction

    def stop(self) -> None:
        """Take no more work; what runs in threads is left alone."""
        self.pool.stop()

    def _predict(self, turn: Sequence[_Prediction]) -> None:
        """Predict for each, then answer each.

        Each by itself: together would save another tenth, but then an answer's last bits could depend on who else asks.
        """
        for prediction in [prediction for prediction in turn if self._is_predicted(prediction)]:
            try:
                answer = prediction.render(prediction.outputs(), prediction.request)
            except Exception as error:  # noqa: BLE001 it is told to whom it concerns
                prediction.fail(error)
            else:
                prediction.come((answer, prediction.request.batch.rows))

    def _is_predicted(self, prediction: _Prediction) -> bool:
        """Ask the model, or a thread to do so where it has just become too slow for the loop."""
        batch = prediction.request.batch
        if not self._pace.allows_inline(batch.rows):
            task = asyncio.get_running_loop().create_task(self._answer_elsewhere(prediction))
            self._elsewhere.add(task)  # the loop itself holds tasks weakly
            task.add_done_callback(self._elsewhere.discard)
            return False
        begin = time.perf_counter()
        try:
            prediction.found = self.loaded.model.predict(batch)
        except Exception as error:  # noqa: BLE001 it is told to whom it concerns
            prediction.found = error
        self._pace.note(time.perf_counter() - begin)
        return True

    async def _answer_elsewhere(self, prediction: _Prediction) -> None:
        job = self._job(prediction.request, prediction.render)
        try:
            finished = await self.pool.run(job, start=prediction.start)
        except Exception as error:  # noqa: BLE001 it is told to whom it concerns
            prediction.fail(error)
        else:
            prediction.come(finished)

    def _finished(self, request: Request, render: Callable[[Mapping[str, Array], Request], T]) -> Finished[T]:
        return render(self.loaded.model.predict(request.batch), request), request.batch.rows

    def _job(self, request: Request, render: Callable[[Mapping[str, Array], Request], T]) -> Job[Finished[T]]:
        return self.batching.job(
            partial(self._finished, request, render),
            request.batch,
            lambda outputs: (render(outputs, request), request.batch.rows),
        )
