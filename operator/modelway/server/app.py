"""The application: which HTTP request goes where.

No framework, because its routing and dependency injection cost more than the model: see docs/performance-server.md for
the figures. What becomes of predictions is `service`'s; what is said about the model stands in `descriptions`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from modelway import __version__
from modelway.api import observations as contract
from modelway.api.names import HEADER_PAIR
from modelway.server import body as json_body
from modelway.server import descriptions, observations, observed_document, v1, v2
from modelway.server.errors import InvalidInputError, RequestError
from modelway.server.exchange import Answer, HttpRequest, Reply
from modelway.server.feedback import Feedback
from modelway.server.loading import Loaded
from modelway.server.media import parser
from modelway.server.metrics import CONTENT_TYPE
from modelway.server.options import ServerOptions
from modelway.server.service import Phase, Service, not_ready
from modelway.server.tally import Tally

if TYPE_CHECKING:
    from modelway.server.rendering import Render

Handler = Callable[[HttpRequest], Answer]

_PAIR: Final = (HEADER_PAIR.encode(), b"1")
_NO_LABELS: Final = "labels are not taken here: this server was started without --feedback-keys"
_LONGEST_TIME: Final = 12  # digits of seconds
_STATES: Final = {Phase.LOADING: "LOADING", Phase.READY: "AVAILABLE", Phase.DRAINING: "UNLOADING"}


class App(Service):
    """One model behind V1 and V2; and behind the paths of MLflow's scoring server, which SageMaker asks too."""

    def __init__(self, options: ServerOptions, *, tally: Tally | None = None, worker: int = 0) -> None:
        super().__init__(options, tally=tally, worker=worker)
        self._predict: dict[str, tuple[str, Render]] = {}
        self._get: dict[str, Handler] = {}
        self._post: dict[str, Handler] = {}
        self._labels: frozenset[str] = frozenset()
        self._page: Answer | None = None
        self._openapi: Answer | None = None
        self._route()

    def serve(self, loaded: Loaded) -> None:
        """Begin to answer predictions."""
        super().serve(loaded)
        self._route()

    def respond(self, request: HttpRequest) -> Reply:
        """Answer a request, or give what to wait for."""
        route = self._predict.get(request.path)
        if route is None or request.method != "POST":
            if request.method == "POST" and request.path in self._labels and self.feedback is not None:
                return self._labelled(self.feedback, request)
            return self._other(request)
        protocol, render = route
        try:
            parse = parser(protocol, request.headers)
        except RequestError as error:
            self.metrics.count(protocol, error.status)
            return _error(error)
        pair = request.header(b"x-request-id") if _PAIR in request.headers else None
        return self.begin(protocol, parse, render, body=request.body, start=request.start, tell=_error, pair=pair)

    def refuse(self, error: RequestError) -> Answer:
        """Answer what is no request."""
        self.metrics.count("other", error.status)
        return _error(error)

    def _route(self) -> None:
        """Make the tables; again when the model's version is known, which stands in some paths."""
        name, version = self.options.name, self.version
        self._get = {
            "/": self._home,
            "/openapi.json": self._document,
            "/v1/models": lambda _: _json({"models": [name]}),
            "/v2": self._v2_server,
            "/v2/health/live": lambda _: _json({"live": self.is_alive}, ok=self.is_alive),
            "/v2/health/ready": self._ready,
            "/ping": self._ready,
            "/health": self._ready,
            "/v2/models": lambda _: _json({"models": [name]}),
            "/metrics": self._metrics_text,
        }
        if self.options.observe or self.feedback is not None:
            self._get[contract.PATH] = self._observations
        self._post = {"/v2/repository/index": self._index}
        for action in ("load", "unload"):
            self._post[f"/v2/repository/models/{name}/{action}"] = _no_repository
        self._labels = frozenset({f"/v1/models/{name}/feedback"} if self.feedback is not None else ())
        self._predict = {"/invocations": ("v1", v1.render_as_mlflow)}
        for suffix in ("", f"/versions/{version}") if version else ("",):
            self._get[f"/v1/models/{name}{suffix}"] = self._v1_status
            self._get[f"/v1/models/{name}{suffix}/metadata"] = self._v1_metadata
            self._get[f"/v2/models/{name}{suffix}"] = self._v2_metadata
            self._get[f"/v2/models/{name}{suffix}/ready"] = self._v2_ready
            self._predict[f"/v1/models/{name}{suffix}:predict"] = "v1", v1.render
            self._predict[f"/v2/models/{name}{suffix}/infer"] = "v2", v2.render
            for call in ("classify", "regress"):
                self._post[f"/v1/models/{name}{suffix}:{call}"] = _no_examples

    def _other(self, request: HttpRequest) -> Answer:
        """Everything that is no prediction."""
        path, method = request.path, request.method
        handler = self._get.get(path) if method in {"GET", "HEAD"} else self._post.get(path)
        try:
            answer = self._handled(handler, method, path, request)
        except RequestError as error:
            answer = _error(error)
        if answer.status != 200:
            self.metrics.count("other", answer.status)
        return answer

    def _handled(self, handler: Handler | None, method: str, path: str, request: HttpRequest) -> Answer:
        if handler is not None and method in {"GET", "HEAD", "POST"}:
            return handler(request)
        if path in self._get or path in self._post or path in self._predict or path in self._labels:
            allowed = "GET, HEAD" if path in self._get else "POST"
            raise RequestError(405, f"{method} is not allowed here; use {allowed}", headers={"allow": allowed})
        raise RequestError(404, self._no_such_path(path))

    def _no_such_path(self, path: str) -> str:
        if path == contract.PATH:
            return "answers are not counted here: this server was started with --no-observe"
        name = self.options.name
        for prefix in ("/v1/models/", "/v2/models/", "/v2/repository/models/"):
            if not path.startswith(prefix):
                continue
            rest = path.removeprefix(prefix)
            if not rest.startswith((f"{name}/", f"{name}:")):
                model = rest.partition("/")[0].partition(":")[0]
                return f'model "{model[:80]}" is not served here; this server has "{name}"'
            kind, _, asked = rest[len(name) + 1 :].partition("/")
            if kind == "feedback":
                return _NO_LABELS
            asked = asked.partition(":")[0].partition("/")[0]
            if kind == "labels":
                return f'there are no labels here; leave "/labels/{asked[:80]}" out'
            if kind == "versions" and asked != self.version:
                own = f'this server has version "{self.version}"' if self.version else "this server's has no version"
                return f"Servable not found for request: Specific({name}, {asked[:80]}); {own}"
        return f"there is nothing at {path[:200]}"

    # What people and tools look at is made when the first of them does: it would be a thirtieth of every start.

    def _home(self, request: HttpRequest) -> Answer:
        from modelway.server import page  # noqa: PLC0415 see above

        if not page.is_wanted(request.header(b"accept")):
            raise RequestError(404, self._no_such_path(request.path))
        if self._page is None:
            self._page = page.render(self.loaded, self.options.name)
        return self._page

    def _document(self, _request: HttpRequest) -> Answer:
        from modelway.server import openapi  # noqa: PLC0415 see above

        if self._openapi is None:
            options = self.options
            self._openapi = _json(
                openapi.document(
                    self.loaded.signature,
                    options.name,
                    self.version,
                    observe=options.observe,
                    feedback=self.feedback is not None,
                )
            )
        return self._openapi

    def _v1_status(self, _request: HttpRequest) -> Answer:
        status = descriptions.v1_status(
            name=self.options.name, version=self.version, ready=self.is_ready, state=_STATES[self.phase]
        )
        return _json(status, ok=self.is_ready)

    def _v1_metadata(self, _request: HttpRequest) -> Answer:
        return _json(descriptions.v1_metadata(self.loaded.signature, name=self.options.name, version=self.version))

    def _v2_server(self, _request: HttpRequest) -> Answer:
        extensions = list(descriptions.SERVER_EXTENSIONS)
        return _json({"name": "modelway", "version": __version__, "extensions": extensions})

    def _v2_metadata(self, _request: HttpRequest) -> Answer:
        return _json(descriptions.v2_metadata(self.loaded.model, name=self.options.name, version=self.version))

    def _ready(self, _request: HttpRequest) -> Answer:
        return _json({"ready": self.is_ready}, ok=self.is_ready)

    def _v2_ready(self, _request: HttpRequest) -> Answer:
        return _json({"name": self.options.name, "ready": self.is_ready}, ok=self.is_ready)

    def _observations(self, request: HttpRequest) -> Answer:
        self.settle()
        query = dict(parse_qsl(request.query.decode("latin-1"), keep_blank_values=True))
        asked, since = query.get("of", "answers"), query.get("since", "0")
        if not (since.isascii() and since.isdigit() and len(since) <= _LONGEST_TIME):
            raise InvalidInputError(f"since: expected Unix time in whole seconds, got {since[:80]!r}")
        accepted = request.header(b"accept-encoding")
        if asked == "quality":
            return observed_document.packed(self._quality(float(since)), accepted)
        if not self.options.observe:
            raise RequestError(404, self._no_such_path(contract.PATH))
        if asked != "answers":
            return self._observed(asked, accepted)
        body = observations.render(
            self._tally.answers,
            model=self.options.name,
            version=self.version,
            revision=self.options.revision,
            reference={} if self.engine is None else self.loaded.reference,
        )
        return Answer(200, body)

    def _quality(self, since: float) -> bytes:
        if self.feedback is None:
            raise RequestError(404, _NO_LABELS)
        return self.feedback.document(epoch=self._tally.answers.epoch, version=self.version, since=since)

    def _observed(self, asked: str, accepted: bytes | None) -> Answer:
        if asked not in observed_document.ASKED_FOR:
            raise InvalidInputError(f"of: expected {', '.join(observed_document.ASKED_FOR)}, got {asked[:80]!r}")
        layout, options = self.layout, self.options
        if layout is None:
            raise not_ready()
        if asked == "reference":
            return observed_document.packed(observed_document.render_reference(layout, self.loaded.usual), accepted)
        body = observed_document.render_inputs(
            self._tally,
            layout,
            model=options.name,
            version=self.version,
            revision=options.revision,
            share=options.observe_share,
        )
        return observed_document.packed(body, accepted)

    async def _labelled(self, feedback: Feedback, request: HttpRequest) -> Answer:
        """Labels of predictions; however long that takes, others are answered in between."""
        try:
            taken = await feedback.take(request.body, request.header(b"content-type") or b"")
        except RequestError as error:
            self.metrics.count("other", error.status)
            return _error(error)
        return _json(taken)

    def _metrics_text(self, _request: HttpRequest) -> Answer:
        self.settle()
        return Answer(200, self.metrics.render(), content_type=CONTENT_TYPE)

    def _index(self, request: HttpRequest) -> Answer:
        only_ready = json_body.read_object(request.body).get("ready", False) if request.body.strip() else False
        if not isinstance(only_ready, bool):
            raise InvalidInputError("ready: expected true or false")
        entry = descriptions.v2_index(name=self.options.name, version=self.version, ready=self.is_ready)
        return _json([entry] if self.is_ready or not only_ready else [])


def _no_repository(_request: HttpRequest) -> Answer:
    raise RequestError(
        501,
        "this server has one model for its whole life; a new one comes with new pods (kubectl apply) or a new process",
    )


def _no_examples(request: HttpRequest) -> Answer:
    path, _, call = request.path.rpartition(":")
    raise RequestError(501, f'"{call}" takes tf.Examples, which this server does not read; send rows to {path}:predict')


def _json(value: object, *, ok: bool = True) -> Answer:
    return Answer(200 if ok else 503, json_body.write(value))


def _error(error: RequestError) -> Answer:
    return Answer(error.status, json_body.write({"error": error.message}), headers=error.headers)
