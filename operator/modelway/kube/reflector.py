"""Keeps a store equal to what the API server holds of one kind: list, watch, and list again when the watch is lost.

One reflector a kind and namespace, for the life of the process. It never gives up: whatever happens to the API server
costs a jittered pause, and deletions that fell into a gap are found by comparing the new list with the store.
A kind that is optional may be missing, come and go: while it is missing, one list in half a minute finds it again.
Told `on_change` for each owner of whom something changed; while the first list is read, with `initial=True`.
"""

import asyncio
import random
from collections.abc import Callable
from time import monotonic

import aiohttp
import structlog

from modelway.api.kinds import POD, Kind, Unserved
from modelway.api.names import ANNOTATION_ROUTING, COMPONENT_BATCH, LABEL_COMPONENT
from modelway.kube.client import Client, Object
from modelway.kube.errors import ApiError, Forbidden, Gone, NotFound
from modelway.kube.store import Owner, Store

_log = structlog.get_logger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 15.0
_UNSERVED_PAUSE = 30.0
"""Seconds at most between two looks for a kind that is missing."""
_SHORTEST_WATCH = 1.0
"""Seconds; a watch that ends sooner and has told nothing is a server that refuses it politely."""
_WATCH_SECONDS = (300, 600)

_POD_STATUS = ("phase", "podIP", "conditions", "initContainerStatuses", "containerStatuses", "reason", "message")
_RUN_CONTAINER = ("name", "state", "ready")
_POD_METADATA = ("name", "namespace", "uid", "resourceVersion", "labels", "deletionTimestamp", "creationTimestamp")


class Reflector:
    """Keeps `store` up to date with `kind` in one namespace, or in all."""

    def __init__(
        self,
        client: Client,
        store: Store,
        kind: Kind,
        *,
        namespace: str | None,
        selector: str,
        on_change: Callable[[Owner, bool], None],
        seed: random.Random,
        optional: bool = False,
    ) -> None:
        self._client = client
        self._store = store
        self.kind = kind
        self._namespace = namespace
        self._selector = selector
        self._on_change = on_change
        self._random = seed
        self._optional = optional
        self.synced = asyncio.Event()
        """Set when the first list is in the store, or there is nothing to list."""
        self.alive_at = monotonic()
        """When this task last heard of the server, or noticed that it cannot; on the monotonic clock."""
        self._failures = 0
        self._untold: set[Owner] = set()
        """Whose objects a list took in before it broke off: in the next one they are no news any more."""

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                version = await self._list()
                while True:
                    version = await self._watch(version)
            except Gone:
                _log.info("watch_expired", kind=self.kind.name, namespace=self._namespace)
                await self._pause()
            except (NotFound, Forbidden) as error:
                await (self._missing(error) if self._optional else self._lost(error))
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                await self._lost(error)

    async def _lost(self, error: Exception) -> None:
        told = str(error) or type(error).__name__
        _log.warning("watch_lost", kind=self.kind.name, namespace=self._namespace, error=told)
        await self._pause()

    async def _missing(self, error: NotFound | Forbidden) -> None:
        """Forget what there was, and look again after a while. Without a log line: status says what is missing."""
        why = Unserved.NOT_INSTALLED if isinstance(error, NotFound) else Unserved.FORBIDDEN
        initial = not self.synced.is_set()
        touched = self._store.withdraw(self.kind, self._namespace, why)
        self._heard()
        self.synced.set()
        for owner in touched:
            self._on_change(owner, initial)
        await asyncio.sleep(self._random.uniform(_UNSERVED_PAUSE / 2, _UNSERVED_PAUSE))

    async def _list(self) -> str:
        listed, version = set[str](), ""
        async for page in self._client.pages(self.kind, self._namespace, self._selector):
            version = page["metadata"]["resourceVersion"]
            items = page.pop("items")
            while items:  # each is let go when it is in the store: decoded, a page is ten times what is kept of it
                obj = items.pop()
                listed.add(obj["metadata"]["uid"])
                if (owner := self._store.put(self.kind, slim(self.kind, obj))) is not None:
                    self._untold.add(owner)
        initial = not self.synced.is_set()
        touched = self._untold | self._store.complete(self.kind, self._namespace, listed, version=version)
        self._untold.clear()
        self._heard()
        self.synced.set()
        for owner in touched:
            self._on_change(owner, initial)
        return version

    async def _watch(self, version: str) -> str:
        """Watch from `version` until the server ends the watch; gives the version to go on from."""
        seconds, began, told = self._random.randint(*_WATCH_SECONDS), monotonic(), False
        async with self._client.watch(
            self.kind, self._namespace, self._selector, version=version, seconds=seconds
        ) as events:
            async for kind_of_event, obj in events:
                self._heard()
                told, self._failures = True, 0
                version = obj["metadata"]["resourceVersion"]
                if kind_of_event == "BOOKMARK":
                    continue
                take = self._store.discard if kind_of_event == "DELETED" else self._store.put
                if (owner := take(self.kind, slim(self.kind, obj))) is not None:
                    self._on_change(owner, False)
        if not told and monotonic() - began < _SHORTEST_WATCH:
            raise ConnectionError("the watch ended as soon as it had begun")
        return version

    def _heard(self) -> None:
        self.alive_at = monotonic()

    async def _pause(self) -> None:
        """Wait, the longer the more often it failed since a watch last told anything."""
        self.alive_at = monotonic()
        longest = min(_FIRST_PAUSE * 2.0 ** min(self._failures, 16), _LONGEST_PAUSE)
        self._failures += 1
        await asyncio.sleep(self._random.uniform(longest / 2, longest))


def slim(kind: Kind, obj: Object) -> Object:
    """`obj` without what nobody reads: field managers everywhere, and most of a pod."""
    metadata = obj["metadata"]
    metadata.pop("managedFields", None)
    if kind != POD:
        return obj
    status = obj.get("status", {})
    kept = {key: metadata[key] for key in _POD_METADATA if key in metadata}
    if told := metadata.get("annotations", {}).get(ANNOTATION_ROUTING):
        kept["annotations"] = {ANNOTATION_ROUTING: told}
    read = {key: status[key] for key in _POD_STATUS if key in status}
    if metadata.get("labels", {}).get(LABEL_COMPONENT) == COMPONENT_BATCH:
        read |= _of_a_run(read)
    return {"metadata": kept, "status": read}


def _of_a_run(status: Object) -> Object:
    """What is read of a pod of a batch run. There may be ten thousand of them, kept until their Job goes."""
    fields = ("initContainerStatuses", "containerStatuses")
    lean = {
        field: [{key: one[key] for key in _RUN_CONTAINER if key in one} for one in status[field]]
        for field in fields
        if field in status
    }
    return lean | {"conditions": [one for one in status.get("conditions", ()) if one.get("reason") == "Unschedulable"]}
