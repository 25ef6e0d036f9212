"""All connections of one process: how many there may be, and how they end.

Invariant: while the site drains it goes on accepting and answering, and asks every client to connect anew elsewhere;
`close` ends idle connections at once and the others with their answer.
"""

import asyncio
import socket
import time
from email.utils import formatdate
from typing import Final

from modelway.server.connection import Connection
from modelway.server.errors import RequestError
from modelway.server.exchange import Answer, Application
from modelway.server.reading import Limits, Room
from modelway.server.tally import CLOSED, Region, Tally

_TICK: Final = 1.0  # seconds: the date's resolution, and how often idle connections are looked at


class Site:
    """The HTTP side of one process. Lives on one event loop."""

    def __init__(
        self, app: Application, limits: Limits, *, loop: asyncio.AbstractEventLoop, region: Region | None = None
    ) -> None:
        self.app = app
        self.limits = limits
        self.loop = loop
        self.room = Room(limits.in_flight)
        self.is_draining = False
        self.date_line = b""
        self._connections: set[Connection] = set()
        self._empty: asyncio.Future[None] = loop.create_future()
        self._server: asyncio.Server | None = None
        self._timer = loop.call_soon(self._tick)
        self._is_closing = False
        self._region = region or Tally().region(0)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    async def listen(self, listener: socket.socket) -> None:
        """Accept on a listening socket."""
        self._server = await self.loop.create_server(lambda: Connection(self), sock=listener)

    async def adopt(self, accepted: socket.socket) -> None:
        """Take a connection that somebody else accepted."""
        await self.loop.connect_accepted_socket(lambda: Connection(self), accepted)

    def drain(self) -> None:
        """Ask every client to go elsewhere with its next request."""
        self.is_draining = True

    async def close(self, *, within: float) -> bool:
        """Accept no more; answer what is being asked, for at most so many seconds. Tells whether all got answers."""
        self.is_draining = self._is_closing = True
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            if connection.is_idle:
                connection.close()
        try:
            if self._connections:
                async with asyncio.timeout(within):
                    await self._empty
        except TimeoutError:
            return False
        finally:
            self._timer.cancel()
        return True

    # What connections call.

    def enter(self, connection: Connection) -> Answer | None:
        """Count a new connection; gives the answer with which to close it where there are too many."""
        refusal = None
        if len(self._connections) >= self.limits.connections and not self._close_longest_idle():
            error = RequestError(503, "overloaded: too many connections; try again", headers={"retry-after": "1"})
            refusal = self.app.refuse(error)
        self._connections.add(connection)
        return refusal

    def leave(self, connection: Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        self._region.fields[CLOSED] += 1.0
        if self._is_closing and not self._connections and not self._empty.done():
            self._empty.set_result(None)

    def _close_longest_idle(self) -> bool:
        idle = [connection for connection in self._connections if connection.is_idle]
        if not idle:
            return False
        min(idle, key=lambda connection: connection.idle_since).close()
        return True

    def _tick(self) -> None:
        self.date_line = b"date: %b\r\n" % formatdate(time.time(), usegmt=True).encode()
        limit = time.perf_counter() - self.limits.keep_alive
        for connection in [one for one in self._connections if one.idle_since < limit]:
            if connection.is_idle:
                connection.close()
        self._timer = self.loop.call_later(_TICK, self._tick)
