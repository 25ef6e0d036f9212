"""What the operator costs on a real API server with simulated nodes: writes, CPU, memory, time.

One run, one machine: a plain asyncio script applies the same children first, so that the operator's time is read
against what the cluster itself needs. Writes are counted in the API server's audit log.
"""

import asyncio
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bench.figures import Figures
from bench.plane import Plane, Rig, is_ready, rig, say
from modelway.api.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    MODEL_DEPLOYMENT,
    NETWORK_POLICY,
    SERVICE,
    Kind,
)
from modelway.api.resource import ModelDeployment
from modelway.kube.errors import NotFound
from modelway.plan import Observed, Settings, plan

Object = dict[str, Any]

_DIGEST = "sha256:" + "0" * 64


def measure(*, resources: int, rest_seconds: float, repairs: int) -> Figures:
    """Everything, in one run; prints progress. Gives the figures by name."""
    # Simulated pods have no metrics. Asked for 1,000 times every 15 s in vain, with an Event each time, they would be
    # the largest load in the cluster.
    with rig(controller_manager_flags=["--horizontal-pod-autoscaler-sync-period=1h"]) as built:
        return asyncio.run(_run(built, resources, rest_seconds, repairs))


async def _run(built: Rig, resources: int, rest_seconds: float, repairs: int) -> Figures:
    async with Plane.of(built.control_plane, resources) as plane:
        return await _Bench(plane, built).measure(rest_seconds, repairs)


