"""A web server with a private certificate authority, that can be told to misbehave."""

import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme


@dataclass(slots=True)
class File:
    """A file to serve, and how.

    Args:
        content: its bytes.
        ranges: whether ranges are honoured.
        cuts: bytes after which the n-th answer breaks off.
        statuses: what the n-th answers are instead of 200.
        authorization: the header that is asked for.
        redirect: where to send the client instead.
        headers: further response headers.
        asked: the Range headers that came, None for a request without one.

    """

    content: bytes = b""
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    authorization: str | None = None
    redirect: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str | None] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class HttpsServer:
    """A running server; `files` maps paths to what is served there."""

    port: int
    ca_pem: str
    files: dict[str, File]

    def url(self, path: str) -> str:
        return f"https://localhost:{self.port}{path}"


@contextlib.contextmanager
def https_server() -> Iterator[HttpsServer]:
    """Start a server on loopback; ends with the block."""
    files: dict[str, File] = {}
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(files))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield HttpsServer(server.server_address[1], authority.cert_pem.bytes().decode(), files)
    finally:
        server.shutdown()
        server.server_close()


def _handler(files: dict[str, File]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            file = files.get(self.path.partition("?")[0])
            if file is None:
                self._status(404)
                return
            asked = self.headers.get("range")
            file.asked.append(asked)
            file.authorizations.append(self.headers.get("authorization"))
            if file.statuses and (status := file.statuses.pop(0)) != 200:
                self._status(status)
            elif file.authorization is not None and self.headers.get("authorization") != file.authorization:
                self._status(401)
            elif file.redirect is not None:
                self._status(302, location=file.redirect)
            else:
                self._send(file, asked if file.ranges else None)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.do_GET()

        def _send(self, file: File, asked: str | None) -> None:
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            body = file.content[start:]
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("content-range", f"bytes {start}-{len(file.content) - 1}/{len(file.content)}")
            for name, value in {"content-length": str(len(body)), **file.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if file.cuts:
                body = body[: file.cuts.pop(0)]
                self.close_connection = True
            self.wfile.write(body)

        def _status(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"content-length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

    return Handler
