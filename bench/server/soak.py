"""`python -m bench.server.soak`: the server at saturation for long, with clients that misbehave.

Two servers are soaked at once: two workers with a model that runs on the event loop, and one process with a forest in
Python, which runs in threads and in batches. Raises where memory grew by more than 5 %, a worker died or hung, an
accepted request got no answer or a wrong one, or anything was left in flight.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bench.server import clients, models
from bench.server.clients import Soaked
from bench.server.comparison import Say
from bench.server.servers import Running, Server, modelway, serve
from bench.server.usage import resident_mib

GROWTH = 0.05
_PATH = "/v1/models/m:predict"
_OWN = Path(sys.executable).with_name("modelway")
_CLIENTS = {
    clients.steady: 24,
    clients.pipelining: 2,
    clients.leaving: 4,
    clients.dawdling: 8,
    clients.babbling: 2,
}
# Allocators and caches fill at first: what counts as the beginning is the memory after this part of the time.
_SETTLED = 0.3


@dataclass(slots=True)
class Result:
    """What a server went through."""

    name: str
    outcomes: Counter[str]
    faults: list[str] = field(default_factory=list)
    memory_begin: float = 0.0
    memory_end: float = 0.0

    def __str__(self) -> str:
        counts = ", ".join(f"{name}: {count:,}" for name, count in self.outcomes.most_common())
        memory = f"{self.memory_begin:.1f} to {self.memory_end:.1f} MiB"
        return f"{self.name}: {memory}; {counts}" + "".join(f"\n  FAULT {fault}" for fault in self.faults)


def soak(*, seconds: float, folder: Path, say: Say) -> list[Result]:
    """Soak for so long; gives a result for each server."""
    made = models.make(folder)
    limits = ("--timeout", "2s", "--queue", "16", "--drain", "0s")
    servers = [
        Server("on the event loop, two workers", modelway(made.linear, "--workers", "2", *limits, program=_OWN), _PATH),
        Server("in threads and batches", modelway(made.pickled, "--code", "AllowList", *limits, program=_OWN), _PATH),
    ]
    body = models.v1(made.rows[:1])
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(serve(server, made, folder / f"server-{index}", (_PATH, body), core=None))
            for index, server in enumerate(servers)
        ]
        rows = made.rows.tolist()
        soaked = [Soaked(one.port, _PATH, rows) for one in running]
        memory = asyncio.run(_run(running, soaked, seconds, say))
        return [_judge(one, each, seen) for one, each, seen in zip(running, soaked, memory, strict=True)]


async def _run(running: list[Running], soaked: list[Soaked], seconds: float, say: Say) -> list[list[float]]:
    """All clients for so long; gives each server's memory over the time that counts."""
    asking = [
        asyncio.create_task(clients.ask_on(client, each))
        for each in soaked
        for client, count in _CLIENTS.items()
        for _ in range(count)
    ]
    memory: list[list[float]] = [[] for _ in running]
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        await asyncio.sleep(min(1.0, seconds / 30))
        if passed > seconds * _SETTLED:
            for one, seen in zip(running, memory, strict=True):
                seen.append(resident_mib(one.process.pid))
        if int(passed) % 30 == 0:
            say(f"{passed:.0f} of {seconds:.0f} s: {sum(each.outcomes['200'] for each in soaked):,} answered")
    for each in soaked:
        each.is_over = True
    await asyncio.gather(*asking)
    return memory


def _judge(one: Running, soaked: Soaked, memory: list[float]) -> Result:
    part = max(len(memory) // 5, 1)
    result = Result(one.server.name, soaked.outcomes)
    result.memory_begin = statistics.median(memory[:part])
    result.memory_end = statistics.median(memory[-part:])
    if result.memory_end > result.memory_begin * (1 + GROWTH):
        result.faults.append("memory grew")
    for name, found in (("lost", soaked.lost), ("wrong", soaked.wrong)):
        if found:
            result.faults.append(f"{len(found)} {name}: {found[:3]}")
    if not soaked.outcomes["200"]:
        result.faults.append("nothing was answered")
    result.faults += _left_over(one)
    return result


def _left_over(one: Running) -> list[str]:
    """What a server still holds some seconds after everybody has gone."""
    deadline = time.monotonic() + 20
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{one.port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        values = {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}
        faults = [
            f"{name} is {values[name]:g}"
            for name in ("modelway_server_requests_in_flight", "modelway_server_worker_restarts_total")
            if values[name]
        ]
        if not faults or time.monotonic() > deadline:
            return faults
        time.sleep(0.5)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.server.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelway-soak-") as folder:
        results = soak(seconds=60 * arguments.minutes, folder=Path(folder), say=lambda text: print(text, flush=True))
    for result in results:
        print(result)
    if any(result.faults for result in results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