class _Bench:
    def __init__(self, plane: Plane, built: Rig) -> None:
        self._plane = plane
        self._client = plane.client
        self._operator = built.operator
        self._count = plane.count
        self._audit = built.audit()

    async def measure(self, rest_seconds: float, repairs: int) -> Figures:
        await self._plane.define()
        figures: Figures = {"ModelDeployments": self._count}
        figures |= await self._plain()
        figures |= await self._create(figures)
        figures |= await self._rest(rest_seconds)
        figures |= await self._restart()
        figures |= await self._repair(repairs)
        figures |= await self._change()
        return figures

    async def _plain(self) -> Figures:
        """The same children, applied by a script that does nothing else, until all their pods are ready."""
        say(f"a plain script applies the children of {self._count} ModelDeployments …")
        await self._plane.namespace("plain")
        bodies = [_children(_resource("plain", index)) for index in range(self._count)]
        began, spent = time.monotonic(), time.process_time()

        async def one(index: int) -> None:
            for kind, body in bodies[index]:
                await self._client.apply(kind, body, manager="plain")

        await self._plane.all(one)
        applied, spent = time.monotonic() - began, time.process_time() - spent
        await self._plane.until_ready(
            "plain", DEPLOYMENT, lambda obj: obj.get("status", {}).get("readyReplicas", 0) >= 1
        )
        seconds = time.monotonic() - began
        say(f"… {seconds:.1f} s")
        await self._empty("plain")
        return {
            "plain script: writes": sum(map(len, bodies)),
            "plain script: applied, s": applied,
            "plain script: all ready, s": seconds,
            "plain script: CPU, s": spent,
        }

    async def _create(self, plain: Figures) -> Figures:
        leads = self._operator.start()
        await self._plane.namespace("bench")
        say(f"{self._count} ModelDeployments …")
        before = self._operator.cost()
        began = time.monotonic()
        await self._plane.all(
            lambda index: self._client.apply(MODEL_DEPLOYMENT, _resource("bench", index), manager="bench")
        )
        applied = time.monotonic() - began
        await self._plane.until_ready("bench", MODEL_DEPLOYMENT, is_ready)
        ready = time.monotonic() - began
        cost = self._operator.cost()
        say(f"… {ready:.1f} s")
        await self._plane.until_quiet()
        settled = self._operator.cost()
        writes = self._audit.writes()
        return {
            "cold start until it leads, s": leads,
            "create: applied, s": applied,
            "create: all Ready, s": ready,
            "create: all Ready, times the plain script": ready / plain["plain script: all ready, s"],
            "create: operator CPU, s": cost.cpu_seconds - before.cpu_seconds,
            "create: operator CPU, times the plain script": (cost.cpu_seconds - before.cpu_seconds)
            / plain["plain script: CPU, s"],
            "create: operator CPU until quiet, s": settled.cpu_seconds - before.cpu_seconds,
            "create: writes each, events included": writes.total() / self._count,
            "create: writes by kind, each": {key: count / self._count for key, count in writes.most_common()},
            "memory before, MiB": before.resident_mib,
            "memory at rest, MiB": settled.resident_mib,
            "memory at most, MiB": settled.peak_mib,
        }

    async def _rest(self, seconds: float) -> Figures:
        say(f"at rest for {seconds:.0f} s …")
        before = self._operator.cost()
        await asyncio.sleep(seconds)
        spent = self._operator.cost().cpu_seconds - before.cpu_seconds
        return {
            f"rest of {seconds:.0f} s: writes": self._audit.writes().total(),
            "rest: operator CPU, % of a core": 100 * spent / seconds,
        }

    async def _restart(self) -> Figures:
        say("restart, then two replicas, of which the second brings an upgrade that builds pods differently …")
        self._operator.stop()
        leads = self._operator.start()
        await self._plane.until_quiet()
        memory = self._operator.cost().peak_mib
        standby = self._operator.beside(port=18098)
        try:
            standby.launch()
            handed_over = self._operator.hand_over_to(standby)
            await self._plane.until_quiet()
            restart = self._audit.writes().total()
            self._operator.launch(server_image="modelway.dev/server:next")
            upgraded = standby.hand_over_to(self._operator)
        finally:
            standby.end()
        await self._plane.until_quiet()
        return {
            "restart of the only replica: s until it leads again": leads,
            "restart: memory at most, MiB": memory,
            "end of one of two replicas: s until the other leads": handed_over,
            "both: writes": restart,
            "upgrade of the pod builder: s until the new replica leads": upgraded,
            "upgrade of the pod builder: writes": self._audit.writes().total(),
        }

    async def _repair(self, count: int) -> Figures:
        """Delete and edit children of each kind in turn; seconds until each is as it was."""
        say(f"{count} repairs of each sort …")
        deleted, edited = [], []
        for index in range(count):
            children = _children(_resource("bench", index))
            kind, body = children[index % len(children)]
            deleted.append(await self._deleted(kind, body["metadata"]["name"]))
            kind, body = children[(index + 3) % len(children)]
            edited.append(await self._edited(kind, body["metadata"]["name"]))
        await self._plane.until_quiet()
        self._audit.writes()
        return {
            "repair of a deleted child: median, s": statistics.median(deleted),
            "repair of a deleted child: slowest, s": max(deleted),
            "repair of an edited child: median, s": statistics.median(edited),
            "repair of an edited child: slowest, s": max(edited),
        }

    async def _deleted(self, kind: Kind, name: str) -> float:
        live = await self._client.get(kind, "bench", name)
        began = time.monotonic()
        await self._client.delete(kind, "bench", name, uid=live["metadata"]["uid"])
        return await self._until(
            began,
            kind,
            name,
            lambda obj: obj["metadata"]["uid"] != live["metadata"]["uid"] and _content(obj) == _content(live),
        )

    async def _edited(self, kind: Kind, name: str) -> float:
        live = await self._client.get(kind, "bench", name)
        began = time.monotonic()
        edit = _EDITS[kind]
        metadata = {"name": name, "namespace": "bench", **edit.get("metadata", {})}
        await self._client.merge(kind, edit | {"metadata": metadata})
        return await self._until(began, kind, name, lambda obj: _content(obj) == _content(live))

    async def _until(self, began: float, kind: Kind, name: str, holds: Callable[[Object], bool]) -> float:
        while time.monotonic() - began < 30:
            try:
                if holds(await self._client.get(kind, "bench", name)):
                    return time.monotonic() - began
            except NotFound:
                pass
            await asyncio.sleep(0.005)
        raise TimeoutError(f"{kind.name} {name} was not repaired within 30 s")

    async def _change(self) -> Figures:
        """A new version of every model, until all of them serve it."""
        say(f"a change of all {self._count} …")
        before = self._operator.cost()
        began = time.monotonic()
        await self._plane.all(
            lambda index: self._client.apply(MODEL_DEPLOYMENT, _resource("bench", index, version="2"), manager="bench")
        )
        await self._plane.until_ready(
            "bench", MODEL_DEPLOYMENT, lambda obj: obj["status"].get("stable", {}).get("version") == "2"
        )
        done = time.monotonic() - began
        say(f"… {done:.1f} s")
        await self._plane.until_quiet()
        spent = self._operator.cost().cpu_seconds - before.cpu_seconds
        writes = self._audit.writes()
        self._operator.stop()
        return {
            "change: all done, s": done,
            "change: s each": done / self._count,
            "change: operator CPU until quiet, s": spent,
            "change: writes each, events included": writes.total() / self._count,
            "change: writes by kind, each": {key: count / self._count for key, count in writes.most_common()},
        }

    async def _empty(self, namespace: str) -> None:
        """Delete what the plain script has made, and wait until it is gone."""
        say("clearing up …")
        for kind in _EDITS:
            async for page in self._client.pages(kind, namespace, ""):
                for obj in page["items"]:
                    metadata = obj["metadata"]
                    if metadata["name"] != "kube-root-ca.crt":
                        await self._client.delete(kind, namespace, metadata["name"], uid=metadata["uid"])
        pods = Kind("v1", "Pod", "pods")
        async with asyncio.timeout(600):
            while True:
                async for page in self._client.pages(pods, namespace, ""):
                    if not page["items"]:
                        return
                    break
                await asyncio.sleep(1)


