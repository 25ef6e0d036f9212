"""Progress of a shard as Prometheus metrics, for as long as its pod runs.

A pod of a batch run may end before anybody scrapes it: what counts in the end stands in the manifest and in status.
These are for looking at a long run while it goes on.
"""

from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Meter:
    """The metrics of a process; `served` makes one."""

    rows: Counter
    failed_rows: Counter
    done: Gauge

    @classmethod
    def of(cls, registry: CollectorRegistry) -> "Meter":
        """Metrics in `registry`."""
        return cls(
            Counter(
                "modelway_batch_rows", "Rows of the input that are done, failed ones among them", registry=registry
            ),
            Counter("modelway_batch_failed_rows", "Rows that have no answer", registry=registry),
            Gauge(
                "modelway_batch_shard_done_ratio", "Part of the present shard that is done, 0 to 1", registry=registry
            ),
        )

    @classmethod
    def served(cls, port: int) -> "Meter":
        """Metrics that are shown at `/metrics`. A port that is taken costs a warning, never the run."""
        registry = CollectorRegistry()
        try:
            start_http_server(port, registry=registry)
        except OSError as error:
            _log.warning("no_metrics", port=port, error=error.strerror)
        return cls.of(registry)

    def count(self, rows: int, failed: int, share: float) -> None:
        """Count rows that are written."""
        self.rows.inc(rows)
        self.failed_rows.inc(failed)
        self.done.set(share)
