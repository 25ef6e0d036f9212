"""Nights of a batch job that go wrong on the real cluster: complete and exact in the end, or failed loudly."""

import itertools
import time
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pytest

from support.gated_s3 import gated_s3
from support.nights import FEATURES, ROWS_PER_SHARD, Killer, Nights

pytestmark = [pytest.mark.faults, pytest.mark.timeout(2400)]

_days = itertools.count(1)


@pytest.fixture(scope="module")
def s3(environment, tmp_path_factory):
    address = urlsplit(environment["AWS_ENDPOINT_URL"]).hostname
    with gated_s3(tmp_path_factory.mktemp("gated"), address) as server:
        yield server


@pytest.fixture
def day():
    return f"2026-11-{next(_days):02}"


@pytest.fixture
def nights(kubectl, s3, onnx_bytes, request):
    made = Nights(kubectl, s3, f"n{next(_days)}", shards=getattr(request, "param", 6))
    made.deploy(onnx_bytes)
    yield made
    s3.hold(lambda _shard: False)
    kubectl.run("delete", "mdep", made.name)


def assert_exact(nights: Nights, day: str, *, shards: int | None = None) -> None:
    assert nights.is_complete(day)
    assert nights.ids(day) == list(range((shards or nights.shards) * ROWS_PER_SHARD))


@pytest.mark.parametrize("nights", [50], indirect=True)
def test_batch_pods_killed_a_hundred_times_while_they_write(nights, day, tell) -> None:
    nights.fill(day)
    with Killer(nights, times=2) as killer:
        last = nights.run(day)
    assert (last["result"], last.get("rows")) == ("Succeeded", 50 * ROWS_PER_SHARD), last
    assert dict(killer.ways) == {"killed": 50, "evicted": 50}
    assert_exact(nights, day)
    assert list(nights.parts(day).values()) == nights.alone(day)
    tell.append("50 shards, each pod killed once and evicted once with its part half-written: the same bytes")


def test_batch_without_s3_for_a_minute(nights, day, s3, tell) -> None:
    nights.fill(day)
    s3.hold(lambda shard: shard == 0)
    job = nights.begin(day)
    assert s3.held.get(timeout=300) == 0
    s3.stop()
    s3.hold(lambda _shard: False)
    back = time.monotonic() + 60
    try:
        nights.until("the minute is over", lambda: time.monotonic() > back)
        assert not nights.is_complete(day)
    finally:
        s3.start()
    last = nights.end(job)
    assert last["result"] == "Succeeded", last
    assert_exact(nights, day)
    tell.append(f"S3 killed for 60 s while parts were written: complete and exact after {last['durationSeconds']} s")


def test_batch_of_one_night_run_twice_at_once(nights, day, s3, tell) -> None:
    nights.fill(day)
    s3.hold(lambda _shard: True)
    jobs = [nights.begin(day, number=number) for number in range(2)]
    for _ in range(2):
        s3.held.get(timeout=300)
    s3.hold(lambda _shard: False)
    for job in jobs:
        nights.until(f"{job} ends", lambda job=job: _is_over(nights, job), seconds=600)
    assert [_state(nights, job) for job in jobs] == ["Complete", "Complete"]
    assert_exact(nights, day)
    assert len(nights.parts(day)) == nights.shards
    tell.append("both succeed, one plan, each row once")


def test_batch_with_an_input_that_grows(nights, day, s3, tell) -> None:
    nights.fill(day)
    s3.hold(lambda _shard: True)
    job = nights.begin(day)
    s3.held.get(timeout=300)
    _add(nights, day, "later")
    s3.hold(lambda _shard: False)
    assert nights.end(job)["result"] == "Succeeded"
    assert_exact(nights, day)
    assert [name.rpartition("/")[2] for name in nights.manifest(day)["lateFiles"]] == ["later.parquet"]
    _add(nights, day, "too-late")
    assert nights.run(day, number=1)["reason"] == "InputChanged"
    assert "too-late.parquet" in nights.trouble("InputChanged")
    assert_exact(nights, day)
    tell.append("a file that came during the run is named in the manifest; one that came after it: InputChanged")


def test_batch_with_another_number_of_shards(nights, day, s3, onnx_bytes, tell) -> None:
    nights.fill(day)
    assert nights.run(day)["result"] == "Succeeded"
    before = nights.parts(day)
    nights.apply(shards=5, parallelism=5)
    nights.until("the CronJob has 5", lambda: _shards(nights) == 5)
    assert nights.run(day, number=1)["reason"] == "PlanDiffers"
    assert "6 shards, where 5 are asked for" in nights.trouble("PlanDiffers")
    assert nights.parts(day) == before
    assert_exact(nights, day)
    tell.append("PlanDiffers, and the output is as it was")


def test_batch_with_a_model_replaced_in_the_middle(nights, day, s3, onnx_bytes, tell) -> None:
    """The bytes at the model's URI are others when a pod is replaced; nothing had pinned them yet."""
    nights.fill(day)
    s3.hold(lambda _shard: True)
    job = nights.begin(day)
    shard = s3.held.get(timeout=300)
    nights.put_model(_other(onnx_bytes))
    pod = nights.pod_of(shard)
    assert pod is not None
    nights.kill(pod)
    nights.until("the pod is gone", lambda: nights.pod_of(shard) is None or nights.pod_of(shard) != pod)
    s3.hold(lambda _shard: False)
    last = nights.end(job)
    assert last["result"] == "Failed"
    assert last["reason"] in {"PlanDiffers", "DigestMismatch"}, last
    assert not nights.is_complete(day)
    tell.append(f"{last['reason']}, and no _SUCCESS")


def _add(nights: Nights, day: str, name: str) -> None:
    rows = np.ones((ROWS_PER_SHARD, 4), np.float32)
    ids = np.arange(10**6, 10**6 + ROWS_PER_SHARD)
    nights.add(day, name, pa.table({"id": ids} | {name: rows[:, i] for i, name in enumerate(FEATURES)}))


def _other(onnx: bytes) -> bytes:
    """A model that answers the same, with other bytes."""
    import onnx as onnx_format

    model = onnx_format.load_from_string(onnx)
    model.doc_string = "another"
    content: bytes = model.SerializeToString()
    return content


def _conditions(nights: Nights, job: str) -> list[str]:
    conditions = nights.kubectl.get("job", job).get("status", {}).get("conditions", ())
    return [one["type"] for one in conditions if one["status"] == "True"]


def _is_over(nights: Nights, job: str) -> bool:
    return bool({"Complete", "Failed"} & set(_conditions(nights, job)))


def _state(nights: Nights, job: str) -> str:
    return next(one for one in _conditions(nights, job) if one in {"Complete", "Failed"})


def _shards(nights: Nights) -> int:
    found: int = nights.cron_job()["spec"]["jobTemplate"]["spec"]["completions"]
    return found
