"""Progress as metrics, at /metrics while a shard runs."""

import socket
import urllib.request

from prometheus_client import CollectorRegistry

from modelway.batch.metrics import Meter
from modelway.batch.settings import Format
from support.batch import as_jsonl, table
from support.ports import free_port

NAMES = ("modelway_batch_rows_total", "modelway_batch_failed_rows_total", "modelway_batch_shard_done_ratio")


def test_a_run_counts_its_rows_and_those_that_failed(batch, store):
    rows = table().to_pylist()
    rows[7]["d"] = None
    store.objects["in/x.jsonl"] = as_jsonl(table().from_pylist(rows))
    registry = CollectorRegistry()
    outcome = batch(
        input_format=Format.JSONL, shards=2, meter=Meter.of(registry), max_failed_rows_per_million=1_000_000
    )
    assert [registry.get_sample_value(name) for name in NAMES] == [outcome.rows, outcome.failed_rows, 1.0]
    assert (outcome.rows, outcome.failed_rows) == (150, 1)


def test_they_are_shown_at_metrics():
    port = free_port()
    meter = Meter.served(port)
    meter.count(60, 2, 0.5)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert "modelway_batch_rows_total 60.0" in answer.read().decode()


def test_a_port_that_is_taken_costs_no_run():
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        Meter.served(taken.getsockname()[1]).count(1, 0, 1.0)
