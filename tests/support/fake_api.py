"""A server that answers as a test says, line by line: for what no real API server does on demand."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

from modelway.kube.client import Client
from modelway.kube.connection import Connection, Credentials
from support.web_server import answering

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeApi:
    """Answers the next request with the next of `answers`, and goes on with the last one."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[web.Request] = []
        self.asked = asyncio.Condition()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
        async with self.asked:
            self.requests.append(request)
            self.asked.notify_all()
        return await answer(request)

    async def has_been_asked(self, times: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(10), self.asked:
            await self.asked.wait_for(lambda: len(self.requests) >= times)

    @property
    def kinds(self) -> list[str]:
        """What was asked so far: `list` or `watch` and the resourceVersion that it went on from."""
        return [
            f"watch {request.query['resourceVersion']}" if "watch" in request.query else "list"
            for request in self.requests
        ]


@asynccontextmanager
async def serving(api: FakeApi) -> AsyncIterator[Connection]:
    """A connection to `api`, which listens on loopback."""
    async with answering(api.handle) as server:
        yield Connection(
            f"http://127.0.0.1:{server.port}",
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            Credentials({"Authorization": "me"}),
        )


@asynccontextmanager
async def client_of(api: FakeApi, **more: Any) -> AsyncIterator[Client]:
    """A client of `api`."""
    async with serving(api) as connection:
        client = Client(connection, **more)
        try:
            yield client
        finally:
            await client.close()


def says(body: Any, *, code: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """A whole answer."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        return web.Response(body=data, status=code, headers=headers)

    return answer


def listing(*objects: Any, version: int = 1, more: str = "") -> Answer:
    """A list, or a page of one."""
    metadata = {"resourceVersion": str(version)} | ({"continue": more} if more else {})
    return says({"kind": "List", "metadata": metadata, "items": list(objects)})


def streams(*chunks: bytes, then: str = "ends") -> Answer:
    """A watch that sends `chunks` and then `ends`, `hangs` (until the client goes) or is `reset`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0)
        if then == "hangs":
            await asyncio.sleep(3600)
        if then == "reset":
            assert request.transport is not None
            request.transport.abort()
        return response

    return answer


def event(kind: str, obj: Any) -> bytes:
    """One line of a watch."""
    return orjson.dumps({"type": kind, "object": obj}) + b"\n"


def failure(code: int, reason: str = "Reason", message: str = "message") -> Any:
    """A `metav1.Status` that tells of a failure."""
    return {"kind": "Status", "code": code, "reason": reason, "message": message}
