"""What the benchmark tells the operator in place of simulated pods is what the operator understands."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from bench.rollout_feed import Feed

from modelway.api.observations import PATH
from modelway.controller.routers import Routers
from modelway.controller.servers import Servers
from modelway.plan.measured import PodKey, RouterReading, Target
from modelway.plan.routing import Backend, Split
from modelway.plan.routing.clusters import clusters_file
from modelway.plan.routing.envoy import CLUSTERS_FILE, COUNTERS_PATH, ROUTES_FILE
from modelway.plan.routing.routes import routes_file
from modelway.plan.routing.split import Health
from support.builders import NOW

STABLE, CANDIDATE = "aaaaaaaa", "bbbbbbbb"
RATE = 100.0
ROUTER = Target(PodKey("fraud-router-1", "uid-of-router"), "127.0.0.1", "", NOW)
SERVERS = {STABLE: "127.0.0.2", CANDIDATE: "127.0.0.3"}


class Clock:
    """Seconds, as the test says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def served(path: str, handler: Callable[..., Any]) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get(path, handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "0.0.0.0", 0)
    await site.start()
    try:
        yield site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    finally:
        await runner.cleanup()


def pod(uid: str, address: str, **labels: str) -> dict[str, Any]:
    named = {"modelway.dev/name": "fraud", **{f"modelway.dev/{key}": value for key, value in labels.items()}}
    if not labels:
        named["app.kubernetes.io/component"] = "model-router"
    return {"metadata": {"uid": uid, "labels": named}, "status": {"podIP": address}}


def fed(clock: Clock, *, weight: int) -> Feed:
    """A router and a pod of each revision, from second 0 on."""

    def backend(revision: str) -> Backend:
        health = Health(port=8080, path="/v2/health/ready")
        return Backend(
            revision,
            f"fraud-{revision}",
            f"fraud-{revision}-unready",
            http_port=8080,
            grpc_port=9000,
            health=health,
            timeout=30.0,
        )

    split = Split(stable=backend(STABLE), candidate=backend(CANDIDATE), weight=weight)
    files = {
        CLUSTERS_FILE: clusters_file(split, namespace="ml", domain="cluster.local"),
        ROUTES_FILE: routes_file(split, sticky_header=None),
    }
    data = {name: orjson.dumps(file).decode() for name, file in files.items()}
    feed = Feed(rate=RATE, routers=1, clock=clock)
    feed.see_files("ADDED", {"metadata": {"name": "fraud-router"}, "data": data})
    feed.see_pod("ADDED", pod(ROUTER.pod.uid, ROUTER.address))
    for revision, address in SERVERS.items():
        feed.see_pod("ADDED", pod(f"uid-of-{revision}", address, revision=revision))
    return feed


async def read(feed: Feed) -> RouterReading:
    async with served(COUNTERS_PATH, feed.counters) as port, aiohttp.ClientSession() as session:
        return await Routers(session, port=port).ask(ROUTER)


async def test_requests_flow_by_the_weights_and_every_pod_is_found() -> None:
    clock = Clock()
    feed = fed(clock, weight=25)
    clock.now = 100.0
    reading = await read(feed)
    arms = reading.arms
    assert (arms[STABLE].requests, arms[CANDIDATE].requests) == (7500, 2500)
    assert (arms[STABLE].server_errors, arms[CANDIDATE].server_errors) == (15, 5)
    slow = {arm: arms[arm].requests - dict(arms[arm].at_most)[250] for arm in (STABLE, CANDIDATE)}
    assert slow == {STABLE: 75, CANDIDATE: 25}
    assert (reading.healthy[STABLE], reading.healthy[CANDIDATE]) == (1, 1)


async def test_servers_have_answered_what_the_routers_have_sent() -> None:
    clock = Clock()
    feed = fed(clock, weight=25)
    clock.now = 100.0
    target = Target(PodKey("fraud-1", f"uid-of-{CANDIDATE}"), SERVERS[CANDIDATE], CANDIDATE, NOW)
    async with served(PATH, feed.observations) as port, aiohttp.ClientSession() as session:
        reading = await Servers(session, clock=lambda: NOW, port=port).ask(target)
    assert reading.answers == {"class:0": 2250, "class:1": 250}
