"""`python -m bench.rollout_feed`: what the routers and servers of simulated pods would tell the operator.

A pod on a simulated node has an address of this machine's loopback and no process. This one answers for all of them, on
the ports of a router's counters and of a server's observations: requests flow at a set rate through each router's
weights, as the files say that it has taken, and a fixed share of them fails, is slow, or is of one class; the same for
all revisions. A router takes its files a moment after its pod's annotation has changed, as by the kubelet.
"""

import argparse
import asyncio
import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from aiohttp import web

from bench.plane import administrator
from modelway.api.kinds import CONFIG_MAP, POD, Kind
from modelway.api.names import (
    ANNOTATION_ROUTING,
    COMPONENT_ROUTER,
    LABEL_COMPONENT,
    LABEL_NAME,
    LABEL_REVISION,
    MANAGED_SELECTOR,
    child_name,
)
from modelway.api.observations import CLASS, FORMAT, PATH
from modelway.plan.measured import SHADOW
from modelway.plan.pods import HTTP_PORT
from modelway.plan.routing.envoy import (
    CLUSTERS_FILE,
    COUNTERS_PATH,
    EPOCH_HEADER,
    GRPC,
    POD_HEADER,
    ROUTES_FILE,
    ROUTES_NAME,
    STATUS_PORT,
    THRESHOLDS,
)

Object = dict[str, Any]

_FAIL: Final = 0.002
_FAST_MS: Final = 10
_SLOW: Final = 0.01
_SLOW_MS: Final = 400
_CLASSES: Final = {"0": 0.9, "1": 0.1}
_KUBELET_SECONDS: Final = 0.3
_COMPLETED: Final = "upstream_rq_completed"
_COUNTERS: Final = (
    "upstream_cx_destroy_local_with_active_rq",
    "upstream_rq_cancelled",
    _COMPLETED,
    "upstream_rq_timeout",
    "upstream_rq_tx_reset",
)


@dataclass(slots=True)
class _Pod:
    """A simulated pod.

    Attributes:
        told: the annotation that the kubelet has acted upon.
        asked: how often its status port was asked.
        counted_at: up to when its requests are counted, on the monotonic clock.
        requests: so far, by revision.
    """

    uid: str
    owner: str
    revision: str
    told: str = ""
    versions: tuple[str, str] = ("", "")
    clusters: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    asked: int = 0
    counted_at: float = 0.0
    requests: dict[str, float] = field(default_factory=dict)


