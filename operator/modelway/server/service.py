"""One model being served: its phase, its engine, its metrics, and what becomes of whatever goes wrong.

What HTTP (`app`) and gRPC (`rpc`) share. Invariants: every request gets exactly one answer and is counted once; errors
are one sentence; nothing of Python's shows outside; the event loop does not run a model that is not known to be fast,
nor decode a large body (`engine`). Used from one event loop.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from enum import StrEnum
from functools import partial
from typing import Any, Final

import structlog

from modelway.server.engine import Engine, Outcome
from modelway.server.errors import InvalidInputError, RequestError
from modelway.server.exchange import Answer, Reply
from modelway.server.feedback import Feedback
from modelway.server.feedback_memory import FeedbackMemory
from modelway.server.loading import Loaded
from modelway.server.metrics import Metrics
from modelway.server.observed_inputs import InputObserver
from modelway.server.observed_layout import Layout, lay_out
from modelway.server.observer import Observer
from modelway.server.options import ServerOptions
from modelway.server.rendering import Predicted, Render, rendering
from modelway.server.sighting import Look
from modelway.server.signature import Signature
from modelway.server.tally import Tally
from modelway.server.tensors import Array
from modelway.server.turn import Soon
from modelway.server.wire import Request

Parse = Callable[[bytes, Signature], Request]
Tell = Callable[[RequestError], Answer]
"""How a protocol tells what went wrong."""

# What nginx counts for a client that hung up before its answer; it reads none.
CLIENT_CLOSED_REQUEST: Final = 499


class Phase(StrEnum):
    """Where the server is in its life."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"


