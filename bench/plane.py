"""A control plane that a benchmark works on: makes objects in numbers, and waits until they are as they should be."""

import asyncio
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hack.local import ControlPlane
from hack.local.kwok import POD_RANGE

from bench.audit import Audit
from bench.process import OperatorProcess, operator_environment
from modelway.api.crd import render
from modelway.api.kinds import MODEL_DEPLOYMENT, Kind
from modelway.kube.client import Client
from modelway.kube.connection import Connection, Credentials
from modelway.kube.errors import NotFound

Object = dict[str, Any]

OPERATOR = "modelway-operator"
"""The user as whom the operator asks the API server, and whose writes are counted."""

_CACHE = Path.home() / ".cache" / "modelway"
_WORKERS = 16
_QUIET_SECONDS = 12.0
_LONGEST_ERRORS = 4000
_CRD = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions")
_NAMESPACES = Kind("v1", "Namespace", "namespaces")


@dataclass(frozen=True, slots=True)
class Rig:
    """A control plane with simulated nodes, and an operator beside it that somebody has yet to start."""

    control_plane: ControlPlane
    operator: OperatorProcess

    def audit(self) -> Audit:
        """What the operator writes from now on, in the API server's own words."""
        return Audit(self.control_plane.audit_log, OPERATOR)


@contextmanager
def rig(*, controller_manager_flags: Sequence[str] = (), pod_range: str = POD_RANGE, **settings: str) -> Iterator[Rig]:
    """A rig for one benchmark; in the end everything is stopped, and the operator's errors are shown.

    Args:
        controller_manager_flags: beyond those that simulated nodes need.
        pod_range: addresses of simulated pods.
        **settings: of the operator.
    """
    command = operator_environment(_CACHE / "bench-venv")
    with tempfile.TemporaryDirectory(prefix="modelway-bench-") as folder:
        control_plane = ControlPlane(
            Path(folder),
            audit=True,
            audit_users=[OPERATOR],
            kwok_nodes=10,
            controller_manager_flags=["--node-monitor-grace-period=24h", *controller_manager_flags],
            say=say,
            pod_range=pod_range,
        )
        log = Path(folder) / "operator.log"
        log.touch()
        with control_plane:
            operator = OperatorProcess(command, control_plane.kubeconfig_of(OPERATOR), log, port=18099, **settings)
            try:
                yield Rig(control_plane, operator)
            finally:
                errors = (line for line in log.read_text().splitlines() if '"level":"error"' in line)
                say("\n".join(errors)[:_LONGEST_ERRORS])
                operator.end()


@dataclass(frozen=True, slots=True)
class Plane:
    """A control plane, its administrator's client, and the number of resources that the benchmark is about."""

    control_plane: ControlPlane
    client: Client
    count: int

    @classmethod
    @asynccontextmanager
    async def of(cls, control_plane: ControlPlane, count: int) -> AsyncIterator[Self]:
        """With a client that is closed in the end."""
        client = administrator(
            control_plane.server, str(control_plane.certificate_authority), control_plane.token_of("admin")
        )
        try:
            yield cls(control_plane, client, count)
        finally:
            await client.close()

    async def define(self) -> None:
        """Make the CRD, and wait until it can be used."""
        crd = render()
        await self.client.apply(_CRD, crd | {"metadata": crd["metadata"] | {"namespace": ""}}, manager="bench")
        async with asyncio.timeout(30):
            while not await self._is_defined():
                await asyncio.sleep(0.1)

    async def _is_defined(self) -> bool:
        try:
            return bool([page async for page in self.client.pages(MODEL_DEPLOYMENT, None, "")])
        except NotFound:
            return False

    async def all(self, work: Callable[[int], Awaitable[Any]]) -> None:
        """`work` for every index, a bounded number at once."""
        waiting = iter(range(self.count))

        async def worker() -> None:
            for index in waiting:
                await work(index)

        await asyncio.gather(*(worker() for _ in range(_WORKERS)))

    async def namespace(self, name: str) -> None:
        """Make a namespace."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "namespace": ""}}
        await self.client.apply(_NAMESPACES, body, manager="bench")

    async def until_ready(self, namespace: str, kind: Kind, holds: Callable[[Object], bool]) -> None:
        """Wait until `holds` for as many objects of `kind` as there are to be; told by a watch, without polling."""
        waiting: set[str] = set()
        done = 0
        version = ""
        async for page in self.client.pages(kind, namespace, ""):
            version = page["metadata"]["resourceVersion"]
            for obj in page["items"]:
                if holds(obj):
                    done += 1
                else:
                    waiting.add(obj["metadata"]["name"])
        if len(waiting) + done < self.count:
            raise AssertionError(f"{kind.name}: {len(waiting) + done} of {self.count} exist")
        async with asyncio.timeout(900):
            while waiting:
                async with self.client.watch(kind, namespace, "", version=version, seconds=600) as events:
                    async for _, obj in events:
                        version = obj["metadata"]["resourceVersion"]
                        if "name" in obj["metadata"] and holds(obj):
                            waiting.discard(obj["metadata"]["name"])
                        if not waiting:
                            return

    async def until_quiet(self) -> None:
        """Wait until the operator has written nothing for twelve seconds."""
        size, since = -1, time.monotonic()
        while time.monotonic() - since < _QUIET_SECONDS:
            current = self.control_plane.audit_log.read_bytes().count(b'"verb":"patch"')
            if current != size:
                size, since = current, time.monotonic()
            await asyncio.sleep(1)


def administrator(server: str, authority: str, token: str) -> Client:
    """A client that may do everything."""
    tls = ssl.create_default_context(cafile=authority)
    return Client(
        Connection(server=server, tls=tls, credentials=Credentials(fixed={"Authorization": f"Bearer {token}"}))
    )


def is_ready(obj: Object) -> bool:
    """Whether a ModelDeployment says that it serves."""
    conditions = obj.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def say(message: str) -> None:
    """Tell of progress."""
    print(f"  {message}", flush=True)
