"""What batch jobs cost the operator: `python -m bench.batch_plane [--resources 500] [--rest 120] [--save]`.

A real control plane with simulated nodes, and so many ModelDeployments with a batch job each. Writes are the
operator's own, counted in the API server's audit log; those of Kubernetes' controllers are not the operator's.
"""

import argparse
import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from bench.figures import Figures, tell
from bench.plane import Plane, Rig, rig, say
from modelway.api.batch_dates import parse
from modelway.api.kinds import CRON_JOB, JOB, MODEL_DEPLOYMENT
from modelway.cli.batch import manual

Object = dict[str, Any]

_DIGEST = "sha256:" + "0" * 64
_DAY = "2026-11-20"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.batch_plane", description=__doc__)
    parser.add_argument("--resources", type=int, default=500, help="ModelDeployments with a batch job (default: 500)")
    parser.add_argument(
        "--rest", type=float, default=120.0, help="seconds to watch the operator at rest (default: 120)"
    )
    parser.add_argument("--runs", type=int, default=100, help="runs at once, of 4 shards each (default: 100)")
    parser.add_argument("--save", action="store_true", help="write the figures to bench/results/")
    given = parser.parse_args()
    with rig() as built:
        figures = asyncio.run(_measured(built, given.resources, given.rest, given.runs))
    tell(figures, name="batch_plane", save=given.save)


async def _measured(built: Rig, count: int, rest: float, runs: int) -> Figures:
    async with Plane.of(built.control_plane, count) as plane:
        await plane.define()
        await plane.namespace("bench")
        built.operator.start()
        audit = built.audit()
        figures: Figures = {"ModelDeployments with a batch job each": count}
        figures |= await _created(plane, built, audit, count)
        figures |= await _at_rest(built, audit, rest)
        figures |= await _running(plane, built, audit, min(runs, count))
        built.operator.stop()
        return figures


async def _created(plane: Plane, built: Rig, audit: Any, count: int) -> Figures:
    say(f"{count} ModelDeployments with a batch job each …")
    before, began = built.operator.cost(), time.monotonic()
    await plane.all(lambda index: plane.client.apply(MODEL_DEPLOYMENT, _resource(index), manager="bench"))
    await plane.until_ready("bench", MODEL_DEPLOYMENT, lambda obj: bool(obj.get("status", {}).get("batchJobs")))
    await _until_there(plane, count)
    seconds = time.monotonic() - began
    await plane.until_quiet()
    writes, after = audit.writes(), built.operator.cost()
    return {
        "create: all CronJobs there, s": seconds,
        "create: operator CPU until quiet, s": after.cpu_seconds - before.cpu_seconds,
        "create: writes each, events included": writes.total() / count,
        "create: writes by kind, each": {key: number / count for key, number in writes.most_common()},
        "memory at rest, MiB": after.resident_mib,
    }


async def _until_there(plane: Plane, count: int) -> None:
    """Wait until each has its CronJob."""
    async with asyncio.timeout(600):
        while True:
            found = 0
            async for page in plane.client.pages(CRON_JOB, "bench", ""):
                found += len(page["items"])
            if found >= count:
                return
            await asyncio.sleep(0.5)


async def _at_rest(built: Rig, audit: Any, seconds: float) -> Figures:
    say(f"at rest for {seconds:.0f} s …")
    before = built.operator.cost()
    await asyncio.sleep(seconds)
    spent = built.operator.cost().cpu_seconds - before.cpu_seconds
    return {
        f"rest of {seconds:.0f} s: writes": audit.writes().total(),
        "rest: operator CPU, % of a core": 100 * spent / seconds,
    }


async def _running(plane: Plane, built: Rig, audit: Any, runs: int) -> Figures:
    """Runs at once, as `modelway batch run` makes them, until status tells that all have ended."""
    say(f"{runs} runs of 4 shards at once …")
    before, began = built.operator.cost(), time.monotonic()
    some = Plane(plane.control_plane, plane.client, runs)

    async def begin(index: int) -> None:
        cron_job = await plane.client.get(CRON_JOB, "bench", f"model-{index:04d}-nightly")
        name = next(manual.names(cron_job["metadata"]["name"], parse(_DAY), 0))
        await plane.client.apply(JOB, manual.job_of(cron_job, name, parse(_DAY)), manager="bench")

    await some.all(begin)
    ended = Plane(plane.control_plane, plane.client, plane.count)
    await ended.until_ready("bench", MODEL_DEPLOYMENT, lambda obj: _has_run(obj) or _index(obj) >= runs)
    seconds = time.monotonic() - began
    await plane.until_quiet()
    writes, after = audit.writes(), built.operator.cost()
    return {
        f"{runs} runs of 4 shards: all told, s": seconds,
        "runs: operator CPU until quiet, s": after.cpu_seconds - before.cpu_seconds,
        "runs: operator's writes each, events included": writes.total() / runs,
        "runs: writes by kind, each": {key: number / runs for key, number in writes.most_common()},
        "runs: memory at most, MiB": after.peak_mib,
    }


def _has_run(obj: Object) -> bool:
    entries = obj.get("status", {}).get("batchJobs", ())
    return any(one.get("lastRun", {}).get("result") == "Succeeded" for one in entries)


def _index(obj: Object) -> int:
    return int(obj["metadata"]["name"].rpartition("-")[2])


def _resource(index: int) -> Object:
    due = datetime.now(UTC).month % 12 + 1  # next month: nothing fires while it is measured
    return {
        "apiVersion": MODEL_DEPLOYMENT.api_version,
        "kind": MODEL_DEPLOYMENT.name,
        "metadata": {"name": f"model-{index:04d}", "namespace": "bench"},
        "spec": {
            "model": {"uri": f"s3://models/{index}/1/", "format": "onnx", "version": "1", "digest": _DIGEST},
            "batchJobs": [
                {
                    "name": "nightly",
                    "schedule": f"15 2 1 {due} *",
                    "input": {"uri": "s3://lake/in/dt={date}/"},
                    "output": {"uri": f"s3://lake/out/{index}/dt={{date}}/"},
                    "shards": 4,
                }
            ],
        },
    }


if __name__ == "__main__":
    main()
