"""The server's Prometheus metrics, at `/metrics`.

`version` and `revision` are labels of everything, so that a stable and a candidate can be told apart behind one
Service. `protocol` is v1 or v2 for predictions and `other` for whatever else is asked; probes and scrapes that succeed
are not counted at all, they would drown the rest.
"""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
# Fine below 5 ms, where our own models live; from there on the thresholds that a latency check can name, so that a
# bucket boundary lies exactly on each.
BUCKETS: Final = (
    0.0005, 0.001, 0.0025,
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75,
    1.0, 1.5, 2.0, 2.5, 3.0, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip


class Metrics:
    """All metrics of one server process."""

    def __init__(self, *, model: str, version: str, revision: str, in_flight: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._common = {"model": model, "version": version, "revision": revision}
        names = (*self._common, "protocol", "code")
        self._requests = Counter(
            "modelway_server_requests",
            "Requests answered, by protocol and HTTP status code.",
            names,
            registry=self.registry,
        )
        self._seconds = Histogram(
            "modelway_server_request_duration_seconds",
            "From the last byte of a prediction's headers to its answer's hand-over to the socket.",
            (*self._common, "protocol"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        Gauge(
            "modelway_server_requests_in_flight",
            "Predictions that are being read, waiting or computed.",
            tuple(self._common),
            registry=self.registry,
        ).labels(**self._common).set_function(in_flight)
        self._rows = Counter(
            "modelway_server_rows",
            "Rows predicted.",
            (*self._common, "protocol"),
            registry=self.registry,
        )
        self._load_seconds = Gauge(
            "modelway_server_model_load_duration_seconds",
            "How long loading, golden requests and warm-up took.",
            tuple(self._common),
            registry=self.registry,
        )
        self._info = Gauge(
            "modelway_server_model_info",
            "1 for the model that is served.",
            (*self._common, "format", "platform"),
            registry=self.registry,
        )
        self._children: dict[tuple[str, int], Counter] = {}
        self._durations = {p: self._seconds.labels(**self._common, protocol=p) for p in ("v1", "v2")}
        self._row_counts = {p: self._rows.labels(**self._common, protocol=p) for p in ("v1", "v2")}

    def count(self, protocol: str, code: int) -> None:
        """Count an answer."""
        child = self._children.get((protocol, code))
        if child is None:
            child = self._requests.labels(**self._common, protocol=protocol, code=str(code))
            self._children[protocol, code] = child
        child.inc()

    def predicted(self, protocol: str, seconds: float) -> None:
        """Note how long a prediction took, from its arrival."""
        self._durations[protocol].observe(seconds)

    def rows(self, protocol: str, number: int) -> None:
        """Count rows that were predicted."""
        self._row_counts[protocol].inc(number)

    def loaded(self, *, format_name: str, platform: str, seconds: float) -> None:
        """Tell that the model is there."""
        self._load_seconds.labels(**self._common).set(seconds)
        self._info.labels(**self._common, format=format_name, platform=platform).set(1)

    def render(self) -> bytes:
        """The text exposition."""
        return generate_latest(self.registry)
