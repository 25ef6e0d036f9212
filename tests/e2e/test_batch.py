"""Batch jobs with real pods, real S3 and the operator that is installed."""

import io
import json
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hack.demo.kubectl import Kubectl
from pyarrow import parquet

from modelway.cli import main
from modelway.profiling import profile
from support.deployments import SMALL, Bucket, Object, condition, status_of
from support.gated_s3 import gated_s3
from support.nights import ROWS_PER_SHARD, Killer, Nights

FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
ROWS = 4000


@pytest.fixture(scope="module")
def lake(bucket: Bucket, iris, onnx_bytes: bytes) -> Bucket:
    """The iris model, and a day of flowers in two files."""
    bucket.put("model/model.onnx", onnx_bytes)
    bucket.put("model/modelway.json", json.dumps({"featureNames": FEATURES, "version": "1"}).encode())
    rows = np.resize(iris[1], (ROWS, 4))
    table = pa.table({"id": np.arange(ROWS)} | {name: rows[:, index] for index, name in enumerate(FEATURES)})
    for number in range(2):
        file = io.BytesIO()
        parquet.write_table(table.slice(number * ROWS // 2, ROWS // 2), file, row_group_size=500)
        bucket.put(f"in/dt=2026-11-20/{number}.parquet", file.getvalue())
    return bucket


def scored(lake: Bucket, name: str, *, features: list[str] = FEATURES, **job: object) -> Object:
    """A ModelDeployment that only scores."""
    model = {"uri": lake.uri("model/"), "credentialsSecretRef": {"name": "s3"}}
    mapped = {"columnMap": {name: column for name, column in zip(FEATURES, features, strict=True) if name != column}}
    entry = {
        "name": "daily",
        "input": {"uri": lake.uri("in/dt={date}/")},
        "output": {"uri": lake.uri(f"{name}/dt={{date}}/"), "columns": ["id"]},
        "shards": 4,
        "parallelism": 2,
        "credentialsSecretRef": {"name": "s3"},
        "resources": SMALL,
        **(mapped if mapped["columnMap"] else {}),
        **job,
    }
    return {
        "apiVersion": "modelway.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name},
        "spec": {"model": model, "batchJobs": [entry]},
    }


def call(kubectl: Kubectl, monkeypatch, *arguments: str):
    """The command as a user calls it."""
    monkeypatch.setenv("PATH", kubectl.environment["PATH"])
    options = [f"--namespace={kubectl.namespace}", f"--kubeconfig={kubectl.kubeconfig}"]
    return CliRunner().invoke(main, ["batch", *arguments, *options])


def last_run(kubectl: Kubectl, name: str) -> Object:
    entries = status_of(kubectl, name).get("batchJobs", [{}])
    found: Object = entries[0].get("lastRun", {})
    return found


def until(kubectl: Kubectl, name: str, what: str, holds):
    return kubectl.wait(what, holds, seconds=120, show=("get", "mdep,jobs,pods", "--output=yaml"))


def test_a_day_is_scored_by_a_pod_for_each_shard_and_told(kubectl, lake, iris, monkeypatch) -> None:
    kubectl.apply(scored(lake, "scored"))
    until(kubectl, "scored", "there is a CronJob", lambda: status_of(kubectl, "scored").get("batchJobs"))
    result = call(kubectl, monkeypatch, "run", "scored", "--date=2026-11-20", "--wait")
    assert result.exit_code == 0, result.output
    last = until(kubectl, "scored", "the run is told", lambda: last_run(kubectl, "scored"))
    assert (last["result"], last["rows"], last["failedRows"]) == ("Succeeded", ROWS, 0)
    assert last["digest"] == status_of(kubectl, "scored")["stable"]["digest"]

    manifest = json.loads(lake.get("scored/dt=2026-11-20/_manifest.json"))
    assert len(manifest["parts"]) == 4
    parts = [lake.get(f"scored/dt=2026-11-20/{part['path']}") for part in manifest["parts"]]
    table = pa.concat_tables([parquet.read_table(io.BytesIO(part)) for part in parts])
    model, rows = iris
    assert table.column("id").to_pylist() == list(range(ROWS))
    assert table.column("prediction").to_pylist() == model.predict(np.resize(rows, (ROWS, 4))).tolist()


def test_a_night_whose_rows_are_not_as_usual_is_told(kubectl, lake, iris, onnx_bytes, monkeypatch) -> None:
    rows = np.resize(iris[1], (ROWS, 4))
    reference = profile({name: rows[:, index] - (index == 2) for index, name in enumerate(FEATURES)}).record()
    lake.put("known/model.onnx", onnx_bytes)
    lake.put("known/modelway.json", json.dumps({"featureNames": FEATURES, "reference": reference}).encode())
    body = scored(lake, "unusual", shards=2)
    body["spec"]["model"]["uri"] = lake.uri("known/")
    kubectl.apply(body)
    until(kubectl, "unusual", "there is a CronJob", lambda: status_of(kubectl, "unusual").get("batchJobs"))
    result = call(kubectl, monkeypatch, "run", "unusual", "--date=2026-11-20", "--wait")
    assert result.exit_code == 0, result.output
    until(kubectl, "unusual", "it is told", lambda: condition(kubectl, "unusual", "BatchInputDrift"))
    assert condition(kubectl, "unusual", "BatchInputDrift")["status"] == "True"
    inputs = last_run(kubectl, "unusual")["inputs"]
    assert (inputs["features"], inputs["driftedFeatures"], inputs["worst"][0]["name"]) == (4, 1, "petal_length")
    assert "petal_length (PSI" in call(kubectl, monkeypatch, "status", "unusual").output


def test_a_run_that_cannot_be_done_is_told_by_its_cause(kubectl, lake, monkeypatch) -> None:
    kubectl.apply(scored(lake, "failing", features=[*FEATURES[:3], "width"]))
    until(kubectl, "failing", "there is a CronJob", lambda: status_of(kubectl, "failing").get("batchJobs"))
    kubectl.run("create", "job", "by-hand", "--from=cronjob/failing-daily")
    until(kubectl, "failing", "it is refused", lambda: last_run(kubectl, "failing"))
    assert last_run(kubectl, "failing")["reason"] == "DateUnknown"
    result = call(kubectl, monkeypatch, "run", "failing", "--date=2026-11-20", "--wait")
    assert result.exit_code == 1, result.output
    until(
        kubectl,
        "failing",
        "the column is named",
        lambda: condition(kubectl, "failing", "BatchFailed").get("reason") == "ColumnMissing",
    )
    assert "width" in condition(kubectl, "failing", "BatchFailed")["message"]


def test_pods_killed_and_evicted_while_they_write_change_no_byte(kubectl, environment, onnx_bytes, tmp_path) -> None:
    """A sample of tests/faults/test_batch_faults.py."""
    with gated_s3(tmp_path, urlsplit(environment["AWS_ENDPOINT_URL"]).hostname) as s3:
        nights = Nights(kubectl, s3, "killed", shards=2)
        nights.deploy(onnx_bytes)
        day = "2026-11-21"
        nights.fill(day)
        with Killer(nights, times=2) as killer:
            last = nights.run(day)
        assert (last["result"], last.get("rows")) == ("Succeeded", 2 * ROWS_PER_SHARD), last
        assert dict(killer.ways) == {"killed": 2, "evicted": 2}
        assert nights.is_complete(day)
        assert list(nights.parts(day).values()) == nights.alone(day)
        kubectl.run("delete", "mdep", "killed")
