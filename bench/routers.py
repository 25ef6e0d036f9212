"""`python -m bench.routers`: what a router costs a request, beside the same request straight to the model server.

Envoy with the files that the operator writes for a router's pod, in the middle of a rollout, on loopback: server and
Envoy share core 0, the load has core 1. Blocks through the router and blocks past it take turns on the same server, so
what the machine does beside is met by both. Paced load for the times, saturation for the rate.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import Figures, tell
from bench.server import image, load, models
from bench.server.servers import SERVER_CORE, Server, free_port, modelway, serve
from bench.server.usage import cpu_seconds
from modelway.plan.pods import GRPC_PORT, HTTP_PORT
from modelway.plan.routing import Backend, Split
from modelway.plan.routing.bootstrap import bootstrap
from modelway.plan.routing.clusters import clusters_file
from modelway.plan.routing.envoy import (
    ADMIN_PORT,
    BOOTSTRAP_FILE,
    CLUSTERS_FILE,
    DIRECTORY,
    READY_PATH,
    ROUTES_FILE,
    STATUS_PORT,
)
from modelway.plan.routing.routes import routes_file
from modelway.plan.routing.split import Health

_ENVOY = (
    Path(sys.executable).parent.parent / "lib" / f"python3.{sys.version_info.minor}" / "site-packages/envoy/_bin/envoy"
)
_PATH = "/v2/models/m/infer"
_CONNECTIONS = 16
_WORKERS = 2  # as in a router's pod
_STARTED_WITHIN = 30.0
_NAMES = {"direct": "direct", "routed": "through a router"}


@dataclass(frozen=True, slots=True)
class _Block:
    """One block of one load: what it gave, and the CPU that a request took, in microseconds."""

    loaded: load.Loaded
    server_us: float
    router_us: float


def measure(*, rounds: int, seconds: float, rate: float) -> Figures:
    """All of it; prints progress. Gives the figures by name."""
    image.ensure()
    load.require_tools()
    with tempfile.TemporaryDirectory(prefix="modelway-routers-") as folder:
        given = models.make(_made(Path(folder) / "models"))
        body = models.v2(given.rows[:1])
        server = Server("modelway", modelway(given.linear), _PATH, speaks_v2=True)
        with (
            serve(server, given, Path(folder) / "server", (_PATH, body)) as running,
            routed(_made(Path(folder) / "envoy"), _in_a_rollout(running.port)) as (port, envoy),
        ):
            ports, sessions = {"direct": running.port, "routed": port}, (running.process.pid, envoy)
            return _compare(ports, sessions, body, rounds=rounds, seconds=seconds, rate=rate)


def _compare(
    ports: dict[str, int], sessions: tuple[int, int], body: bytes, *, rounds: int, seconds: float, rate: float
) -> Figures:
    paced: dict[str, list[_Block]] = {name: [] for name in ports}
    full: dict[str, list[_Block]] = {name: [] for name in ports}
    for number in range(rounds):
        print(f"  round {number + 1} of {rounds} …", flush=True)
        for name, port in ports.items() if number % 2 == 0 else reversed(ports.items()):
            pause = 1e3 * _CONNECTIONS / rate
            _block(port, sessions, body, seconds=1, pause=pause)
            paced[name].append(_block(port, sessions, body, seconds=seconds, pause=pause))
            full[name].append(_block(port, sessions, body, seconds=seconds, pause=0))
    figures: Figures = {"rounds": rounds, "seconds of a block": seconds}
    for name, told in _NAMES.items():
        figures |= _told(told, paced[name], full[name])
    for what in ("p50", "p99"):
        # Of neighbouring blocks, so that what else the machine did is in both.
        pairs = zip(paced["routed"], paced["direct"], strict=True)
        added = [getattr(one.loaded, what) - getattr(other.loaded, what) for one, other in pairs]
        figures[f"a router adds to the {what}, ms"] = statistics.median(added)
    blocks = [block for told in (paced, full) for part in told.values() for block in part]
    figures["failed"] = sum(block.loaded.failed for block in blocks)
    return figures


def _block(port: int, sessions: tuple[int, int], body: bytes, *, seconds: float, pause: float) -> _Block:
    before = [cpu_seconds(session) for session in sessions]
    loaded = load.run(port, _PATH, body, seconds=seconds, connections=_CONNECTIONS, pause_ms=pause)
    spent = [cpu_seconds(session) - start for session, start in zip(sessions, before, strict=True)]
    server, router = (1e6 * one / loaded.requests for one in spent)
    return _Block(loaded, server, router)


def _told(name: str, paced: list[_Block], full: list[_Block]) -> Figures:
    def median(blocks: list[_Block], what: str) -> float:
        return statistics.median(getattr(block.loaded, what) for block in blocks)

    return {
        f"{name}: requests per second, paced": median(paced, "rate"),
        f"{name}: p50, ms": median(paced, "p50"),
        f"{name}: p99, ms": median(paced, "p99"),
        f"{name}: requests per second, at most": median(full, "rate"),
        f"{name}: server's CPU, µs a request": statistics.median(block.server_us for block in full),
        f"{name}: router's CPU, µs a request": statistics.median(block.router_us for block in full),
    }


def _in_a_rollout(server: int) -> Split:
    return Split(stable=backend("aaaaaaaa", server), candidate=backend("bbbbbbbb", server), weight=25)


@contextmanager
def routed(folder: Path, split: Split, *, observer: tuple[int, int] | None = None) -> Iterator[tuple[int, int]]:
    """With Envoy before the servers of `split`; gives its port and its session.

    Args:
        folder: for its files.
        split: who gets which requests.
        observer: ports of the observer, of gRPC and of its counts, where the split names one.
    """
    ports = {port: free_port() for port in (HTTP_PORT, GRPC_PORT, STATUS_PORT, ADMIN_PORT)}
    clusters = clusters_file(split, namespace="ml", domain="cluster.local")
    files = {
        BOOTSTRAP_FILE: bootstrap(),
        CLUSTERS_FILE: clusters if observer is None else _with_observer(clusters, *observer),
        ROUTES_FILE: routes_file(split, sticky_header=None),
    }
    for name, content in files.items():
        (folder / name).write_text(_here(content, split, folder, ports))
    command = [str(_ENVOY), "--config-path", str(folder / BOOTSTRAP_FILE), "--concurrency", str(_WORKERS)]
    command += ["--disable-hot-restart", "--log-level", "warning"]
    with (folder / "log").open("wb") as log:
        envoy = subprocess.Popen(
            command,
            env=os.environ | {"MODELWAY_EPOCH": "1", "MODELWAY_POD": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),  # noqa: PLW1509 - no threads here
        )
    try:
        until_ready(envoy, ports[STATUS_PORT], folder / "log")
        yield ports[HTTP_PORT], envoy.pid
    finally:
        envoy.kill()
        envoy.wait()


def backend(revision: str, port: int) -> Backend:
    """A revision whose only pod is a server on `port` of this machine."""
    health = Health(port=port, path="/v2/health/ready")
    return Backend(
        revision, f"m-{revision}", f"m-{revision}-unready", http_port=port, grpc_port=None, health=health, timeout=30.0
    )


def _with_observer(clusters: dict[str, Any], grpc_port: int, port: int) -> dict[str, Any]:
    (found,) = (one for one in clusters["resources"] if one["name"].endswith("-observer"))
    endpoint = found["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    endpoint["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": grpc_port}
    endpoint["health_check_config"]["port_value"] = port
    return clusters


def _here(content: dict[str, Any], split: Split, folder: Path, ports: dict[int, int]) -> str:
    """A file with names and ports of this machine in place of those of a pod."""
    text = json.dumps(content).replace(DIRECTORY, str(folder))
    for backend in split.backends:
        text = text.replace(f"{backend.service}.ml.svc.cluster.local.", "127.0.0.1")
    for port, free in ports.items():
        text = text.replace(f'"port_value": {port}', f'"port_value": {free}')
    return text


def until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until what listens there says that it is."""
    deadline = time.monotonic() + _STARTED_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{READY_PATH}", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"it does not get ready:\n{log.read_text()[-2000:]}")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.routers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="blocks of each sort (default: 9)")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a block (default: 8)")
    parser.add_argument("--rate", type=float, default=500.0, help="of the paced load, a second (default: 500)")
    parser.add_argument("--save", action="store_true", help="write the figures to bench/results/")
    arguments = parser.parse_args()
    figures = measure(rounds=arguments.rounds, seconds=arguments.seconds, rate=arguments.rate)
    tell(figures, name="routers", save=arguments.save)


if __name__ == "__main__":
    main()
