"""Counting in shared memory, and what Prometheus is shown of it."""

import os

import pytest
from prometheus_client.parser import text_string_to_metric_families

from modelway.server.metrics import BUCKETS, Metrics
from modelway.server.tally import DEAD_CPU, IN_FLIGHT, PID, RESTARTS, Tally

LABELS = {"model": "m", "version": "1", "revision": "r"}


@pytest.fixture
def tally():
    return Tally(workers=2)


@pytest.fixture
def workers(tally):
    return [Metrics(**LABELS, in_flight=lambda: 3, tally=tally, worker=index) for index in range(2)]


def shown(metrics):
    """Samples by name and further labels."""
    return {
        (sample.name, *(value for name, value in sorted(sample.labels.items()) if name not in LABELS)): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_counts_of_all_workers_are_added_whoever_is_asked(workers):
    for metrics, times in zip(workers, (2, 3), strict=True):
        for _ in range(times):
            metrics.count("v1", 200)
            metrics.rows("v1", 10)
    workers[0].count("grpc", 503)
    for metrics in workers:
        samples = shown(metrics)
        assert samples["modelway_server_requests_total", "200", "v1"] == 5
        assert samples["modelway_server_requests_total", "503", "grpc"] == 1
        assert samples["modelway_server_rows_total", "v1"] == 50


def test_codes_that_were_never_answered_are_not_shown(workers):
    workers[0].count("v1", 200)
    assert [key for key in shown(workers[0]) if key[0] == "modelway_server_requests_total"] == [
        ("modelway_server_requests_total", "200", "v1")
    ]


def test_a_duration_on_a_boundary_is_within_it(workers):
    for seconds in (0.0001, 0.25, 0.2500001, 90.0):
        workers[0].predicted("v2", seconds)
    workers[1].predicted("v2", 0.2)
    samples = shown(workers[1])
    name = "modelway_server_request_duration_seconds_bucket"
    assert samples[name, "0.2", "v2"] == 2
    assert samples[name, "0.25", "v2"] == 3
    assert samples[name, "0.3", "v2"] == 4
    assert samples[name, "60.0", "v2"] == 4
    assert samples[name, "+Inf", "v2"] == 5
    assert samples["modelway_server_request_duration_seconds_count", "v2"] == 5
    assert samples["modelway_server_request_duration_seconds_sum", "v2"] == pytest.approx(90.7001001)
    assert sum(key[0] == name and key[2] == "v2" for key in samples) == len(BUCKETS) + 1


def test_what_a_worker_counted_outlives_it(tally, workers):
    workers[1].count("v1", 200)
    workers[1].rows("v1", 7)
    tally.region(1).begin()  # another process takes the place
    successor = Metrics(**LABELS, in_flight=lambda: 0, tally=tally, worker=1)
    successor.count("v1", 200)
    samples = shown(successor)
    assert samples["modelway_server_requests_total", "200", "v1"] == 2
    assert samples["modelway_server_rows_total", "v1"] == 7


def test_another_process_counts_in_the_same_memory(tally, workers):
    pid = os.fork()
    if pid == 0:
        workers[1].count("v1", 404)
        os._exit(0)
    os.waitpid(pid, 0)
    assert shown(workers[0])["modelway_server_requests_total", "404", "v1"] == 1


def test_gauges_are_added_too(tally, workers):
    tally.region(1).fields[IN_FLIGHT] = 4
    assert shown(workers[0])["modelway_server_requests_in_flight",] == 3 + 4
    assert shown(workers[0])["modelway_server_workers",] == 2


def test_the_model_is_shown_once_it_is_loaded(workers):
    assert ("modelway_server_model_info", "onnx", "p") not in shown(workers[0])
    workers[0].loaded(format_name="onnx", platform="p", seconds=1.5)
    workers[1].loaded(format_name="onnx", platform="p", seconds=2.5)
    samples = shown(workers[0])
    assert samples["modelway_server_model_info", "onnx", "p"] == 1
    assert samples["modelway_server_model_load_duration_seconds",] == 2.5


def test_batches_are_counted(workers):
    workers[0].batched(5)
    workers[1].batched(2)
    samples = shown(workers[0])
    assert samples["modelway_server_batches_total",] == 2
    assert samples["modelway_server_batched_requests_total",] == 7


def test_restarts_and_the_time_of_the_dead_are_shown(tally, workers):
    before = shown(workers[0])["process_cpu_seconds_total",]
    tally.header[RESTARTS] = 2
    tally.header[DEAD_CPU] = 1000
    samples = shown(workers[0])
    assert samples["modelway_server_worker_restarts_total",] == 2
    assert samples["process_cpu_seconds_total",] >= before + 1000


def test_processes_are_added_up(tally, workers):
    tally.region(0).fields[PID] = os.getpid()
    alone = shown(workers[0])
    tally.region(1).fields[PID] = os.getppid()
    both = shown(workers[0])
    assert both["process_resident_memory_bytes",] > alone["process_resident_memory_bytes",]
    assert both["process_start_time_seconds",] <= alone["process_start_time_seconds",]
