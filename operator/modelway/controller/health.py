"""/livez, /readyz and /metrics of the operator.

Alive: the event loop answers, every watch's task has stirred lately, and no work hangs; an API server that is away is
no reason to restart. Ready: all that is watched has been listed once; a replica that waits for the lease is ready too,
for it can take over at once.
"""

import socket
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from modelway.controller.metrics import Metrics
from modelway.kube.reflector import Reflector

_SILENCE_SECONDS: Final = 300.0
"""A watch is broken off and begun again long before; silence for so long means that its task hangs."""
_WORK_SECONDS: Final = 300.0


class Health:
    """Answers for one operator process."""

    def __init__(
        self,
        *,
        metrics: Metrics,
        reflectors: Sequence[Reflector],
        longest_working: Callable[[], float],
        resources: Callable[[], int],
        is_leading: Callable[[], bool],
    ) -> None:
        self._metrics = metrics
        self._reflectors = reflectors
        self._longest_working = longest_working
        self._resources = resources
        self._is_leading = is_leading
        self._runner: web.AppRunner | None = None

    async def start(self, port: int) -> int:
        """Listen on `port`, or on any free one for 0; gives the port."""
        app = web.Application()
        app.add_routes(
            [web.get("/livez", self._livez), web.get("/readyz", self._readyz), web.get("/metrics", self._serve_metrics)]
        )
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.SockSite(self._runner, _listening(port)).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    def unsynced(self) -> list[str]:
        """Kinds that have not been listed yet."""
        return sorted({reflector.kind.name for reflector in self._reflectors if not reflector.synced.is_set()})

    async def _livez(self, _request: web.Request) -> web.Response:
        silence = max((monotonic() - reflector.alive_at for reflector in self._reflectors), default=0.0)
        if silence > _SILENCE_SECONDS and not self.unsynced():
            return web.Response(status=500, text=f"a watch has been silent for {silence:.0f} s\n")
        if (age := self._longest_working()) > _WORK_SECONDS:
            return web.Response(status=500, text=f"work has been going on for {age:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        if missing := self.unsynced():
            return web.Response(status=503, text=f"not listed yet: {', '.join(missing)}\n")
        return web.Response(text="ok, leading\n" if self._is_leading() else "ok, standing by\n")

    async def _serve_metrics(self, _request: web.Request) -> web.Response:
        self._metrics.longest_running.set(self._longest_working())
        self._metrics.resources.set(self._resources())
        self._metrics.leading.set(1 if self._is_leading() else 0)
        body = generate_latest(self._metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _listening(port: int) -> socket.socket:
    """One socket for both versions of IP, where both are there; two of them would get two free ports."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))
