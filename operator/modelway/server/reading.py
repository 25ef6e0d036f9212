"""From the bytes of one connection to requests, with limits for everything that a client decides the size of.

HTTP/1.1 is parsed by llhttp, through httptools; here stand the limits, which it has none of: the head (431), the body
(413), and the bytes of all requests that are in flight on all connections (503).
"""

import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

import httptools

from modelway.server.errors import RequestError
from modelway.server.exchange import HttpRequest

# A client that sends too much learns it only when it stops writing and reads. So as much again is read and thrown away
# before the answer; beyond that the answer comes at once and the connection ends.
_PATIENCE: Final = 2
_EACH_HEADER: Final = 32  # bytes that a header costs beside its own
_CLOSE: Final = {"connection": "close"}
_OFFER: Final = {b"connection", b"upgrade", b"http2-settings"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask for.

    Args:
        head: bytes of a request's line and headers.
        body: bytes of a request's body.
        in_flight: bytes of the bodies of all requests that are being read or answered.
        timeout: seconds from a request's first byte to its last, and in which a full answer must be taken off.
        keep_alive: seconds that a connection may be idle.
        connections: open at once; further ones are told so and closed.

    """

    head: int = 64 * 1024
    body: int = 16 * 2**20
    in_flight: int = 256 * 2**20
    timeout: float = 5.0
    keep_alive: float = 3700.0
    connections: int = 4096


class Room:
    """How many bytes of requests are in memory, on all connections."""

    __slots__ = ("_limit", "taken")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken = 0

    def take(self, size: int) -> bool:
        """Take room for so many bytes; False when there is none."""
        if self.taken + size > self._limit:
            return False
        self.taken += size
        return True

    def give(self, size: int) -> None:
        """Give it back."""
        self.taken -= size


class Reader:
    """The requests of one connection; `feed` it what arrives and take what is in `requests`.

    Each comes with whether its client keeps the connection open; instead of one that is too large, but was read to its
    end, comes the error. Whoever takes a request gives the room of its body back when it is answered.
    """

    __slots__ = (
        "_body", "_expects", "_head", "_headers", "_limits", "_parser", "_path", "_query", "_room", "_size", "_start",
        "_url", "is_within", "requests",
    )  # fmt: skip

    def __init__(self, limits: Limits, room: Room) -> None:
        self._limits = limits
        self._room = room
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes]
        self._expects: bool
        self.requests: list[tuple[HttpRequest | RequestError, bool]] = []
        self.is_within = False  # a request: its line has begun to come and its end has not
        self._clear()

    def feed(self, data: bytes) -> None:
        """Read. Raises RequestError when this cannot be, or must not become, a request; nothing may be fed after it."""
        was_in_head = self._is_in_head
        rest = data
        while rest:
            rest = self._parse(rest)
        # Of a head that does not end the parser tells little, but keeps it.
        if was_in_head and self._is_in_head:
            self._head += len(data)
            if self._head > self._limits.head:
                raise _head_too_large(self._limits.head)

    def _parse(self, data: bytes) -> bytes:
        """Parse, as far as the first offer of another protocol; returns what is to be parsed after that."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._decline(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, RequestError):
                raise error.__context__ from None
            raise RequestError(400, f"this is not HTTP/1.1: {error}", headers=_CLOSE) from None
        return b""

    @property
    def _is_in_head(self) -> bool:
        return self.is_within and self._path is None

    def _decline(self, rest: bytes) -> bytes:
        """Answer an offer of another protocol in HTTP/1.1, as if it had not been made.

        Java's client offers HTTP/2 with its first request. The parser then reads no body, so where there is one it gets
        the request once more, without the offer. Returns what is to be parsed next.
        """
        self._parser = httptools.HttpRequestParser(self)
        request, _ = self.requests[-1]
        if isinstance(request, HttpRequest) and request.method == "CONNECT":  # an offer whatever its headers say
            self.requests.pop()
            allowed = {"allow": "GET, HEAD, POST"}
            raise RequestError(405, "CONNECT is not allowed here: this is no proxy", headers=allowed | _CLOSE)
        names = {name for name, _ in request.headers} if isinstance(request, HttpRequest) else set()
        if isinstance(request, HttpRequest) and names & {b"content-length", b"transfer-encoding"}:
            self.requests.pop()
            lines = [b"%b: %b" % header for header in request.headers if header[0] not in _OFFER]
            target = quote(request.path).encode() + (b"?" + request.query if request.query else b"")
            rest = b"\r\n".join([b"%b %b HTTP/1.1" % (request.method.encode(), target), *lines, b"", rest])
        return rest

    def must_continue(self) -> bool:
        """Whether the client waits to be told that it may send the body. Says so once."""
        if not self._expects or self._path is None:
            return False
        self._expects = False
        return not self._size

    def close(self) -> None:
        """Give back what is held. Breaks the cycle with the parser."""
        self._drop_body()
        del self._parser

    def _drop_body(self) -> None:
        self._room.give(sum(len(part) for part in self._body))
        self._body = []

    def _clear(self) -> None:
        self._url = b""
        self._path: str | None = None
        self._query = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = []
        self._head = 0
        self._size = 0
        self._expects = False
        self._start = 0.0

    # What the parser calls. What is raised here leaves `feed_data` as the context of its own error.

    def on_url(self, url: bytes) -> None:
        self.is_within = True
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._start = time.perf_counter()
        size = len(self._url)
        for name, value in self._headers:
            size += len(name) + len(value) + _EACH_HEADER
            if name == b"content-length" and int(value) > self._limits.body * _PATIENCE:
                raise _too_large(self._limits.body, close=True)
            if name == b"expect" and value.lower() == b"100-continue":
                self._expects = True
        if size > self._limits.head:
            raise _head_too_large(self._limits.head)
        path, _, self._query = self._url.partition(b"?")
        if b"://" in path:  # a proxy's absolute form
            path = httptools.parse_url(self._url).path or b"/"
        text = path.decode("latin-1")
        self._path = unquote(text) if "%" in text else text

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        limit = self._limits.body
        if self._size > limit:
            self._drop_body()
            if self._size > limit * _PATIENCE:
                raise _too_large(limit, close=True)
        elif self._room.take(len(body)):
            self._body.append(body)
        else:
            raise RequestError(
                503,
                "overloaded: the requests in flight hold too much memory; try again",
                headers={"retry-after": "1"} | _CLOSE,
            )

    def on_message_complete(self) -> None:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        parser = self._parser
        request: HttpRequest | RequestError = HttpRequest(
            parser.get_method().decode(), self._path or "/", self._query, self._headers, body, self._start
        )
        if self._size > self._limits.body:
            request = _too_large(self._limits.body, close=False)
        self.requests.append((request, parser.should_keep_alive() and parser.get_http_version() == "1.1"))
        self.is_within = False
        self._clear()


def _head_too_large(limit: int) -> RequestError:
    return RequestError(431, f"the request's line and headers are larger than {limit} bytes", headers=_CLOSE)


def _too_large(limit: int, *, close: bool) -> RequestError:
    return RequestError(
        413,
        f"the request is larger than {limit} bytes; send fewer rows at a time",
        headers=_CLOSE if close else None,
    )
