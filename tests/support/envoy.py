"""A real Envoy on loopback, with the files that the operator writes for a router, and servers behind it.

What a pod gets from Kubernetes is replaced: names by addresses, ports by free ones, the folder by the test's own. The
rest is as in a pod, and files are changed as the kubelet does it: by moving a link.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Self

import aiohttp
from aiohttp import web

from modelway.controller.routers import Routers
from modelway.plan.measured import PodKey, RouterReading, Target
from modelway.plan.pods import GRPC_PORT, HTTP_PORT
from modelway.plan.routing import Backend, Split, Versions
from modelway.plan.routing.bootstrap import bootstrap
from modelway.plan.routing.clusters import clusters_file
from modelway.plan.routing.envoy import (
    ADMIN_PORT,
    BOOTSTRAP_FILE,
    BOOTSTRAP_IPV4_FILE,
    CLUSTERS_FILE,
    DIRECTORY,
    ROUTES_FILE,
    STATUS_PORT,
)
from modelway.plan.routing.routes import routes_file
from modelway.plan.routing.split import Health
from support.builders import NOW
from support.ports import free_ports

PROGRAM = (
    Path(sys.executable).parent.parent / "lib" / f"python3.{sys.version_info.minor}" / "site-packages/envoy/_bin/envoy"
)
POD = PodKey("router-1", "uid-of-router-1")
DEADLINE = 20.0

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def backend(revision: str, port: int, *, grpc_port: int | None = None, timeout: float = 1.0) -> Backend:
    """A revision whose only pod is a server on `port` of this machine."""
    return Backend(
        revision=revision,
        service=f"fraud-{revision}",
        unready_service=f"fraud-{revision}-unready",
        http_port=port,
        grpc_port=grpc_port,
        health=Health(port=port, path="/v2/health/ready"),
        timeout=timeout,
    )


@dataclass
class Upstream:
    """A server that remembers what it was asked."""

    name: str
    port: int
    asked: list[dict[str, Any]]

    def heard(self, path: str) -> list[dict[str, Any]]:
        return [one for one in self.asked if one["path"] == path]


@asynccontextmanager
async def upstream(name: str, answer: Answer | None = None, *, port: int = 0) -> AsyncIterator[Upstream]:
    """A server that answers its name; `?status=` another status, `?sleep=` late."""
    asked: list[dict[str, Any]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/v2/health/ready":
            return web.Response(text="ready")
        asked.append(
            {
                "path": request.path,
                "headers": {name.lower(): value for name, value in request.headers.items()},
                "body": await request.read(),
            }
        )
        if answer is not None:
            return await answer(request)
        await asyncio.sleep(float(request.query.get("sleep", "0")))
        return web.Response(status=int(request.query.get("status", "200")), text=name)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    bound = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        yield Upstream(name, bound, asked)
    finally:
        await runner.cleanup()


class Envoy:
    """One router. Use it as an asynchronous context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip((HTTP_PORT, GRPC_PORT, STATUS_PORT, ADMIN_PORT), free_ports(4), strict=True))
        self.epoch = uuid.uuid4().hex
        self.starts_with = BOOTSTRAP_FILE
        self.without_pods: set[str] = set()
        """Revisions of which DNS knows no pod. (For names of this ending resolvers answer so at once: RFC 7686.)"""
        self.without_ready: set[str] = set()
        """Those of which it knows none that is ready."""
        self.unready_port: int | None = None
        """Where the pods are that the name of all leads to; None: where the ready ones are."""
        self.observer: tuple[int, int] | None = None
        """Ports of the observer: gRPC, and where it is asked whether it is well."""
        self._given = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[HTTP_PORT]}"

    def give(self, split: Split, *, sticky_header: str | None = None) -> Versions:
        """Put the files of `split` in the folder, as the kubelet does; gives what Envoy is to report."""
        clusters = self._with_observer(clusters_file(split, namespace="ml", domain="cluster.local"))
        if self.unready_port is not None:
            for cluster in clusters["resources"]:
                (within,) = cluster["load_assignment"]["endpoints"][1]["lb_endpoints"]
                within["endpoint"]["address"]["socket_address"]["port_value"] = self.unready_port
                within["endpoint"]["health_check_config"] = {"port_value": self.unready_port}
        routes = routes_file(split, sticky_header=sticky_header)
        self._given += 1
        inner = self.folder / f"..{self._given}"
        inner.mkdir(parents=True)
        files = {
            BOOTSTRAP_FILE: bootstrap(),
            BOOTSTRAP_IPV4_FILE: bootstrap(ipv4_only=True),
            CLUSTERS_FILE: clusters,
            ROUTES_FILE: routes,
        }
        for name, content in files.items():
            (inner / name).write_text(self._here(content, split))
            if not (link := self.folder / name).is_symlink():
                link.symlink_to(f"..data/{name}")
        (fresh := self.folder / "..data_tmp").symlink_to(inner.name)
        fresh.rename(self.folder / "..data")
        return Versions(clusters["version_info"], routes["version_info"])

    def _with_observer(self, clusters: dict[str, Any]) -> dict[str, Any]:
        """The clusters with the observer where it is."""
        for cluster in clusters["resources"]:
            if cluster["name"].endswith("-observer") and self.observer is not None:
                (within,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
                within["endpoint"]["address"]["socket_address"] = {
                    "address": "127.0.0.1",
                    "port_value": self.observer[0],
                }
                within["endpoint"]["health_check_config"]["port_value"] = self.observer[1]
        return clusters

    def _here(self, content: Mapping[str, Any], split: Split) -> str:
        text = json.dumps(content).replace(DIRECTORY, str(self.folder))
        for known in split.backends:
            for service, without in (
                (known.service, self.without_pods | self.without_ready),
                (known.unready_service, self.without_pods),
            ):
                address = "nobody.onion" if known.revision in without else "127.0.0.1"
                text = text.replace(f"{service}.ml.svc.cluster.local.", address)
        for port, free in self.ports.items():
            text = text.replace(f'"port_value": {port}', f'"port_value": {free}')
        return text

    def validate(self) -> str:
        """What Envoy says of the files when it only checks them."""
        command = [str(PROGRAM), "--mode", "validate", "--config-path", str(self.folder / self.starts_with)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    async def __aenter__(self) -> Self:
        command = [str(PROGRAM), "--config-path", str(self.folder / self.starts_with), "--concurrency", "2"]
        command += ["--disable-hot-restart", "--drain-strategy", "immediate", "--log-level", "warning"]
        environment = os.environ | {"MODELWAY_EPOCH": self.epoch, "MODELWAY_POD": POD.uid}
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: ASYNC220 - it returns at once
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        await self.until(self._is_ready, "Envoy is ready")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    async def until(self, condition: Callable[[], Awaitable[Any]], what: str) -> Any:
        """The first true answer of `condition`."""
        deadline = monotonic() + DEADLINE
        while monotonic() < deadline:
            if found := await condition():
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"not within {DEADLINE:g} s: {what}\n{(self.folder / 'log').read_text()[-3000:]}")

    async def _is_ready(self) -> bool:
        try:
            async with self.session.get(f"http://127.0.0.1:{self.ports[STATUS_PORT]}/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def read(self) -> RouterReading:
        """What the operator would read."""
        return await Routers(self.session, port=self.ports[STATUS_PORT]).ask(Target(POD, "127.0.0.1", "", NOW))

    async def until_live(self, wanted: Versions) -> RouterReading:
        """The first reading that tells of `wanted`."""

        async def reading() -> RouterReading | None:
            found = await self.read()
            return found if Versions(found.clusters_version, found.routes_version) == wanted else None

        found: RouterReading = await self.until(reading, f"Envoy has taken {wanted}")
        return found

    async def ask(self, path: str = "/", **request: Any) -> tuple[int, str]:
        """Status and text of the answer to one request."""
        async with self.session.post(self.url + path, **request) as answer:
            return answer.status, await answer.text()

    async def names(self, count: int, headers: Callable[[int], dict[str, str]] = lambda _: {}) -> Counter[str]:
        """Who answered `count` requests, sent from 20 connections; what was not answered by 200 is named by its status."""
        found: Counter[str] = Counter()
        turns = iter(range(count))

        async def client() -> None:
            for turn in turns:
                status, text = await self.ask(headers=headers(turn))
                found[text if status == 200 else str(status)] += 1

        await asyncio.gather(*(client() for _ in range(20)))
        return found


def clear(folder: Path) -> Path:
    """`folder`, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
