"""Leader election by a Lease, as Kubernetes' own components do it.

One process of several writes. `holds()` is true only until `renew_deadline` after the last successful renewal, on the
monotonic clock, and the client asks it before every write: a deposed leader writes nothing more, whatever else it is
doing. Others wait until they have seen the lease unchanged for its whole duration on their own clock, so clocks need
not agree. An orderly end gives the lease back, and the next leader starts at once.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

import aiohttp
import structlog

from modelway.api.kinds import LEASE
from modelway.kube.client import Client, Object
from modelway.kube.errors import ApiError, Conflict, Deposed, NotFound

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """Seconds. The defaults are those of Kubernetes' components."""

    duration: float = 15.0
    """How long others wait after the last renewal that they have seen."""
    renew_deadline: float = 10.0
    """How long the holder goes on without a successful renewal."""
    retry_period: float = 2.0
    """How often the holder renews; those who wait look twice as often."""


class Lease:
    """One candidate for one Lease object.

    Args:
        client: an unfenced client; it is the lease that fences the others.
        namespace: of the Lease object.
        name: of the Lease object.
        identity: unique to this process.
        timing: see there.
        seed: for jitter.
        now: wall clock, only for the times that people read in the object.
    """

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        timing: LeaseTiming,
        seed: random.Random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._namespace, self._name, self.identity = namespace, name, identity
        self._timing = timing
        self._random = seed
        self._now = now
        self._valid_until = float("-inf")
        self._given_up = False
        self._object: Object | None = None
        self._seen_at = float("-inf")

    def holds(self) -> bool:
        """Whether this process may write, at this moment."""
        return monotonic() < self._valid_until

    def fence(self) -> None:
        """Raise `Deposed` unless this process may write."""
        if not self.holds():
            raise Deposed(f"{self.identity} does not hold lease {self._namespace}/{self._name}")

    async def acquire(self) -> None:
        """Wait until this process holds the lease."""
        while not await self._try():  # noqa: ASYNC110 - it asks another machine
            # Twice as often as it is renewed, so that one that is given back is soon taken: looking is cheap.
            await asyncio.sleep(self._timing.retry_period * self._random.uniform(0.4, 0.6))
        _log.info("leading", lease=self._name, identity=self.identity)

    async def keep(self) -> None:
        """Renew the lease until it is lost; then return. Cancel to stop renewing."""
        while self.holds():
            await asyncio.sleep(self._timing.retry_period)
            await self._try()
        if not self._given_up:
            _log.error("deposed", lease=self._name, identity=self.identity)

    async def release(self) -> None:
        """Give the lease back, so that the next leader need not wait. Errors are of no consequence."""
        if self._object is None or not self.holds():
            return
        self._valid_until, self._given_up = float("-inf"), True
        try:
            async with asyncio.timeout(self._timing.renew_deadline / 2):
                await self._give_back(self._object)
            _log.info("lease_released", lease=self._name, identity=self.identity)
        except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.warning("lease_not_released", error=str(error))

    async def _give_back(self, known: Object) -> None:
        try:
            await self._client.replace(LEASE, self._renewed(known, holder="", duration=1), manager="modelway")
        except Conflict:  # a renewal of ours was under way
            current = await self._client.get(LEASE, self._namespace, self._name)
            if self._holder(current) == self.identity:
                await self._client.replace(LEASE, self._renewed(current, holder="", duration=1), manager="modelway")

    async def _try(self) -> bool:
        """One attempt to take or renew the lease; whether it is held afterwards."""
        asked_at = monotonic()
        try:
            async with asyncio.timeout(max(self._timing.retry_period, self._timing.renew_deadline / 2)):
                taken = await self._take()
        except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            if isinstance(error, (Conflict, NotFound)):
                self._object = None  # somebody else was faster, or has deleted it; look again
            else:
                _log.warning("lease_error", lease=self._name, error=str(error) or type(error).__name__)
            return self.holds()
        if self._given_up:
            return False
        self._valid_until = asked_at + self._timing.renew_deadline if taken else float("-inf")
        return taken

    async def _take(self) -> bool:
        if self._object is not None and self._holder(self._object) == self.identity:
            self._remember(await self._put(self._object))
            return True
        try:
            current = await self._client.get(LEASE, self._namespace, self._name)
        except NotFound:
            self._remember(await self._client.post(LEASE, self._new()))
            return True
        if self._object is None or _version(current) != _version(self._object):
            self._remember(current)
        free = not self._holder(current) or monotonic() - self._seen_at > self._timing.duration
        if not free:
            return False
        self._remember(await self._put(current))
        return True

    async def _put(self, current: Object) -> Object:
        body = self._renewed(current, holder=self.identity, duration=int(self._timing.duration))
        return await self._client.replace(LEASE, body, manager="modelway")

    def _remember(self, obj: Object) -> None:
        obj["metadata"].pop("managedFields", None)
        self._object, self._seen_at = obj, monotonic()

    def _renewed(self, current: Object, *, holder: str, duration: int) -> Object:
        spec, moment = dict(current["spec"]), self._moment()
        if spec.get("holderIdentity") != holder:
            spec["leaseTransitions"] = spec.get("leaseTransitions", 0) + (1 if holder else 0)
            spec["acquireTime"] = moment
        spec |= {"holderIdentity": holder, "renewTime": moment, "leaseDurationSeconds": max(1, duration)}
        return {**current, "spec": spec}

    def _new(self) -> Object:
        moment = self._moment()
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": max(1, int(self._timing.duration)),
                "acquireTime": moment,
                "renewTime": moment,
                "leaseTransitions": 0,
            },
        }

    def _holder(self, obj: Object) -> str:
        return str(obj.get("spec", {}).get("holderIdentity") or "")

    def _moment(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _version(obj: Object) -> str:
    return str(obj["metadata"]["resourceVersion"])
