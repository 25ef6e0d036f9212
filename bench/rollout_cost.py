"""`python -m bench.rollout_cost`: what rollouts cost the operator and the API server, many at once.

A real control plane with simulated nodes; what routers and servers would tell is told by `bench.rollout_feed`. All
ModelDeployments get another version at the same moment, and each goes through three weights, compared by three checks,
until it is promoted. Writes are counted in the API server's audit log.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from hack.local import ControlPlane

from bench.audit import Write
from bench.figures import Figures, tell
from bench.plane import Object, Plane, Rig, is_ready, rig, say
from bench.process import Cost
from modelway.api.kinds import MODEL_DEPLOYMENT
from modelway.api.names import EVIDENCE_SUFFIX
from modelway.plan.rollout.ledger import WRITE_SECONDS

_ROOT = Path(__file__).resolve().parent.parent
_DIGEST = "sha256:" + "0" * 64
_NAMESPACE = "rollouts"
_ROUTERS = 2
_POD_RANGE = "127.64.0.0/10"
"""All of 127.0.0.0/8 is this machine, so one process can answer for every simulated pod."""
_FLAG = "--controllers=*,-endpointslice-controller,-endpoints-controller,-endpointslice-mirroring-controller"
"""Addresses of loopback are refused there; nobody sends requests to these pods by their Services."""
_CHECKS = [
    {"name": "errors", "errorRate": {"maxIncrease": "2%"}},
    {"name": "slow", "latency": {"threshold": "250ms", "maxIncrease": "2%"}},
    {"name": "answers", "predictions": {"maxShift": "10%"}},
]
_WEIGHTS = (10, 25, 50)
_LOOK_SECONDS = 5.0
_BEGIN, _END = "beginning", "end"
_LATE = 0.05
"""Seconds by which the watch may tell later of a write than the audit log dates it."""
Stages = defaultdict[str, list[tuple[float, str]]]
"""Of each ModelDeployment: since when it is at which stage."""
_STATUS_SECONDS = 60.0
MOST_WRITES_A_STEP = 12
MOST_CORES = 1.0
MOST_MIB = 250


def measure(*, rollouts: int, rate: float, step_seconds: int) -> Figures:
    """All of it, in one run; prints progress. Gives the figures by name."""
    with (
        rig(controller_manager_flags=[_FLAG], pod_range=_POD_RANGE, router_image="modelway.dev/router:dev") as built,
        _fed(built.control_plane, rate),
    ):
        return asyncio.run(_run(built, rollouts, rate, step_seconds))


@contextmanager
def _fed(control_plane: ControlPlane, rate: float) -> Iterator[None]:
    """With a process that answers for the simulated pods."""
    command = [sys.executable, "-m", "bench.rollout_feed", f"--server={control_plane.server}"]
    command += [f"--authority={control_plane.certificate_authority}", f"--namespace={_NAMESPACE}"]
    command += [f"--rate={rate}", f"--routers={_ROUTERS}"]
    environment = os.environ | {"BENCH_TOKEN": control_plane.token_of("admin")}
    feed = subprocess.Popen(command, env=environment, cwd=_ROOT, stdout=subprocess.PIPE)
    try:
        assert feed.stdout is not None
        if not feed.stdout.readline():
            sys.exit("bench.rollout_feed does not start: are the ports 8080 and 9902 of this machine free?")
        yield
    finally:
        feed.terminate()
        feed.wait()


async def _run(built: Rig, rollouts: int, rate: float, step_seconds: int) -> Figures:
    async with Plane.of(built.control_plane, rollouts) as plane:
        await plane.define()
        await plane.namespace(_NAMESPACE)
        built.operator.start()
        return await _Bench(plane, built, rate, step_seconds).measure()


class _Bench:
    def __init__(self, plane: Plane, built: Rig, rate: float, step_seconds: int) -> None:
        self._plane = plane
        self._operator = built.operator
        self._rate = rate
        self._step_seconds = step_seconds
        self._audit = built.audit()

    async def measure(self) -> Figures:
        await self._deploy()
        before = self._operator.cost()
        began = time.monotonic()
        busy = asyncio.create_task(self._watch_cost())
        stages: Stages = defaultdict(list)
        watching = asyncio.create_task(self._watch_stages(stages))
        await self._apply("2")
        say(f"{self._plane.count} rollouts …")
        await self._plane.until_ready(_NAMESPACE, MODEL_DEPLOYMENT, _serves("2"))
        seconds = time.monotonic() - began
        busy.cancel()
        cores, busiest = self._cores(before, self._operator.cost(), seconds), await _ended(busy)
        say(f"… {seconds:.0f} s")
        await self._plane.until_quiet()
        watching.cancel()
        cost = self._operator.cost()
        return {
            "rollouts at once": self._plane.count,
            "steps each": len(_WEIGHTS),
            "requests per second to each": self._rate,
            "all promoted, s": seconds,
            **_writes_told(self._audit.each(), stages, self._plane.count),
            "operator CPU, cores": cores,
            "operator CPU, cores in the busiest 30 s": busiest,
            "memory before the rollouts, MiB": before.resident_mib,
            "memory at most, MiB": cost.peak_mib,
        }

    async def _deploy(self) -> None:
        """Version 1, behind routers, at rest; nothing of this is counted."""
        say(f"{self._plane.count} ModelDeployments behind {_ROUTERS} routers each …")
        await self._apply("1")
        await self._plane.until_ready(_NAMESPACE, MODEL_DEPLOYMENT, lambda obj: is_ready(obj) and _serves("1")(obj))
        await self._plane.until_quiet()
        self._audit.each()

    async def _apply(self, version: str) -> None:
        await self._plane.all(
            lambda index: self._plane.client.apply(
                MODEL_DEPLOYMENT, _resource(index, version, self._step_seconds), manager="bench"
            )
        )

    async def _watch_cost(self) -> float:
        """The most cores that the operator took in 30 s; ends when it is cancelled."""
        looks = [(time.monotonic(), self._operator.cost().cpu_seconds)]
        try:
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                looks.append((time.monotonic(), self._operator.cost().cpu_seconds))
        except asyncio.CancelledError:
            span = round(30 / _LOOK_SECONDS)
            windows = zip(looks, looks[span:], strict=False)
            return max(((cpu - spent) / (end - start) for (start, spent), (end, cpu) in windows), default=0.0)

    async def _watch_stages(self, stages: Stages) -> None:
        """Note when each rollout is at which stage; ends when it is cancelled."""
        version = ""
        async for page in self._plane.client.pages(MODEL_DEPLOYMENT, _NAMESPACE, ""):
            version = page["metadata"]["resourceVersion"]
        watch = self._plane.client.watch(MODEL_DEPLOYMENT, _NAMESPACE, "", version=version, seconds=3600)
        async with watch as events:
            async for event, obj in events:
                if event == "MODIFIED":
                    seen = stages[obj["metadata"]["name"]]
                    if (stage := _stage(obj)) != (seen[-1][1] if seen else _BEGIN):
                        seen.append((time.time(), stage))

    @staticmethod
    def _cores(before: Cost, after: Cost, seconds: float) -> float:
        return (after.cpu_seconds - before.cpu_seconds) / seconds


async def _ended(task: asyncio.Task[float]) -> float:
    """What a task gives that ends when it is cancelled."""
    return await task


def _resource(index: int, version: str, step_seconds: int) -> Object:
    steps = [{"name": f"weight-{weight}", "weight": weight, "minDuration": f"{step_seconds}s"} for weight in _WEIGHTS]
    return {
        "apiVersion": MODEL_DEPLOYMENT.api_version,
        "kind": MODEL_DEPLOYMENT.name,
        "metadata": {"name": _name(index), "namespace": _NAMESPACE},
        "spec": {
            "model": {
                "uri": f"s3://models/{index}/{version}/",
                "format": "onnx",
                "version": version,
                "digest": _DIGEST,
            },
            "serving": {"replicas": 2},
            "traffic": {"replicas": _ROUTERS},
            "rollout": {"steps": steps, "checks": _CHECKS},
        },
    }


def _name(index: int) -> str:
    return f"model-{index:04d}"


def _serves(version: str) -> Any:
    """Whether a ModelDeployment serves a version and nothing else is under way."""

    def serves(obj: Object) -> bool:
        status = obj.get("status", {})
        return status.get("stable", {}).get("version") == version and "candidate" not in status

    return serves


def _stage(obj: Object) -> str:
    """What a rollout is doing: its beginning, a step, or its end."""
    status = obj.get("status", {})
    rollout = status.get("rollout", {})
    if (
        obj["spec"]["model"]["version"] == status.get("stable", {}).get("version")
        or rollout.get("state") == "Promoting"
    ):
        return _END
    step: str = rollout.get("step", _BEGIN)
    return step


def _writes_told(writes: list[Write], stages: Stages, rollouts: int) -> Figures:
    """The writes by what they are for, and by stage beside what is allowed."""
    kinds = Counter(map(_sort, writes))
    evidence, status = kinds.pop("evidence", 0) / rollouts, kinds.pop("status", 0) / rollouts
    lasted = _lasted(stages)
    figures: Figures = {
        "writes each": len(writes) / rollouts,
        "writes each: evidence": evidence,
        "writes each: status": status,
        "writes each: other": {what: count / rollouts for what, count in kinds.most_common()},
    }
    for at, seconds in lasted.items():
        mine = Counter(_sort(write) for write in writes if _at(stages, write) == at)
        figures[f"{at}: writes each"] = mine.total() / rollouts
        figures[f"{at}: of these"] = {what: count / rollouts for what, count in mine.most_common()}
        allowed = MOST_WRITES_A_STEP + seconds / WRITE_SECONDS + seconds / _STATUS_SECONDS
        figures[f"{at}: allowed for its {seconds:.0f} s"] = allowed
    return figures


def _at(stages: Stages, write: Write) -> str:
    """The stage that a write belongs to: a decision is written before all else, so with the stage that it begins."""
    seen = stages.get(write.name[: len(_name(0))], [])
    return next((stage for since, stage in reversed(seen) if since <= write.at + _LATE), _BEGIN)


def _lasted(stages: Stages) -> dict[str, float]:
    """How long each stage has lasted, at the median; of the last one nothing is known."""
    times: defaultdict[str, list[float]] = defaultdict(list)
    for seen in stages.values():
        for (since, stage), (until, _) in pairwise(seen):
            times[stage].append(until - since)
    names = [f"weight-{weight}" for weight in _WEIGHTS]
    return {
        _BEGIN: 0.0,
        **{name: statistics.median(times[name]) for name in names if times[name]},
        _END: 0.0,
    }


def _sort(write: Write) -> str:
    if write.what.endswith(" configmaps") and write.name.endswith(f"-{EVIDENCE_SUFFIX}"):
        return "evidence"
    return "status" if write.what.endswith("modeldeployments/status") else write.what


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.rollout_cost", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=200, help="rollouts at once (default: 200)")
    parser.add_argument("--rate", type=float, default=100.0, help="requests per second to each (default: 100)")
    parser.add_argument("--step-seconds", type=int, default=60, help="minDuration of each of three steps (default: 60)")
    parser.add_argument("--save", action="store_true", help="write the figures to bench/results/")
    arguments = parser.parse_args()
    figures = measure(rollouts=arguments.rollouts, rate=arguments.rate, step_seconds=arguments.step_seconds)
    tell(figures, name="rollout_cost", save=arguments.save)


if __name__ == "__main__":
    main()
