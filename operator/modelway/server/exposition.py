"""The numbers of all workers as the text that Prometheus reads. Imported by the first scrape."""

import operator
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import INF, floatToGoString

from modelway.server.metrics import Metrics
from modelway.server.tally import (
    BATCHED,
    BATCHES,
    BUCKETS,
    DEAD_CPU,
    IN_FLIGHT,
    LOAD_SECONDS,
    PID,
    PROTOCOLS,
    RESTARTS,
    SUPERVISOR,
    Region,
)

_LIMITS: Final[list[str]] = [floatToGoString(limit) for limit in (*BUCKETS, INF)]  # type: ignore[no-untyped-call]


def render(metrics: Metrics) -> bytes:
    """The text exposition of everything."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Server(metrics))
    registry.register(_Processes(metrics))
    PlatformCollector(registry=registry)
    return generate_latest(registry)


class _Server(Collector):
    """What was asked and answered, summed over the workers."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._names = tuple(metrics.labels)
        self._values = tuple(metrics.labels.values())

    def collect(self) -> Iterator[Metric]:
        regions = self._metrics.tally.regions()
        yield self._requests(regions)
        yield self._durations(regions)
        yield self._counter(
            "modelway_server_rows",
            "Rows predicted.",
            {(protocol,): sum(region.rows(protocol) for region in regions) for protocol in PROTOCOLS[:-1]},
            "protocol",
        )
        yield self._counter(
            "modelway_server_batches",
            "Predictions that were computed for several requests together.",
            {(): _sum(regions, BATCHES)},
        )
        yield self._counter(
            "modelway_server_batched_requests",
            "Requests that were answered from such predictions.",
            {(): _sum(regions, BATCHED)},
        )
        yield self._gauge(
            "modelway_server_requests_in_flight",
            "Predictions that are being read, waiting or computed.",
            self._in_flight(regions),
        )
        yield self._counter(
            "modelway_server_answers",
            "Requests by the class of their first row's answer.",
            {(name,): count for name, count in self._metrics.tally.answers.by_class().items()},
            "class",
        )
        yield from self._about_workers(regions)

    def _requests(self, regions: list[Region]) -> Metric:
        by_label: dict[tuple[str, ...], float] = {}
        for protocol in PROTOCOLS:
            columns = zip(*(region.codes(protocol) for region in regions), strict=True)
            for code, counts in enumerate(columns):
                if any(counts):
                    by_label[protocol, str(code)] = sum(counts)
        return self._counter(
            "modelway_server_requests",
            "Requests answered, by protocol and HTTP status code.",
            by_label,
            "protocol",
            "code",
        )

    def _durations(self, regions: list[Region]) -> Metric:
        family = HistogramMetricFamily(
            "modelway_server_request_duration_seconds",
            "From the last byte of a prediction's headers to its answer's hand-over to the socket.",
            labels=(*self._names, "protocol"),
        )
        for protocol in PROTOCOLS[:-1]:
            *counts, seconds = (
                sum(cells) for cells in zip(*(region.durations(protocol) for region in regions), strict=True)
            )
            buckets = list(zip(_LIMITS, accumulate(counts), strict=True))
            family.add_metric((*self._values, protocol), buckets, seconds)
        return family

    def _in_flight(self, regions: list[Region]) -> float:
        """Exact for the worker that was asked, at most a second old for the others."""
        own = self._metrics.worker
        others = (region.fields[IN_FLIGHT] for index, region in enumerate(regions) if index != own)
        return self._metrics.in_flight() + sum(others)

    def _about_workers(self, regions: list[Region]) -> Iterator[Metric]:
        metrics = self._metrics
        yield self._gauge("modelway_server_workers", "Processes that answer requests.", len(regions))
        yield self._counter(
            "modelway_server_worker_restarts",
            "Workers that died, or were stuck, and were replaced.",
            {(): metrics.tally.header[RESTARTS]},
        )
        if metrics.info:
            yield self._gauge(
                "modelway_server_model_load_duration_seconds",
                "How long loading, golden requests and warm-up took.",
                max(region.fields[LOAD_SECONDS] for region in regions),
            )
            family = GaugeMetricFamily(
                "modelway_server_model_info",
                "1 for the model that is served.",
                labels=(*self._names, *metrics.info),
            )
            family.add_metric((*self._values, *metrics.info.values()), 1)
            yield family

    def _counter(self, name: str, text: str, values: dict[tuple[str, ...], float], *labels: str) -> Metric:
        family = CounterMetricFamily(name, text, labels=(*self._names, *labels))
        for own, value in values.items():
            family.add_metric((*self._values, *own), value)
        return family

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, text, labels=self._names)
        family.add_metric(self._values, value)
        return family


class _Processes(Collector):
    """`process_*` of the supervisor and its workers together, those that are gone included."""

    def __init__(self, metrics: Metrics) -> None:
        self._tally = metrics.tally

    def collect(self) -> Iterable[Metric]:
        pids = {int(region.fields[PID]) for region in self._tally.regions()} | {int(self._tally.header[SUPERVISOR])}
        merged: dict[str, Metric] = {}
        for pid in sorted(pids - {0}) or [os.getpid()]:
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                known = merged.setdefault(metric.name, metric)
                if known is not metric:
                    _merge(known, metric)
        if "process_cpu_seconds" in merged:
            sample = merged["process_cpu_seconds"].samples[0]
            dead = self._tally.header[DEAD_CPU]
            merged["process_cpu_seconds"].samples[0] = sample._replace(value=sample.value + dead)
        return merged.values()


_MERGED_BY: Final[dict[str, Callable[[float, float], float]]] = {
    "process_start_time_seconds": min,
    "process_max_fds": min,
}


def _merge(known: Metric, other: Metric) -> None:
    pick = _MERGED_BY.get(known.name, operator.add)
    known.samples = [
        mine._replace(value=pick(mine.value, theirs.value))  # type: ignore[no-untyped-call]
        for mine, theirs in zip(known.samples, other.samples, strict=True)
    ]


def _sum(regions: list[Region], field: int) -> float:
    return sum(region.fields[field] for region in regions)
