"""`python -m bench.monitoring_cost`: what reading and judging thousands of pods costs the operator.

The operator's own parts, in one process: the collector reads simulated pods (`bench.monitoring_feed`) by HTTP once a
window, and `plan.monitoring` makes of each round what a look does: counts, verdicts, the text of the ConfigMap, the
status. What the API server is told is not written here; how much that would be is.
"""

import argparse
import asyncio
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import uvloop

from bench.figures import Figures, tell
from bench.monitoring_feed import FEATURES, REVISION
from modelway.api.resource import ModelDeployment
from modelway.controller.monitoring import Collector
from modelway.controller.observed import KEEPALIVE_SECONDS
from modelway.controller.observed import Observed as Reader
from modelway.kube.store import Owner
from modelway.plan.monitoring.monitor import monitor
from modelway.plan.monitoring.watch import Watch
from modelway.plan.revisions import Revision
from modelway.plan.types import Object, Observed

MOST_CORES: Final = 0.5
MOST_MIB: Final = 300
MOST_BYTES: Final = 3000
"""Of one pod's reading."""
_ROOT: Final = Path(__file__).resolve().parent.parent
_SPEC: Final = {"model": {"uri": "s3://models/m/1/"}, "serving": {}}
_STABLE: Final = Revision(REVISION, {"model": {"digest": "sha256:1"}, "serving": {}}, {}, 1)
_MEMORY: Final = 4 * 2**30


@dataclass(slots=True)
class _Model:
    raw: Object
    pods: tuple[Object, ...]
    watch: Watch | None = None
    looks: int = 0
    written: int = 0
    changes: int = 0
    said: Any = None


class Bench:
    """All models, and what looks at them.

    Args:
        models: how many.
        pods: of each.
        window: seconds.
        port: of the simulated pods.
        session: reads them.
    """

    def __init__(self, *, models: int, pods: int, window: float, port: int, session: aiohttp.ClientSession) -> None:
        self._began = datetime.now(UTC)
        self._models = {Owner("bench", f"m{at}"): self._model(at, pods, window) for at in range(models)}
        self._news: asyncio.Queue[Owner] = asyncio.Queue()
        reader = Reader(session, clock=_now, port=port)
        self._collector = Collector(reader.read, on_news=self._news.put_nowait, clock=_now)

    async def run(self, *, window: float, windows: int) -> Figures:
        """The first three windows warm up, the others are measured."""
        looking = asyncio.create_task(self._look())
        for place, owner in enumerate(self._models):
            # As after a restart of the operator: rounds are spread over the window as they were.
            asyncio.get_running_loop().call_later(place * window / len(self._models), self._news.put_nowait, owner)
        await asyncio.sleep(3 * window)
        self._forget_counts()
        began, spent = time.monotonic(), time.process_time()
        await asyncio.sleep(windows * window)
        seconds, cpu = time.monotonic() - began, time.process_time() - spent
        if looking.done():
            looking.result()  # raises what has ended it
        looking.cancel()
        await self._collector.close()
        looks = sum(one.looks for one in self._models.values())
        pods = sum(len(one.pods) for one in self._models.values())
        last = [one.watch for one in self._models.values() if one.watch is not None]
        return {
            "models": len(self._models),
            "pods": pods,
            "features": FEATURES,
            "window, s": window,
            "rounds": looks,
            "rounds that were due": round(len(self._models) * seconds / window),
            "windows of all rows": sum(one.rows for one in last) / pods / 1000,
            "CPU, cores": cpu / seconds,
            "CPU of a pod's reading, ms": cpu / max(looks * pods / len(self._models), 1) * 1000,
            "memory, MiB": _resident_mib(),
            "ConfigMap of a model, bytes": max(len(one.written or "") for one in last),
            "ConfigMaps written per second": sum(one.written for one in self._models.values()) / seconds,
            "status written after the first": sum(one.changes for one in self._models.values()),
        }

    def _model(self, at: int, pods: int, window: float) -> _Model:
        metadata = {"name": f"m{at}", "namespace": "bench", "uid": f"uid-{at}"}
        raw = {"metadata": metadata, "spec": _SPEC | {"monitoring": {"window": f"{window:.0f}s", "minRows": 500}}}
        return _Model(raw, tuple(self._pod(at * pods + place) for place in range(pods)))

    def _pod(self, number: int) -> Object:
        labels = {"modelway.dev/revision": REVISION}
        created = (self._began - timedelta(hours=1)).isoformat()
        metadata = {"name": f"pod-{number}", "uid": f"uid-{number}", "labels": labels, "creationTimestamp": created}
        address = f"127.{64 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"
        return {
            "metadata": metadata,
            "status": {"podIP": address, "conditions": [{"type": "Ready", "status": "True"}]},
        }

    async def _look(self) -> None:
        while True:
            owner = await self._news.get()
            model = self._models[owner]
            found = monitor(
                Observed(
                    ModelDeployment.parse(model.raw),
                    pods=model.pods,
                    collected=self._collector.collected(owner),
                    watch=model.watch,
                ),
                _STABLE,
                _STABLE,
                observe=None,
                routed=False,
                now=_now(),
            )
            before, model.watch = model.watch, found.watch
            model.looks += 1
            model.written += found.watch is not None and (before is None or found.watch.written != before.written)
            model.changes += model.said is not None and found.verdicts != model.said
            model.said = found.verdicts
            self._collector.follow(owner, found.watching)
            await asyncio.sleep(0)

    def _forget_counts(self) -> None:
        for model in self._models.values():
            model.looks = model.written = model.changes = 0


def broken(figures: Figures) -> list[str]:
    """What does not hold of what is claimed."""
    claims = (("CPU, cores", MOST_CORES), ("memory, MiB", MOST_MIB), ("bytes of a pod's reading", MOST_BYTES))
    return [f"{name}: {figures[name]:.3g}, more than {most}" for name, most in claims if figures[name] > most]


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def _fed() -> Iterator[tuple[int, int]]:
    """With a process that answers for the pods; gives its port, and the bytes of a reading."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "bench.monitoring_feed", f"--port={port}"]
    feed = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE)
    try:
        assert feed.stdout is not None
        yield port, int(feed.stdout.readline())
    finally:
        feed.terminate()
        feed.wait()


async def _measured(arguments: argparse.Namespace, port: int) -> Figures:
    connector = aiohttp.TCPConnector(keepalive_timeout=KEEPALIVE_SECONDS)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        bench = Bench(models=arguments.models, pods=arguments.pods, window=arguments.window, port=port, session=session)
        return await bench.run(window=arguments.window, windows=arguments.windows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.monitoring_cost", description=__doc__)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--pods", type=int, default=4, help="of each model")
    parser.add_argument("--window", type=float, default=60.0, help="seconds")
    parser.add_argument("--windows", type=int, default=4, help="that are measured; three more warm up")
    parser.add_argument("--save", action="store_true", help="write bench/results/monitoring_cost.json")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    with _fed() as (port, size):
        figures = uvloop.run(_measured(arguments, port)) | {"bytes of a pod's reading": size}
    tell(figures, name="monitoring_cost", save=arguments.save)
    for claim in broken(figures):
        print(f"does not hold: {claim}", file=sys.stderr)
    return 1 if broken(figures) else 0


if __name__ == "__main__":
    sys.exit(main())
