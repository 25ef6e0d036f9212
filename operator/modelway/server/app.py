"""The ASGI application: which request goes where, and what becomes of whatever goes wrong.

Invariants: every request gets exactly one answer; errors are JSON with one sentence; nothing of Python's shows outside;
the event loop does not run a model that is not known to be fast (`pace`) nor decode a large body. Raw ASGI, because a
framework's routing and dependency injection cost more than the model: see docs/model-server.md for the figures.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Any, Final

import structlog

from modelway import __version__
from modelway.server import body as json_body
from modelway.server import v1, v2
from modelway.server.errors import RequestError
from modelway.server.loading import Loaded
from modelway.server.metrics import CONTENT_TYPE, Metrics
from modelway.server.options import ServerOptions
from modelway.server.pace import Pace
from modelway.server.pool import Pool
from modelway.server.reading import read_body
from modelway.server.wire import Request, Wire

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[], "Answer"]

# A body up to this size is decoded on the event loop (about 0.3 ms); a larger one in a thread, with its prediction.
INLINE_BODY: Final = 64 * 1024
_JSON: Final = b"application/json"
_WIRES: Final[Mapping[str, Wire]] = {"v1": v1, "v2": v2}


class Phase(StrEnum):
    """Where the server is in its life."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"


class Answer:
    """A status and a body."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self, status: int, body: bytes, *, content_type: bytes = _JSON, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers or {}


class App:
    """One model behind two protocols."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.phase = Phase.LOADING
        self.in_flight = 0
        self.loaded: Loaded | None = None
        self.pool = Pool(concurrency=options.concurrency, queue=options.queue, timeout=options.timeout)
        self.metrics = self._metrics(options.version)
        self._pace: Pace | None = None
        self._log = structlog.get_logger()
        name = options.name
        self._get: dict[str, Handler] = {
            "/v1/models": lambda: _json(200, {"models": [name]}),
            f"/v1/models/{name}": self._v1_model,
            "/v2": self._v2_server,
            "/v2/health/live": lambda: _json(200, {"live": True}),
            "/v2/health/ready": lambda: _json(200 if self.is_ready else 503, {"ready": self.is_ready}),
            f"/v2/models/{name}": self._v2_model,
            f"/v2/models/{name}/ready": self._v2_model_ready,
            "/metrics": lambda: Answer(200, self.metrics.render(), content_type=CONTENT_TYPE),
        }
        self._post = {f"/v1/models/{name}:predict": "v1", f"/v2/models/{name}/infer": "v2"}

    @property
    def is_ready(self) -> bool:
        """Whether new traffic is welcome."""
        return self.phase is Phase.READY

    def serve(self, loaded: Loaded) -> None:
        """Begin to answer predictions."""
        self.loaded = loaded
        self._pace = Pace(loaded.cost)
        if loaded.version != self.options.version:
            self.metrics = self._metrics(loaded.version)
        self.metrics.loaded(format_name=loaded.format, platform=loaded.model.platform, seconds=loaded.seconds)
        self.phase = Phase.READY

    def drain(self) -> None:
        """Go on answering, and ask every client to connect anew elsewhere."""
        self.phase = Phase.DRAINING

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        protocol = self._post.get(scope["path"])
        if protocol is None or scope["method"] != "POST":
            answer = self._other(scope)
        else:
            start = time.perf_counter()
            self.in_flight += 1
            try:
                answer = await self._predict(protocol, scope, receive, start)
            finally:
                self.in_flight -= 1
            self.metrics.predicted(protocol, time.perf_counter() - start)
            self.metrics.count(protocol, answer.status)
        headers = [
            (b"content-type", answer.content_type),
            (b"content-length", str(len(answer.body)).encode()),
            *((name.encode(), value.encode()) for name, value in answer.headers.items()),
        ]
        if self.phase is Phase.DRAINING:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _predict(self, protocol: str, scope: Scope, receive: Receive, start: float) -> Answer:
        try:
            answer, rows = await self._computed(_WIRES[protocol], scope, receive, start)
        except RequestError as error:
            return _error(error)
        except Exception as error:  # noqa: BLE001 the one place for what nobody foresaw: the model's errors, and ours
            self._log.exception("prediction_failed", protocol=protocol, error=type(error).__name__)
            return _error(RequestError(500, f"the model failed on this request: {_first_line(error)}"))
        self.metrics.rows(protocol, rows)
        return Answer(200, answer)

    async def _computed(self, wire: Wire, scope: Scope, receive: Receive, start: float) -> tuple[bytes, int]:
        """The answer and its number of rows."""
        options = self.options
        body = await read_body(scope["headers"], receive, limit=options.max_body, timeout=options.timeout)
        loaded, pace = self.loaded, self._pace
        if loaded is None or pace is None:
            raise _not_ready()
        if len(body) > INLINE_BODY:
            work = partial(self._parsed_and_finished, wire, body, loaded)
        else:
            request = wire.parse(body, loaded.model)
            if pace.allows_inline(request.batch.rows):
                begin = time.perf_counter()
                finished = self._finished(wire, request, loaded)
                pace.note(time.perf_counter() - begin)
                return finished
            work = partial(self._finished, wire, request, loaded)
        return await self.pool.run(work, elapsed=time.perf_counter() - start)

    def _parsed_and_finished(self, wire: Wire, body: bytes, loaded: Loaded) -> tuple[bytes, int]:
        return self._finished(wire, wire.parse(body, loaded.model), loaded)

    def _finished(self, wire: Wire, request: Request, loaded: Loaded) -> tuple[bytes, int]:
        outputs = loaded.model.predict(request.batch)
        answer = wire.render(outputs, request, name=self.options.name, version=loaded.version)
        return answer, request.batch.rows

    def _other(self, scope: Scope) -> Answer:
        """Everything that is no prediction."""
        path, method = scope["path"], scope["method"]
        handler = self._get.get(path)
        if handler is not None and method in {"GET", "HEAD"}:
            answer = handler()
        elif handler is not None or path in self._post:
            allowed = "GET, HEAD" if handler is not None else "POST"
            answer = _error(
                RequestError(405, f"{method} is not allowed here; use {allowed}", headers={"allow": allowed})
            )
        else:
            answer = _error(RequestError(404, self._no_such_path(path)))
        if answer.status != 200:
            self.metrics.count("other", answer.status)
        return answer

    def _no_such_path(self, path: str) -> str:
        for prefix in ("/v1/models/", "/v2/models/"):
            if path.startswith(prefix):
                model = path.removeprefix(prefix).partition("/")[0].partition(":")[0]
                if model != self.options.name:
                    return f'model "{model[:80]}" is not served here; this server has "{self.options.name}"'
        return f"there is nothing at {path[:200]}"

    def _v1_model(self) -> Answer:
        return _json(200 if self.is_ready else 503, {"name": self.options.name, "ready": self.is_ready})

    def _v2_model_ready(self) -> Answer:
        return _json(200 if self.is_ready else 503, {"name": self.options.name, "ready": self.is_ready})

    def _v2_server(self) -> Answer:
        return _json(200, {"name": "modelway", "version": __version__, "extensions": list(v2.SERVER_EXTENSIONS)})

    def _v2_model(self) -> Answer:
        if self.loaded is None:
            return _error(_not_ready())
        return Answer(200, v2.metadata(self.loaded.model, name=self.options.name, version=self.loaded.version))

    def _metrics(self, version: str | None) -> Metrics:
        options = self.options
        return Metrics(
            model=options.name, version=version or "", revision=options.revision, in_flight=lambda: self.in_flight
        )


def _not_ready() -> RequestError:
    return RequestError(503, "the model is still being loaded; try again", headers={"retry-after": "1"})


def _json(status: int, value: object) -> Answer:
    return Answer(status, json_body.write(value))


def _error(error: RequestError) -> Answer:
    return Answer(error.status, json_body.write({"error": error.message}), headers=error.headers)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0][:200]}" if text else type(error).__name__
