"""`python -m bench.weights`: how long a new weight takes until it is live, on the running local cluster.

Rollouts of twenty steps without checks change the weight as fast as the operator finds each live. The operator decides
when it writes the weight to status, which is its first write; a watch tells of it. A router has the weight when its
status port first tells of the files that hold it, asked every 20 ms from this machine.
"""

import argparse
import asyncio
import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any, NamedTuple

import aiohttp
import numpy as np
from hack.demo.kubectl import Kubectl

from modelway.api.names import COMPONENT_ROUTER, LABEL_COMPONENT, child_name
from modelway.plan.routing.envoy import COUNTERS_PATH, ROUTES_FILE, ROUTES_NAME, STATUS_PORT

_ROOT = Path(__file__).resolve().parent.parent
_NAME = "weights"
_STEPS = 20
_ROUTES = f"http.public.rds.{ROUTES_NAME}.version_text"
_END = "\x1e"
"""Between two answers of a watch: a control character, which no JSON has unescaped."""
_WATCHES_APART = 0.5
"""Seconds by which one watch may tell later of a write than another of the next."""
_SERVER = "import http.server as s; s.ThreadingHTTPServer(('', 8000), s.SimpleHTTPRequestHandler).serve_forever()"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.weights", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=5, help=f"rollouts of {_STEPS} weights each (default: 5)")
    arguments = parser.parse_args()
    os.environ.setdefault("KUBECONFIG", str(_ROOT / ".local" / "kubeconfig"))
    with _namespace() as kubectl:
        print(json.dumps(asyncio.run(_measure(kubectl, arguments.rollouts)), indent=2))


@contextmanager
def _namespace() -> Iterator[Kubectl]:
    kubectl = Kubectl(f"bench-{uuid.uuid4().hex[:8]}")
    kubectl.run("create", "namespace", kubectl.namespace)
    try:
        yield kubectl
    finally:
        kubectl.run("delete", "namespace", kubectl.namespace, "--wait=false")


async def _measure(kubectl: Kubectl, rollouts: int) -> dict[str, Any]:
    kubectl.apply(_resource(0))
    await _serves(kubectl, 0)
    selector = f"{LABEL_COMPONENT}={COMPONENT_ROUTER}"
    routers = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in kubectl.list("pods", selector)}
    decided: list[_Noted] = []
    made: list[_Noted] = []
    seen: dict[tuple[str, str], float] = {}
    status = "{.status.rollout.weight}"
    files = f"{{.data.{ROUTES_FILE.replace('.', chr(92) + '.')}}}"
    watching = [
        asyncio.create_task(_noted(kubectl, ("mdep", _NAME), status, decided)),
        asyncio.create_task(_noted(kubectl, ("configmap", child_name(_NAME, "router")), files, made)),
        *(asyncio.create_task(_versions(name, address, seen)) for name, address in routers.items()),
    ]
    for number in range(1, rollouts + 1):
        kubectl.apply(_resource(number))
        await _serves(kubectl, number)
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    told = dict(_decisions(decided, made))
    taken = np.array([at - told[version] for (_, version), at in seen.items() if version in told])
    p50, p90, p99 = np.percentile(taken, [50, 90, 99])
    return {"changes": len(taken), "p50_s": round(p50, 2), "p90_s": round(p90, 2), "p99_s": round(p99, 2)}


def _resource(number: int) -> dict[str, Any]:
    """A ModelDeployment of a small server; each `number` is another revision, and other weights on the way to it."""
    images = dict(line.split("=", 1) for line in (_ROOT / ".local" / "images.env").read_text().splitlines())
    container = {"image": images["SERVER_IMAGE"], "command": ["python3", "-c", _SERVER], "port": 8000}
    resources = {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}
    template = {"env": [{"name": "NUMBER", "value": str(number)}]}
    weights = range(1 + number % 4, 100, 99 // _STEPS)[:_STEPS]
    return {
        "apiVersion": "modelway.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": _NAME, "annotations": {"bench.modelway.dev/number": str(number)}},
        "spec": {
            "serving": {"container": container, "replicas": 1, "resources": resources, "podTemplate": template},
            "traffic": {"router": "Envoy"},
            "rollout": {"steps": [{"name": f"weight-{weight}", "weight": weight} for weight in weights]},
        },
    }


async def _serves(kubectl: Kubectl, number: int) -> None:
    """Wait until revision `number` is the stable one, behind routers."""

    def promoted() -> bool:
        history = kubectl.get("mdep", _NAME).get("status", {}).get("history", [])
        leads = kubectl.list("services", f"modelway.dev/name={_NAME}")
        routed = any(one["spec"]["selector"].get(LABEL_COMPONENT) == COMPONENT_ROUTER for one in leads)
        return routed and sum(entry["result"] == "Promoted" for entry in history) > number

    show = ("get", "mdep", _NAME, "--output=yaml")
    await asyncio.to_thread(kubectl.wait, f"revision {number} serves", promoted, seconds=180, show=show)


class _Noted(NamedTuple):
    """Something that a watch has told, and when."""

    at: float
    text: str


async def _noted(kubectl: Kubectl, target: tuple[str, str], path: str, noted: list[_Noted]) -> None:
    """Note each time that what stands at `path` of an object has changed."""
    command = [
        "kubectl",
        "get",
        *target,
        f"--namespace={kubectl.namespace}",
        "--watch",
        f"--output=jsonpath={path}{_END}",
    ]
    environment = os.environ | {"PATH": f"{_ROOT / '.local' / 'bin'}:{os.environ['PATH']}"}
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.PIPE)
    try:
        while (text := await _until_end(process.stdout)) is not None:
            if not noted or noted[-1].text != text:
                noted.append(_Noted(time(), text))
    finally:
        process.terminate()
        await process.wait()


async def _until_end(stream: asyncio.StreamReader | None) -> str | None:
    """The next text before `_END`; None when there is no more."""
    assert stream is not None
    try:
        return (await stream.readuntil(_END.encode())).decode().removesuffix(_END)
    except asyncio.IncompleteReadError:
        return None


def _decisions(decided: list[_Noted], made: list[_Noted]) -> Iterator[tuple[str, float]]:
    """Of each version of the routes with a weight: when that weight was decided, which was shortly before."""
    for at, text in made:
        routes = json.loads(text)
        shares = routes["resources"][0]["virtual_hosts"][0]["routes"][-1]["route"].get("weighted_clusters")
        if shares is None:
            continue
        weight = str(shares["clusters"][0]["weight"])
        moments = [one.at for one in decided if one.text == weight and one.at < at + _WATCHES_APART]
        if moments:
            yield routes["version_info"], moments[-1]


async def _versions(name: str, address: str, seen: dict[tuple[str, str], float]) -> None:
    """Note when the router first tells of each version of its routes but the one that it has already."""
    had = None
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://{address}:{STATUS_PORT}{COUNTERS_PATH}") as answer:
                told = json.loads(await answer.read())["stats"]
            version = next(entry["value"] for entry in told if entry.get("name") == _ROUTES)
            had = had or version
            if version != had:
                seen.setdefault((name, version), time())
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    main()