class Service:
    """One model, whatever the protocol."""

    def __init__(self, options: ServerOptions, *, tally: Tally | None = None, worker: int = 0) -> None:
        self.options = options
        self._tally = tally or Tally()
        self._worker = worker
        self._observer: Observer | None = None
        self._inputs: InputObserver | None = None
        self.layout: Layout | None = None
        self.feedback: Feedback | None = None
        if options.feedback_keys is not None:
            self.feedback = Feedback(options, self._tally.feedback or FeedbackMemory(), worker)
        self._renders: dict[Render, Callable[[Mapping[str, Array], Request], Predicted]] = {}
        self.phase = Phase.LOADING
        self.in_flight = 0
        self.engine: Engine | None = None
        self.metrics = self._metrics(options.version)
        self._log = structlog.get_logger()
        self._watchers: set[Callable[[Phase], Awaitable[None]]] = set()
        self._telling: set[asyncio.Future[None]] = set()

    @property
    def is_ready(self) -> bool:
        """Whether new traffic is welcome."""
        return self.phase is Phase.READY

    @property
    def is_alive(self) -> bool:
        """False when no thread will come back: then only a new process helps."""
        return self.engine is None or not self.engine.pool.is_stuck

    @property
    def loaded(self) -> Loaded:
        """The model. Raises RequestError (503) while there is none."""
        if self.engine is None:
            raise not_ready()
        return self.engine.loaded

    @property
    def version(self) -> str | None:
        """The version to show; while the model is being loaded, the one that was said."""
        return self.options.version if self.engine is None else self.engine.loaded.version

    def serve(self, loaded: Loaded) -> None:
        """Begin to answer predictions."""
        options = self.options
        if loaded.version != options.version:
            self.metrics = self._metrics(loaded.version)
        if options.observe:
            self._observe(loaded)
        if self.feedback is not None:
            self.feedback.begin(loaded)
        self._renders.clear()
        self.engine = Engine(
            loaded,
            concurrency=options.concurrency,
            queue=options.queue,
            timeout=options.timeout,
            max_batch=options.max_batch,
            max_wait=options.max_wait,
            on_batch=self.metrics.batched,
        )
        self.metrics.loaded(format_name=loaded.format, platform=loaded.model.platform, seconds=loaded.seconds)
        self._enter(Phase.READY)

    def drain(self) -> None:
        """Go on answering, and ask every client to connect anew elsewhere."""
        self._enter(Phase.DRAINING)

    def settle(self) -> None:
        """Bring the shared counts up to date with what was answered."""
        if self._observer is not None:
            self._observer.settle()
        if self._inputs is not None:
            self._inputs.settle()
        if self.feedback is not None:
            self.feedback.settle()

    @contextlib.contextmanager
    def watched(self, watcher: Callable[[Phase], Awaitable[None]]) -> Iterator[None]:
        """For the length of a block, tell `watcher` of each new phase."""
        self._watchers.add(watcher)
        try:
            yield
        finally:
            self._watchers.discard(watcher)

    def begin(
        self,
        protocol: str,
        parse: Parse,
        render: Render,
        *,
        body: bytes,
        start: float,
        tell: Tell,
        pair: bytes | None = None,
    ) -> Reply:
        """Answer a prediction: within this turn where its model runs on the event loop, else give what to wait for.

        Args:
            protocol: for the metrics: v1, v2 or grpc.
            parse: reads the request.
            render: writes the answer.
            body: the request.
            start: when it came, `time.perf_counter()`.
            tell: makes the answer of an error.
            pair: the request's id where it was mirrored, so that its answer is remembered.

        """
        self.in_flight += 1
        try:
            outcome = self._begun(parse, render, body, start)
        except Exception as error:  # noqa: BLE001 all errors end in _failed
            return self._done(protocol, start, tell(self._failed(protocol, error)))
        if not isinstance(outcome, Soon):
            return self._later(protocol, start, outcome, tell, pair)
        answer: Soon[Answer] = Soon()  # not `Soon[Answer]()`, which makes the type anew each time
        outcome.then(
            lambda finished: answer.come(self._answered(protocol, start, finished, pair)),
            lambda error: answer.come(self._done(protocol, start, tell(self._failed(protocol, error)))),
        )
        return answer

    def _observe(self, loaded: Loaded) -> None:
        """Count what is asked and answered from now on."""
        options = self.options
        self._observer = Observer(Look.at(loaded.model), self._tally.answers.region(self._worker))
        self.layout = lay_out(loaded.model, loaded.signature, loaded.usual)
        region = self._tally.inputs.region(self._worker)
        self._inputs = InputObserver(self.layout, region, share=options.observe_share, rate=options.observe_rate)
        if loaded.usual is not None and self.layout.uncounted:
            self._log.warning("inputs_not_counted", model=options.name, features=self.layout.uncounted)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        for watcher in self._watchers:
            telling = asyncio.ensure_future(watcher(phase))
            self._telling.add(telling)  # the loop itself holds tasks weakly
            telling.add_done_callback(self._telling.discard)

    def _begun(self, parse: Parse, render: Render, body: bytes, start: float) -> Outcome[Predicted]:
        engine = self.engine
        if engine is None:
            raise not_ready()
        loaded = engine.loaded
        return engine.begin(
            partial(parse, body, loaded.signature),
            self._renders.get(render) or self._rendering(render, loaded.version),
            size=len(body),
            start=start,
        )

    def _rendering(self, render: Render, version: str | None) -> Callable[[Mapping[str, Array], Request], Predicted]:
        """What the engine is to do with the outputs; made once for each protocol."""
        made = rendering(render, name=self.options.name, version=version, feedback=self.feedback)
        self._renders[render] = made
        return made

    async def _later(
        self,
        protocol: str,
        start: float,
        outcome: Coroutine[Any, Any, tuple[Predicted, int]],
        tell: Tell,
        pair: bytes | None,
    ) -> Answer:
        try:
            finished = await outcome
        except asyncio.CancelledError:
            self.in_flight -= 1
            self.metrics.count(protocol, CLIENT_CLOSED_REQUEST)
            raise
        except Exception as error:  # noqa: BLE001 all errors end in _failed
            return self._done(protocol, start, tell(self._failed(protocol, error)))
        return self._answered(protocol, start, finished, pair)

    def _answered(self, protocol: str, start: float, finished: tuple[Predicted, int], pair: bytes | None) -> Answer:
        (answer, outputs, batch), rows = finished
        self.metrics.rows(protocol, rows)
        try:
            if self._observer is not None:
                self._observer.take(outputs, batch.wanted, pair)
            if self._inputs is not None:
                self._inputs.take(batch, start)
            if self.feedback is not None:
                self.feedback.keep_up()
        except Exception:  # noqa: BLE001 an answer that is there is given, whatever becomes of counting it
            self._log.exception("answer_not_counted", protocol=protocol)
        return self._done(protocol, start, answer)

    def _done(self, protocol: str, start: float, answer: Answer) -> Answer:
        self.in_flight -= 1
        self.metrics.predicted(protocol, time.perf_counter() - start)
        self.metrics.count(protocol, answer.status)
        return answer

    def _failed(self, protocol: str, error: Exception) -> RequestError:
        """The one place for what went wrong: what was foreseen, the model's errors, and ours."""
        if isinstance(error, RequestError):
            if self._inputs is not None and isinstance(error, InvalidInputError):
                self._inputs.refuse()
            return error
        self._log.error("prediction_failed", protocol=protocol, error=type(error).__name__, exc_info=error)
        return RequestError(500, f"the model failed on this request: {_first_line(error)}")

    def _metrics(self, version: str | None) -> Metrics:
        options = self.options
        return Metrics(
            model=options.name,
            version=version or "",
            revision=options.revision,
            in_flight=lambda: self.in_flight,
            tally=self._tally,
            worker=self._worker,
        )


def not_ready() -> RequestError:
    """What is told while there is no model yet."""
    return RequestError(503, "the model is still being loaded; try again", headers={"retry-after": "1"})


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0][:200]}" if text else type(error).__name__
