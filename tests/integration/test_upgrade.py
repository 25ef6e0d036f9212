"""A newer operator: it restarts no pod of what is there, and makes what comes in its own way."""

import asyncio
import sys

from support.builders import changed
from support.cluster import spec_of
from support.operator import operating, operating_here

_PLAN = sys.modules["modelway.plan.plan"]  # the package has a function of that name


async def test_one_that_builds_pods_differently_restarts_none(cluster, namespace, log, monkeypatch):
    deployed, mark, pods = await asyncio.to_thread(served_by_the_old_one, cluster, namespace, log)
    built = _PLAN.pod_template
    monkeypatch.setattr(_PLAN, "pod_template", lambda *given: changed(built(*given), {"spec.hostname": "new"}))
    async with operating_here(cluster, monkeypatch, MODELWAY_SERVER_IMAGE="modelway.dev/server:next"):
        after = await asyncio.to_thread(namespace.deploy, spec_of(model__version="2"), name="after")
        await asyncio.to_thread(after.wait_until_served)
    about_others = [str(write) for write in namespace.writes(mark) if not write.name.startswith("after")]
    assert about_others == []
    assert {pod["metadata"]["uid"] for pod in deployed.pods()} == pods
    template = after.deployment()["spec"]["template"]["spec"]
    assert template["hostname"] == "new"
    assert template["containers"][0]["image"] == "modelway.dev/server:next"


def served_by_the_old_one(cluster, namespace, log):
    with operating(cluster, log):
        deployed = namespace.deploy()
        deployed.wait_until_served()
        mark = namespace.rest()
    return deployed, mark, {pod["metadata"]["uid"] for pod in deployed.pods()}