_EDITS: dict[Kind, Object] = {
    CONTROLLER_REVISION: {"metadata": {"labels": {"modelway.dev/name": "edited"}}},
    CONFIG_MAP: {"data": {"digest": "edited"}},
    SERVICE: {"spec": {"selector": {"edited": "yes"}}},
    DEPLOYMENT: {"spec": {"template": {"spec": {"hostNetwork": True}}}},
    NETWORK_POLICY: {"spec": {"ingress": None}},
    DISRUPTION_BUDGET: {"spec": {"maxUnavailable": 5}},
    AUTOSCALER: {"spec": {"maxReplicas": 77}},
}


def _resource(namespace: str, index: int, *, version: str = "1") -> Object:
    return {
        "apiVersion": MODEL_DEPLOYMENT.api_version,
        "kind": MODEL_DEPLOYMENT.name,
        "metadata": {"name": f"model-{index:04d}", "namespace": namespace},
        "spec": {
            "model": {
                "uri": f"s3://models/{index}/{version}/",
                "format": "onnx",
                "version": version,
                "digest": _DIGEST,
            },
            "serving": {"autoscaling": {"minReplicas": 1, "maxReplicas": 3}},
        },
    }


def _children(resource: Object) -> list[tuple[Kind, Object]]:
    """What the operator makes of `resource`, as the plain script applies it: without an owner."""
    named = resource | {"metadata": resource["metadata"] | {"uid": "0"}}
    observed = Observed(resource=ModelDeployment.parse(named))
    decision = plan(observed, settings=Settings(server_image="modelway.dev/server:dev"), now=datetime.now(UTC))
    children = []
    for child in decision.children:
        metadata = {key: value for key, value in child.body["metadata"].items() if key != "ownerReferences"}
        children.append((child.kind, child.body | {"metadata": metadata}))
    return children


def _content(obj: Object) -> Object:
    """What a child is, without what may differ between two that are the same."""
    kept = {key: value for key, value in obj.items() if key not in {"metadata", "status"}}
    if obj["kind"] == SERVICE.name:
        kept["spec"] = {key: value for key, value in kept["spec"].items() if not key.startswith("clusterIP")}
    return kept | {"labels": obj["metadata"]["labels"]}
