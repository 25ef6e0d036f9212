"""`python -m bench.observer_cost`: what it costs that requests to an image of the user's own are observed.

The same server stands behind two routers: one that shows an observer what is asked and answered, and one that does
not. Server, routers and observer share core 0, the load has core 1; in a cluster the observer is a pod of its own, so
its CPU is told apart. Blocks past it and with it take turns. Paced load for the times, saturation for the rate; what of
the requests was observed is told for both. At the end the observer is stopped in the middle of a load of large bodies.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.figures import Figures, tell
from bench.routers import backend, routed, until_ready
from bench.server import load, models
from bench.server.servers import SERVER_CORE, Server, free_port, modelway, serve
from bench.server.usage import cpu_seconds, resident_mib
from modelway.plan.routing import Split

_PATH = "/v1/models/m:predict"
_CONNECTIONS = 16
_LARGE = 1000
"""Rows of a request of 190 kB."""
_NAMES = {"plain": "not observed", "seen": "observed"}


@dataclass(frozen=True, slots=True)
class _Block:
    """One block of load: what it gave, CPU in microseconds a request, and the share of its requests that was seen."""

    loaded: load.Loaded
    router_us: float
    observer_us: float
    counted: float


@dataclass(frozen=True, slots=True)
class _Observer:
    port: int
    grpc_port: int
    session: int

    def rows(self) -> int:
        """Rows that it has counted or left out."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/observations?of=inputs", timeout=10) as answer:
            told = json.load(answer)
        return int(told["rows"] + told["skipped"])


def measure(*, rounds: int, seconds: float, rate: float) -> Figures:
    """All of it; prints progress. Gives the figures by name."""
    load.require_tools()
    with tempfile.TemporaryDirectory(prefix="modelway-observer-") as name:
        folder = Path(name)
        for part in ("models", "plain", "seen"):
            (folder / part).mkdir()
        given = models.make(folder / "models")
        body = models.v1(given.rows[:1])
        start = modelway(given.linear, "--no-observe", program=Path(sys.executable).with_name("modelway"))
        server = Server("modelway", start, _PATH)
        with (
            serve(server, given, folder / "server", (_PATH, body)) as running,
            _observing(folder) as observer,
            routed(folder / "plain", Split(backend("aaaaaaaa", running.port))) as plain,
            routed(
                folder / "seen",
                Split(replace(backend("aaaaaaaa", running.port), observer="m-observer")),
                observer=(observer.grpc_port, observer.port),
            ) as seen,
        ):
            routers = {"plain": plain, "seen": seen}
            figures = _compare(routers, observer, body, rounds=rounds, seconds=seconds, rate=rate)
            return figures | _stuck(routers, observer, models.v1(np.resize(given.rows, (_LARGE, given.rows.shape[1]))))


def _compare(
    routers: dict[str, tuple[int, int]], observer: _Observer, body: bytes, *, rounds: int, seconds: float, rate: float
) -> Figures:
    paced: dict[str, list[_Block]] = {name: [] for name in routers}
    full: dict[str, list[_Block]] = {name: [] for name in routers}
    for number in range(rounds):
        print(f"  round {number + 1} of {rounds} …", flush=True)
        for name, router in routers.items() if number % 2 == 0 else reversed(routers.items()):
            pause = 1e3 * _CONNECTIONS / rate
            _block(router, observer, body, seconds=1, pause=pause)
            paced[name].append(_block(router, observer, body, seconds=seconds, pause=pause))
            full[name].append(_block(router, observer, body, seconds=seconds, pause=0))
    figures: Figures = {"rounds": rounds, "seconds of a block": seconds}
    for name, told in _NAMES.items():
        figures |= {
            f"{told}: requests per second, paced": _median(paced[name], lambda one: one.loaded.rate),
            f"{told}: p50, ms": _median(paced[name], lambda one: one.loaded.p50),
            f"{told}: p99, ms": _median(paced[name], lambda one: one.loaded.p99),
            f"{told}: router's CPU, µs a request": _median(paced[name], lambda one: one.router_us),
            f"{told}: requests per second, at most": _median(full[name], lambda one: one.loaded.rate),
        }
    for what in ("p50", "p99"):
        pairs = zip(paced["seen"], paced["plain"], strict=True)
        added = [getattr(one.loaded, what) - getattr(other.loaded, what) for one, other in pairs]
        figures[f"being observed adds to the {what}, ms"] = statistics.median(added)
    figures["observer's CPU, µs a request"] = _median(paced["seen"], lambda one: one.observer_us)
    figures["share that the observer has seen, paced"] = _median(paced["seen"], lambda one: one.counted)
    figures["share that the observer has seen, at most"] = _median(full["seen"], lambda one: one.counted)
    figures["observer's memory, MiB"] = resident_mib(observer.session)
    blocks = [block for told in (paced, full) for part in told.values() for block in part]
    figures["requests"] = sum(block.loaded.requests for block in blocks)
    figures["failed"] = sum(block.loaded.failed for block in blocks)
    return figures


def _stuck(routers: dict[str, tuple[int, int]], observer: _Observer, body: bytes) -> Figures:
    """Large bodies, which nobody takes off: what requests and the router notice of it."""
    figures: Figures = {"a stuck observer: bytes of a request": len(body)}
    os.kill(observer.session, signal.SIGSTOP)
    try:
        for name, (port, envoy) in routers.items():
            loaded = load.run(port, _PATH, body, seconds=20, connections=_CONNECTIONS)
            told = f"a stuck observer, {_NAMES[name]}"
            figures[f"{told}: p99, ms"] = loaded.p99
            figures[f"{told}: router's memory, MiB"] = resident_mib(envoy)
            figures[f"{told}: failed"] = loaded.failed
    finally:
        os.kill(observer.session, signal.SIGCONT)
    return figures


def _median(blocks: list[_Block], of: Callable[[_Block], float]) -> float:
    return statistics.median(of(block) for block in blocks)


def _block(router: tuple[int, int], observer: _Observer, body: bytes, *, seconds: float, pause: float) -> _Block:
    port, envoy = router
    before, seen = [cpu_seconds(session) for session in (envoy, observer.session)], observer.rows()
    loaded = load.run(port, _PATH, body, seconds=seconds, connections=_CONNECTIONS, pause_ms=pause)
    spent = [cpu_seconds(session) - start for session, start in zip((envoy, observer.session), before, strict=True)]
    shown = observer.rows() - seen
    router_us, observer_us = (1e6 * one / loaded.requests for one in spent)
    return _Block(loaded, router_us, observer_us, shown / loaded.requests)


@contextmanager
def _observing(folder: Path) -> Iterator[_Observer]:
    """An observer for the length of a block."""
    port, grpc_port = free_port(), free_port()
    program = str(Path(sys.executable).with_name("modelway"))
    command = [program, "observe", "--name=m", "--host=127.0.0.1", f"--port={port}", f"--grpc-port={grpc_port}"]
    with (folder / "observer.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),  # noqa: PLW1509 - no threads here
        )
    try:
        until_ready(process, port, folder / "observer.log")
        yield _Observer(port, grpc_port, process.pid)
    finally:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.observer_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="blocks of each sort (default: 9)")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of a block (default: 6)")
    parser.add_argument("--rate", type=float, default=100.0, help="of the paced load, a second (default: 100)")
    parser.add_argument("--save", action="store_true", help="write the figures to bench/results/")
    arguments = parser.parse_args()
    figures = measure(rounds=arguments.rounds, seconds=arguments.seconds, rate=arguments.rate)
    tell(figures, name="observer_cost", save=arguments.save)


if __name__ == "__main__":
    main()
