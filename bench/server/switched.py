"""Several ways to serve one model, in one process, that take turns of a second under one load.

Servers of their own differ by some percent although they are the same, by where their memory lies, and a neighbour's
noise falls on one of them. Here one process has all of them, and which of them answers changes each second, in an order
of chance. So what is compared is what the same code costs in the same memory within a few seconds.

What a server does once a second (`settle`) falls into each turn. What it does at a rate by the clock, as counting
inputs, it does in its turns alone: of two ways each is to have half of that rate.
"""

import asyncio
import gc
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import uvloop

from bench.figures import Figures
from bench.server import load
from bench.server.servers import SERVER_CORE
from modelway.server.app import App
from modelway.server.loading import load as load_model
from modelway.server.options import ServerOptions
from modelway.server.reading import Limits
from modelway.server.site import Site
from modelway.server.tally import Region, Tally

_CONNECTIONS = 16
_TURN = 1.0  # seconds
_BORDER = 0.005  # seconds at the ends of a turn whose requests another may have answered
_WARM_UP = 3.0  # seconds
_AT_HALF = 3
"""Times as many turns at half load: latencies vary more there."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn gave: requests, how many a second, CPU seconds of each, and latencies in seconds."""

    requests: int
    rate: float
    cpu: float
    p50: float
    p99: float


Turns = dict[str, list[Turn]]
"""By the way of serving; those of one place in the lists were neighbours."""

_AT_FULL_LOAD: dict[str, Callable[[Turn], float]] = {
    "throughput": lambda turn: 1 / turn.cpu,
    "p99_at_full_load": lambda turn: turn.p99,
}
_AT_HALF_LOAD: dict[str, Callable[[Turn], float]] = {"p50": lambda turn: turn.p50, "p99": lambda turn: turn.p99}
"""By what ways are compared; throughput is requests per CPU second."""


def compare(ways: Mapping[str, ServerOptions], bodies: Mapping[str, bytes], *, path: str, rounds: int) -> Figures:
    """What each way costs beside the first: the median over the rounds of the ratio to it, with an interval.

    Args:
        ways: options by name; all of one model.
        bodies: of the requests, by the name of the case.
        path: where they are posted.
        rounds: turns of each way in each case, at as much load as the process can take.

    """
    load.require_cores()
    os.sched_setaffinity(0, {SERVER_CORE})
    first, *others = ways
    rng = np.random.default_rng(1)
    figures: Figures = {"rounds": rounds}
    for case, (full, half) in uvloop.run(_measured(ways, bodies, path, rounds, rng)).items():
        figures[f"{case}_requests_of_each"] = min(sum(turn.requests for turn in full[way] + half[way]) for way in ways)
        figures[f"{case}_{first}_us"] = round(1e6 * statistics.median(turn.cpu for turn in full[first]), 2)
        for way in others:
            for turns, told in ((full, _AT_FULL_LOAD), (half, _AT_HALF_LOAD)):
                for name, of in told.items():
                    ratios = [of(one) / of(other) for one, other in zip(turns[way], turns[first], strict=True)]
                    figures[f"{case}_{way}_{name}_ratio"] = _with_interval(ratios, rng)
    return figures


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to serve the model, and where its requests are counted."""

    app: App
    region: Region

    @property
    def requests(self) -> int:
        return round(sum(self.region.codes("v1")))


@dataclass(frozen=True, slots=True)
class _Load:
    port: int
    path: str
    body: bytes
    connections: int
    pause: float = 0.0  # milliseconds


async def _measured(
    ways: Mapping[str, ServerOptions], bodies: Mapping[str, bytes], path: str, rounds: int, rng: np.random.Generator
) -> dict[str, tuple[Turns, Turns]]:
    """The turns of each case at full and at half load."""
    site, made, port = await _serving(ways)
    found = {}
    for case, body in bodies.items():
        full = await _taken(site, made, _Load(port, path, body, _CONNECTIONS), rounds, rng)
        alone = full[next(iter(ways))]
        rate, p50 = statistics.median(turn.rate for turn in alone), statistics.median(turn.p50 for turn in alone)
        pause = load.half_load_pause(rate, 1e3 * p50, connections=_CONNECTIONS)
        half = await _taken(site, made, _Load(port, path, body, load.PACED, pause), _AT_HALF * rounds, rng)
        found[case] = full, half
    await site.close(within=1)
    for way in made.values():
        way.app.engine.stop()
    return found


async def _serving(ways: Mapping[str, ServerOptions]) -> tuple[Site, dict[str, _Way], int]:
    """The site, the ways to answer there, and its port."""
    loaded = load_model(next(iter(ways.values())))
    made = {}
    for name, options in ways.items():
        tally = Tally(feedback=options.feedback_keys is not None)
        made[name] = _Way(App(options, tally=tally), tally.region(0))
        made[name].app.serve(loaded)
    gc.collect()
    gc.freeze()  # as `worker` does it
    site = Site(next(iter(made.values())).app, Limits(), loop=asyncio.get_running_loop())
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    await site.listen(listener)
    return site, made, port


async def _taken(site: Site, made: Mapping[str, _Way], asked: _Load, rounds: int, rng: np.random.Generator) -> Turns:
    """All turns under one load."""
    with tempfile.TemporaryDirectory() as folder:
        body, told = Path(folder) / "body", Path(folder) / "told.npy"
        body.write_bytes(asked.body)
        seconds = _WARM_UP + rounds * len(made) * _TURN + 1
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.server.timed", "--port", str(asked.port), "--path", asked.path),
            *("--body", body, "--seconds", str(seconds), "--connections", str(asked.connections)),
            *("--pause-ms", str(asked.pause), "--to", told),
        )
        await asyncio.sleep(_WARM_UP)
        spans: dict[str, list[_Span]] = {name: [] for name in made}
        for _ in range(rounds):
            if client.returncode is not None:  # it has failed, and has said why
                break
            for name in rng.permutation(list(made)).tolist():
                spans[name].append(await _span(site, made[name]))
        if await client.wait():
            raise subprocess.CalledProcessError(client.returncode or 0, "bench.server.timed")
        sent, took = np.load(told).T
    return {name: [_turn(span, sent, took) for span in of] for name, of in spans.items()}


@dataclass(frozen=True, slots=True)
class _Span:
    begin: float
    end: float
    requests: int
    cpu: float


async def _span(site: Site, way: _Way) -> _Span:
    """One turn."""
    site.app = way.app
    begin, cpu, requests = time.perf_counter(), time.process_time(), way.requests
    await asyncio.sleep(_TURN / 2)
    way.app.settle()
    await asyncio.sleep(_TURN / 2)
    return _Span(begin, time.perf_counter(), way.requests - requests, time.process_time() - cpu)


def _turn(span: _Span, sent: np.ndarray, took: np.ndarray) -> Turn:
    own = took[(sent >= span.begin + _BORDER) & (sent < span.end - _BORDER)]
    p50, p99 = np.quantile(own, [0.5, 0.99]).tolist()
    return Turn(span.requests, span.requests / (span.end - span.begin), span.cpu / span.requests, p50, p99)


def _with_interval(ratios: list[float], rng: np.random.Generator) -> dict[str, float]:
    """Their median, and the middle 95 % of the medians of resampled ones."""
    medians = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return {"median": round(statistics.median(ratios), 4), "low": round(float(low), 4), "high": round(float(high), 4)}