class Feed:
    """All pods of one namespace.

    Args:
        rate: requests per second to each ModelDeployment.
        routers: that divide them.
    """

    def __init__(self, *, rate: float, routers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate / routers
        self._clock = clock
        self._pods: dict[str, _Pod] = {}
        self._of: defaultdict[str, dict[str, _Pod]] = defaultdict(dict)
        self._files: dict[str, Mapping[str, str]] = {}

    def see_pod(self, event: str, pod: Object) -> None:
        """What a watch tells of a pod."""
        address = pod.get("status", {}).get("podIP")
        if not address:
            return
        if event == "DELETED":
            if (gone := self._pods.pop(address, None)) is not None:
                self._of[gone.owner].pop(address, None)
            return
        metadata = pod["metadata"]
        known = self._pods.get(address)
        if known is None or known.uid != metadata["uid"]:
            labels = metadata["labels"]
            is_router = labels.get(LABEL_COMPONENT) == COMPONENT_ROUTER
            known = _Pod(metadata["uid"], labels[LABEL_NAME], "" if is_router else labels.get(LABEL_REVISION, ""))
            known.counted_at = self._clock()
            self._pods[address] = self._of[known.owner][address] = known
            self._take(known)
        told = metadata.get("annotations", {}).get(ANNOTATION_ROUTING, "")
        if told != known.told:
            known.told = told
            asyncio.get_running_loop().call_later(_KUBELET_SECONDS, self._take, known)

    def see_files(self, _: str, config_map: Object) -> None:
        """What a watch tells of a ConfigMap; a router that has started without one takes it at once."""
        if ROUTES_FILE not in (config_map.get("data") or {}):
            return
        self._files[config_map["metadata"]["name"]] = config_map["data"]
        for pod in self._pods.values():
            if not pod.revision and not pod.clusters and child_name(pod.owner, "router") in self._files:
                self._take(pod)

    async def counters(self, request: web.Request) -> web.Response:
        """What a router tells."""
        pod = self._at(request)
        if pod is None or pod.revision or not pod.clusters:
            raise web.HTTPServiceUnavailable
        self._count(pod)
        pod.asked += 1
        clusters, routes = pod.versions
        stats: list[Object] = [
            {"name": "cluster_manager.cds.version_text", "value": clusters},
            {"name": f"http.public.rds.{ROUTES_NAME}.version_text", "value": routes},
        ]
        histograms = [_histogram("admin", pod.asked, 0)]
        for name in pod.clusters:
            requests = int(pod.requests.get(name, 0.0))
            stats += [{"name": f"cluster.{name}.{one}", "value": 0} for one in _COUNTERS if one != _COMPLETED]
            stats.append({"name": f"cluster.{name}.{_COMPLETED}", "value": requests})
            healthy = 2 * self._servers(pod.owner, name)  # each by both of the names that a router asks for
            stats.append({"name": f"cluster.{name}.membership_healthy", "value": healthy})
            if requests:
                stats.append({"name": f"cluster.{name}.upstream_rq_5xx", "value": int(requests * _FAIL)})
                histograms.append(_histogram(name, requests, int(requests * _SLOW)))
        stats.append({"histograms": histograms})
        headers = {EPOCH_HEADER: f"epoch-{pod.uid}", POD_HEADER: pod.uid}
        return web.Response(body=orjson.dumps({"stats": stats}), content_type="application/json", headers=headers)

    async def observations(self, request: web.Request) -> web.Response:
        """What a server tells: its part of what all routers have sent to its revision."""
        pod = self._at(request)
        if pod is None or not pod.revision:
            raise web.HTTPNotFound
        mine = self._of[pod.owner].values()
        pods = sum(one.revision == pod.revision for one in mine)
        for router in (one for one in mine if not one.revision):
            self._count(router)
        # Counters never fall: when a pod comes to the others, what there is from now on is divided by more.
        answered = sum(one.requests.get(pod.revision, 0.0) for one in mine if not one.revision) / max(1, pods)
        pod.requests[pod.revision] = max(pod.requests.get(pod.revision, 0.0), answered)
        answers = {f"{CLASS}{name}": int(pod.requests[pod.revision] * share) for name, share in _CLASSES.items()}
        told = {
            "format": FORMAT,
            "epoch": f"epoch-{pod.uid}",
            "revision": pod.revision,
            "answers": answers,
            "reference": {},
            "pairs_before": 0,
            "pairs": [],
        }
        return web.Response(body=orjson.dumps(told), content_type="application/json")

    def _servers(self, owner: str, cluster: str) -> int:
        """Pods that a router has found for a cluster: at once, all of them."""
        revision = cluster.removesuffix(GRPC).removesuffix(SHADOW)
        return sum(one.revision == revision for one in self._of[owner].values())

    def _at(self, request: web.Request) -> _Pod | None:
        """Whose address was asked."""
        assert request.transport is not None
        address: str = request.transport.get_extra_info("sockname")[0]
        return self._pods.get(address)

    def _take(self, pod: _Pod) -> None:
        """The router has the files as they are now."""
        files = self._files.get(child_name(pod.owner, "router"))
        if pod.revision or files is None:
            return
        self._count(pod)
        clusters, routes = (orjson.loads(files[name]) for name in (CLUSTERS_FILE, ROUTES_FILE))
        pod.versions = clusters["version_info"], routes["version_info"]
        pod.clusters = tuple(one["name"] for one in clusters["resources"])
        pod.shares = _shares(routes)

    def _count(self, pod: _Pod) -> None:
        now = self._clock()
        for name, share in pod.shares.items():
            pod.requests[name] = pod.requests.get(name, 0.0) + self._rate * share * (now - pod.counted_at)
        pod.counted_at = now


def _shares(routes: Object) -> dict[str, float]:
    """Parts of the requests by revision, as the last route says, which is that of plain HTTP."""
    action = routes["resources"][0]["virtual_hosts"][0]["routes"][-1]["route"]
    if "weighted_clusters" not in action:
        return {action["cluster"]: 1.0}
    return {one["name"]: one["weight"] / 100 for one in action["weighted_clusters"]["clusters"]}


def _histogram(name: str, requests: int, slow: int) -> Object:
    buckets = [
        {
            "upper_bound": bound,
            "interval": 0,
            "cumulative": 0 if bound < _FAST_MS else requests if bound >= _SLOW_MS else requests - slow,
        }
        for bound in THRESHOLDS
    ]
    return {"name": f"cluster.{name}.upstream_rq_time", "buckets": buckets}


async def _serve(arguments: argparse.Namespace) -> None:
    feed = Feed(rate=arguments.rate, routers=arguments.routers)
    client = administrator(arguments.server, arguments.authority, os.environ["BENCH_TOKEN"])
    runners = []
    for port, path, handler in (
        (STATUS_PORT, COUNTERS_PATH, feed.counters),
        (HTTP_PORT, PATH, feed.observations),
    ):
        app = web.Application()
        app.router.add_get(path, handler)
        runners.append(web.AppRunner(app, access_log=None))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "0.0.0.0", port).start()
    print("ready", flush=True)

    async def follow(kind: Kind, see: Callable[[str, Object], None]) -> None:
        version = ""
        async for page in client.pages(kind, arguments.namespace, MANAGED_SELECTOR):
            version = page["metadata"]["resourceVersion"]
            for obj in page["items"]:
                see("ADDED", obj)
        while True:
            with contextlib.suppress(TimeoutError):
                async with client.watch(
                    kind, arguments.namespace, MANAGED_SELECTOR, version=version, seconds=3600
                ) as events:
                    async for event, obj in events:
                        version = obj["metadata"]["resourceVersion"]
                        if event != "BOOKMARK":
                            see(event, obj)

    await asyncio.gather(follow(CONFIG_MAP, feed.see_files), follow(POD, feed.see_pod))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.rollout_feed", description=__doc__)
    for name in ("server", "authority", "namespace"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--rate", type=float, required=True, help="requests per second to each ModelDeployment")
    parser.add_argument("--routers", type=int, required=True, help="routers of each ModelDeployment")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
