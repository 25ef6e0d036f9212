"""Asks one router what it has and what it has counted.

Called by the `Measurer` for each router pod of a resource, as often as the plan wants. What Envoy's counters mean, and
what they leave out, stands at `_counters`.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import aiohttp
import orjson

from modelway.controller.asking import body_of, url_of
from modelway.controller.measuring import UnreachableError
from modelway.plan.measured import ArmCounters, RouterReading, Target
from modelway.plan.routing.envoy import COUNTERS_PATH, EPOCH_HEADER, GRPC, POD_HEADER, ROUTES_NAME, STATUS_PORT

_SECONDS: Final = 2.0
_MERGE_SECONDS: Final = 0.02
"""Between two requests, until the histograms of Envoy's threads are merged."""
_MOST_BYTES: Final = 4 * 2**20

_OF_CLUSTER: Final = re.compile(r"cluster\.(admin|[0-9a-f]{8}(?:-shadow)?(?:-grpc)?)\.(.+)")
_ADMIN: Final = "admin"
_NAMES: Final = 2
"""By which a router finds a pod: that of the pods that are ready, and that of all."""
_CLUSTERS_VERSION: Final = "cluster_manager.cds.version_text"
_ROUTES_VERSION: Final = f"http.public.rds.{ROUTES_NAME}.version_text"

_GRPC_SERVER_ERRORS: Final = (2, 4, 12, 13, 14, 15)
"""Statuses of gRPC that HTTP would tell by a 5xx (google/rpc/code.proto); the others, but for 0 and 1, are 4xx."""
_GRPC_CLIENT_ERRORS: Final = (3, 5, 6, 7, 8, 9, 10, 11, 16)


