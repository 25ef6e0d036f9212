"""A control plane that a benchmark works on: makes objects in numbers, and waits until they are as they should be."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from hack.local import ControlPlane

from modelway.api.crd import render
from modelway.api.kinds import MODEL_DEPLOYMENT, Kind
from modelway.kube.client import Client
from modelway.kube.connection import Connection, Credentials
from modelway.kube.errors import NotFound

Object = dict[str, Any]

_WORKERS = 16
_QUIET_SECONDS = 12.0
_CRD = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions")
_NAMESPACES = Kind("v1", "Namespace", "namespaces")


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
