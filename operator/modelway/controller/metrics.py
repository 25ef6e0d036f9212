"""The operator's own metrics, under the names that dashboards for Kubernetes controllers know.

`workqueue_*` and `controller_runtime_reconcile_*` as controller-runtime has them, `rest_client_requests_total` as
client-go has it, and `modelway_*` for the rest. One registry a process, made here and handed on.
"""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from modelway.controller.monitoring_metrics import MonitoringMetrics
from modelway.controller.rollout_metrics import RolloutMetrics

_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_CONTROLLER = "modeldeployment"


@dataclass(frozen=True, slots=True)
class QueueMetrics:
    """What a queue counts."""

    depth: Gauge
    adds: Counter
    retries: Counter
    queue_seconds: Histogram
    work_seconds: Histogram


@dataclass(frozen=True, slots=True)
class Metrics:
    """All metrics of the operator, and the registry that holds them."""

    registry: CollectorRegistry
    queue: QueueMetrics
    longest_running: Gauge
    reconciles: Counter
    reconcile_seconds: Histogram
    reconcile_errors: Counter
    requests: Counter
    leading: Gauge
    resources: Gauge
    rollouts: RolloutMetrics
    monitoring: MonitoringMetrics
    sink_events: Counter

    def count_request(self, verb: str, code: int) -> None:
        """Count one request to the API server."""
        self.requests.labels(method=verb, code=str(code)).inc()

    def count_reconcile(self, result: str) -> None:
        """Count one look with its result: success, requeue_after or error."""
        self.reconciles.labels(controller=_CONTROLLER, result=result).inc()

    def count_error(self, reason: str) -> None:
        """Count one look that failed for `reason`."""
        self.reconcile_errors.labels(controller=_CONTROLLER, reason=reason).inc()


def make_metrics() -> Metrics:
    """A fresh registry with all metrics, at zero."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return Metrics(
        registry=registry,
        queue=_queue_metrics(registry),
        longest_running=Gauge(
            "workqueue_longest_running_processor_seconds",
            "Age of the oldest work in progress.",
            labelnames=("name",),
            registry=registry,
        ).labels(_CONTROLLER),
        reconciles=Counter(
            "controller_runtime_reconcile",
            "Looks at a ModelDeployment, by result.",
            labelnames=("controller", "result"),
            registry=registry,
        ),
        reconcile_seconds=Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Time that a look took.",
            buckets=_SECONDS,
            labelnames=("controller",),
            registry=registry,
        ).labels(_CONTROLLER),
        reconcile_errors=Counter(
            "controller_runtime_reconcile_errors",
            "Looks that failed.",
            labelnames=("controller", "reason"),
            registry=registry,
        ),
        requests=Counter(
            "rest_client_requests",
            "Requests to the API server, by verb and HTTP code.",
            labelnames=("method", "code"),
            registry=registry,
        ),
        leading=Gauge("modelway_leading", "1 while this process is the one that writes.", registry=registry),
        resources=Gauge("modelway_resources", "ModelDeployments that are watched.", registry=registry),
        rollouts=RolloutMetrics(registry),
        monitoring=MonitoringMetrics(registry),
        sink_events=Counter(
            "modelway_sink_events",
            "CloudEvents for sinks, by result: delivered, failed or dropped.",
            labelnames=("result",),
            registry=registry,
        ),
    )


def _queue_metrics(registry: CollectorRegistry) -> QueueMetrics:
    def counter(name: str, documentation: str) -> Counter:
        found = Counter(f"workqueue_{name}", documentation, labelnames=("name",), registry=registry)
        return found.labels(_CONTROLLER)

    def times(name: str, documentation: str) -> Histogram:
        name = f"workqueue_{name}_duration_seconds"
        found = Histogram(name, documentation, buckets=_SECONDS, labelnames=("name",), registry=registry)
        return found.labels(_CONTROLLER)

    depth = Gauge("workqueue_depth", "Keys that wait.", labelnames=("name",), registry=registry)
    return QueueMetrics(
        depth=depth.labels(_CONTROLLER),
        adds=counter("adds", "Keys added."),
        retries=counter("retries", "Keys added again after a failure."),
        queue_seconds=times("queue", "Time that a due key waited."),
        work_seconds=times("work", "Time that a key was worked on."),
    )