class Routers:
    """Reads the routers of one cluster.

    Args:
        session: makes the requests; somebody else's to close.
        clock: gives the time in UTC.
        port: of the routers' status listener.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        port: int = STATUS_PORT,
    ) -> None:
        self._session = session
        self._port = port
        self._clock = clock

    async def ask(self, target: Target) -> RouterReading:
        """A reading of the router in the pod `target`.

        Counters are those of the first answer, histograms those of the first later one that holds all that the counters
        hold: Envoy merges the histograms of its threads when it is asked, and answers without waiting for it. Else who
        has just been answered would seem slow.

        Raises:
            UnreachableError: no answer, or not that of this pod.
        """
        try:
            async with asyncio.timeout(_SECONDS):
                taken_at = self._clock()
                first = await self._get(target)
                second = await self._later(target, than=await self._later(target, than=first))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(f"router {target.pod.name}: {str(error) or type(error).__name__}") from error
        if second.epoch != first.epoch:
            raise UnreachableError(f"router {target.pod.name}: started again while it was asked")
        return _reading(target, taken_at, first, second)

    async def _later(self, target: Target, *, than: "_Answer") -> "_Answer":
        """An answer with histograms that were merged after those of `than`.

        Those that the first request asked for may have been merged before its counters were read: only the next are
        certain to hold what these hold.
        """
        later = await self._get(target)
        while later.merged <= than.merged:
            await asyncio.sleep(_MERGE_SECONDS)
            later = await self._get(target)
        return later

    async def _get(self, target: Target) -> "_Answer":
        async with self._session.get(url_of(target.address, self._port, COUNTERS_PATH)) as answer:
            content = await body_of(answer, most=_MOST_BYTES)
            if content is None:
                raise UnreachableError(f"router {target.pod.name}: answers more than {_MOST_BYTES} bytes")
            if answer.status != 200:
                raise UnreachableError(f"router {target.pod.name}: answers {answer.status}")
            if answer.headers.get(POD_HEADER) != target.pod.uid:
                raise UnreachableError(f"router {target.pod.name}: another pod has its address")
        try:
            return _parsed(answer.headers.get(EPOCH_HEADER, ""), content)
        except (KeyError, TypeError, ValueError) as error:
            raise UnreachableError(f"router {target.pod.name}: answers no statistics of Envoy: {error!r}") from error


class _Answer(NamedTuple):
    """What Envoy has told once.

    Attributes:
        epoch: of the process.
        values: counters and texts, by their whole name.
        times: of each cluster, bound in milliseconds to the answers that took at most so long.
    """

    epoch: str
    values: dict[str, Any]
    times: dict[str, dict[int, int]]

    @property
    def merged(self) -> int:
        """Grows with each merging of the histograms: they hold the requests to the status listener as well."""
        return max(self.times.get(_ADMIN, {}).values(), default=0)


def _parsed(epoch: str, content: bytes) -> _Answer:
    """An answer as data.

    Raises:
        KeyError, TypeError, ValueError: it is not what Envoy answers.
    """
    values: dict[str, Any] = {}
    times = {}
    for entry in orjson.loads(content)["stats"]:
        if "name" in entry:
            values[entry["name"]] = entry["value"]
        for histogram in entry.get("histograms", ()):
            if name := _OF_CLUSTER.fullmatch(histogram["name"]):
                times[name[1]] = {int(one["upper_bound"]): int(one["cumulative"]) for one in histogram["buckets"]}
    missing = {_CLUSTERS_VERSION, _ROUTES_VERSION} - values.keys()
    if missing:
        raise KeyError(*sorted(missing))
    return _Answer(epoch, values, times)


def _reading(target: Target, taken_at: datetime, first: _Answer, second: _Answer) -> RouterReading:
    clusters = _by_cluster(first.values)
    return RouterReading(
        pod=target.pod,
        taken_at=taken_at,
        epoch=first.epoch,
        clusters_version=str(first.values[_CLUSTERS_VERSION]),
        routes_version=str(first.values[_ROUTES_VERSION]),
        arms=_arms(clusters, second.times),
        healthy=_healthy(clusters),
    )


def _by_cluster(values: Mapping[str, Any]) -> Mapping[str, Mapping[str, int]]:
    """What is told of each cluster of a revision; what is not told counts as 0."""
    clusters: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for name, value in values.items():
        if (match := _OF_CLUSTER.fullmatch(name)) and match[1] != _ADMIN:
            clusters[match[1]][match[2]] = int(value)
    return clusters


def _arms(clusters: Mapping[str, Mapping[str, int]], times: Mapping[str, Mapping[int, int]]) -> dict[str, ArmCounters]:
    """Counters by arm; the clusters of an arm that speak HTTP and gRPC are added up."""
    arms: defaultdict[str, list[ArmCounters]] = defaultdict(list)
    for name, counters in clusters.items():
        arms[name.removesuffix(GRPC)].append(_counters(counters, times.get(name, {}), is_grpc=name.endswith(GRPC)))
    return {arm: _sum(parts) for arm, parts in arms.items()}


def _healthy(clusters: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Pods that can be sent requests, by arm; of clusters that speak HTTP and gRPC the fewer.

    A router knows each pod twice: as one that is ready, and as one of all. The few that are known by one name only are
    those that come or go.
    """
    found: defaultdict[str, list[int]] = defaultdict(list)
    for name, told in clusters.items():
        if "membership_healthy" in told:  # a cluster that is being taken out tells it no more
            found[name.removesuffix(GRPC)].append(told["membership_healthy"] // _NAMES)
    return {arm: min(pods) for arm, pods in found.items()}


def _counters(of: Mapping[str, int], times: Mapping[int, int], *, is_grpc: bool) -> ArmCounters:
    """What was asked of a cluster and what came of it.

    Completed requests are those that have a status, be it one that Envoy gave itself: a timeout, no healthy pod. Tries
    that were retried are not among them. A client that gave up has no status: its request was taken back (HTTP/2), or
    its connection to the server was closed (HTTP/1), or it had none yet. The same is done after a timeout, which has a
    status. To HTTP an answer of gRPC is a 200 whatever it says, but for those that Envoy gave itself, which count as
    both: so the larger number is taken.
    """
    taken_back = (
        of["upstream_rq_tx_reset"] + of["upstream_cx_destroy_local_with_active_rq"] + of["upstream_rq_cancelled"]
    )
    requests = of["upstream_rq_completed"] + max(0, taken_back - of["upstream_rq_timeout"])
    server_errors, client_errors = of["upstream_rq_5xx"], of["upstream_rq_4xx"]
    if is_grpc:
        server_errors = max(server_errors, sum(of[f"grpc.{status}"] for status in _GRPC_SERVER_ERRORS))
        client_errors = max(client_errors, sum(of[f"grpc.{status}"] for status in _GRPC_CLIENT_ERRORS))
    return ArmCounters(
        requests=requests,
        server_errors=min(server_errors, requests),
        client_errors=min(client_errors, requests),
        at_most=tuple((bound, min(count, requests)) for bound, count in sorted(times.items())),
        orphans=min(of["upstream_cx_none_healthy"], server_errors, requests),
    )


def _sum(parts: list[ArmCounters]) -> ArmCounters:
    return ArmCounters(
        requests=sum(part.requests for part in parts),
        server_errors=sum(part.server_errors for part in parts),
        client_errors=sum(part.client_errors for part in parts),
        at_most=tuple(_added(parts)),
        orphans=sum(part.orphans for part in parts),
    )


def _added(parts: list[ArmCounters]) -> Iterator[tuple[int, int]]:
    """Histograms added up. One without a histogram has answered nobody: it has none of the bounds."""
    counted: defaultdict[int, int] = defaultdict(int)
    for part in parts:
        for bound, count in part.at_most:
            counted[bound] += count
    yield from sorted(counted.items())
