"""One HTTP request and its answer, as the connection hands them to the application and back.

Not ASGI: there a body is awaited and an answer is sent in two messages, which makes a task of every request. Here both
are values, so a small prediction is a plain function call (docs/performance-server.md has the difference in figures).
"""

from collections.abc import Coroutine, Mapping
from typing import Any, Final, Protocol

from modelway.server.errors import RequestError
from modelway.server.turn import Soon

JSON: Final = b"application/json"


class HttpRequest:
    """A request that was read to its end.

    Args:
        method: in capitals.
        path: decoded, without the query.
        query: what follows the `?`, as it was sent.
        headers: names in small letters, in the order in which they were sent.
        body: all of it, decoded from chunks; empty where there was none.
        start: when its headers were complete, `time.perf_counter()`.

    """

    __slots__ = ("body", "headers", "method", "path", "query", "start")

    def __init__(
        self, method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes, start: float
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.start = start

    def header(self, name: bytes) -> bytes | None:
        """The first header of this name (small letters), or None."""
        for own, value in self.headers:
            if own == name:
                return value
        return None


class Answer:
    """A status and a body. `connection: close` among the headers ends the connection after it."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        status: int,
        body: bytes,
        *,
        content_type: bytes = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers


Reply = Answer | Soon[Answer] | Coroutine[Any, Any, Answer]
"""An answer: now, before this turn of the event loop is over, or later."""


class Application(Protocol):
    """Who answers. Neither function raises."""

    def respond(self, request: HttpRequest) -> Reply:
        """Answer at once, or give what to wait for. A coroutine is cancelled when the client hangs up."""

    def refuse(self, error: RequestError) -> Answer:
        """The answer to what could not be read as a request."""
