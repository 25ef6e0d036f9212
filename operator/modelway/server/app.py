"""The ASGI application: which request goes where, and what becomes of whatever goes wrong.

Invariants: every request gets exactly one answer; errors are JSON with one sentence; nothing of Python's shows outside;
the event loop does not run a model that is not known to be fast, nor decode a large body (`engine`). Raw ASGI, because
a framework's routing and dependency injection cost more than the model: see docs/model-server.md for the figures.
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
from modelway.server.engine import Engine
from modelway.server.errors import RequestError
from modelway.server.loading import Loaded
from modelway.server.metrics import CONTENT_TYPE, Metrics
from modelway.server.options import ServerOptions
from modelway.server.reading import read_body
from modelway.server.wire import Wire

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[], "Answer"]

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
        self.engine: Engine | None = None
        self.metrics = self._metrics(options.version)
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
        options = self.options
        self.engine = Engine(loaded, concurrency=options.concurrency, queue=options.queue, timeout=options.timeout)
        if loaded.version != options.version:
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
        engine = self.engine
        if engine is None:
            raise _not_ready()
        loaded = engine.loaded
        return await engine.answer(
            partial(wire.parse, body, loaded.model),
            partial(wire.render, name=options.name, version=loaded.version),
            size=len(body),
            start=start,
        )

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
        if self.engine is None:
            return _error(_not_ready())
        loaded = self.engine.loaded
        return Answer(200, v2.metadata(loaded.model, name=self.options.name, version=loaded.version))

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
