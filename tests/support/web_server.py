"""A web server on loopback that answers as a test says, and a client for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
from aiohttp import web


class WebServer(NamedTuple):
    """Where it listens, and a session to ask it by; closed with it."""

    port: int
    session: aiohttp.ClientSession


@asynccontextmanager
async def answering(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[WebServer]:
    """A server that answers each request, whatever its method and path, by `handle`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as session:
            yield WebServer(runner.addresses[0][1], session)
    finally:
        await runner.cleanup()
