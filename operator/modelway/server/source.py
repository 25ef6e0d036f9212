"""Where a serving process gets its connections from: its own listening socket, or a supervisor that accepts for it."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable
from typing import Final, Protocol

from modelway.server.site import Site

# One letter each, in datagrams between supervisor and worker.
CONNECTION: Final = b"c"  # here is an accepted connection
LOADED: Final = b"l"  # the worker could serve
BEGIN: Final = b"b"  # all could: serve
_MOST: Final = 16  # connections taken in one turn of the loop


class Source(Protocol):
    """The three moments in a process's life at which it matters where connections come from."""

    async def open(self, site: Site) -> None:
        """Begin to take connections."""

    async def all_loaded(self) -> None:
        """Say that this process could serve, and wait until the others can, too."""

    async def drained(self, asked: "signal.Signals | None", seconds: float) -> None:
        """Wait until nobody sends further connections; `asked` is the signal that ends the process."""


class Listening:
    """A process on its own."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener

    async def open(self, site: Site) -> None:
        await site.listen(self._listener)

    async def all_loaded(self) -> None:
        pass

    async def drained(self, asked: "signal.Signals | None", seconds: float) -> None:
        # Ctrl-C on a workstation: nobody routes to us, there is nothing to wait for.
        if asked is signal.SIGTERM:
            await asyncio.sleep(seconds)


class Adopting:
    """A worker; its supervisor sends it connections, and the end by closing the channel.

    Args:
        channel: the worker's end of a sequence of datagrams, not blocking.
        on_end: called when the supervisor has closed its end, or is gone.

    """

    def __init__(self, channel: socket.socket, on_end: Callable[[], None]) -> None:
        self._channel = channel
        self._on_end = on_end
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._begin: asyncio.Future[None] = loop.create_future()
        self._adopting: set[asyncio.Task[None]] = set()
        self._site: Site

    async def open(self, site: Site) -> None:
        self._site = site
        asyncio.get_running_loop().add_reader(self._channel, self._take)

    async def all_loaded(self) -> None:
        self._channel.send(LOADED)
        await asyncio.wait([self._begin, self._ended], return_when=asyncio.FIRST_COMPLETED)

    async def drained(self, asked: "signal.Signals | None", seconds: float) -> None:
        del asked, seconds  # the supervisor's to know
        await asyncio.wait([self._ended])
        await asyncio.gather(*self._adopting)

    def _take(self) -> None:
        for _ in range(_MOST):
            try:
                word, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
            except BlockingIOError:
                return
            except OSError:
                word, descriptors = b"", []
            for descriptor in descriptors:
                self._adopt(socket.socket(fileno=descriptor))
            if word == BEGIN and not self._begin.done():
                self._begin.set_result(None)
            elif not word:
                loop = asyncio.get_running_loop()
                loop.remove_reader(self._channel)
                self._ended.set_result(None)
                self._on_end()
                return

    def _adopt(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)

        async def adopt() -> None:
            with contextlib.suppress(OSError):  # the client is gone already
                await self._site.adopt(accepted)

        task = asyncio.get_running_loop().create_task(adopt())
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)
