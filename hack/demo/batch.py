"""`make demo-batch`: two million rows scored on the cluster, the way a night's run is, and checked row by row.

The answers must be those that the model gives online; a second run must find everything done; a pod that is killed
half-way must change no byte; and a schedule must fire by itself.
"""

import io
import json
import ssl
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import numpy as np
import pyarrow as pa
from hack.demo.lake import SMALL, Lake
from hack.demo.stage import NAMESPACE, Stage, must, perform
from kubernetes import config
from pyarrow import parquet

_NAME: Final = "iris"
_ROWS: Final = 2_000_000
_FILES: Final = 8
_SHARDS, _AT_ONCE = 8, 4
_FEATURES: Final = ("sepal_length", "sepal_width", "petal_length", "petal_width")
_DAY, _KILLED_DAY = "2026-11-20", "2026-11-21"
_REQUEST_ROWS: Final = 10_000
_DEADLINE: Final = 300.0


class Batch:
    """The story."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._kubectl = stage.kubectl
        self._lake = Lake(stage, "demo-batch")

    def play(self) -> None:
        """All of it, as steps of the stage."""
        step = self._stage.step
        step("train an iris model and upload it, with two million rows in Parquet", self._upload)
        step("apply one ModelDeployment that serves and has two batch jobs", self._deploy)
        step(f"modelway batch run: {_SHARDS} shards, {_AT_ONCE} at a time", self._run)
        step("ask the model that serves for all rows, and compare", self._compare)
        step("run the same day again: every part is there", self._run_again)
        step("run another day with the same rows, and kill a pod half-way: the same bytes", self._run_killed)
        step("wait for the schedule to fire by itself", self._wait_for_schedule)

    def _upload(self) -> str:
        self._stage.train(_NAME, ("2",))
        self._lake.clear()
        rng = np.random.default_rng(0)
        size = _ROWS // _FILES
        for number in range(_FILES):
            rows = rng.uniform((4, 2, 1, 0), (8, 4.5, 7, 2.5), (size, 4)).astype(np.float32)
            columns = {name: rows[:, index] for index, name in enumerate(_FEATURES)}
            table = pa.table({"id": np.arange(number * size, (number + 1) * size)} | columns)
            paths = [f"in/dt={day}/{number}.parquet" for day in (_DAY, _KILLED_DAY)]
            self._lake.put(table, *paths, rows_per_group=size // 4)
            if number == 0:
                self._lake.put(table.slice(0, 1000), "small/rows.parquet", rows_per_group=1000)
        return f"{_ROWS:,} rows in {_FILES} files"

    def _deploy(self) -> str:
        self._end_runs()
        self._stage.fresh_namespace()
        lake, secret = self._lake.uri, {"name": "s3"}
        usual = {"credentialsSecretRef": secret, "resources": SMALL}
        nightly = {
            "name": "nightly",
            "input": {"uri": f"{lake}/in/dt={{date}}/"},
            "output": {"uri": f"{lake}/out/dt={{date}}/", "columns": ["id"]},
            "shards": _SHARDS,
            "parallelism": _AT_ONCE,
        }
        minutely = {
            "name": "minutely",
            "schedule": "* * * * *",
            "input": {"uri": f"{lake}/small/"},
            "output": {"uri": f"{lake}/minutely/{{date}}/{{time}}/"},
        }
        self._kubectl.apply(
            {
                "apiVersion": "modelway.dev/v1alpha1",
                "kind": "ModelDeployment",
                "metadata": {"name": _NAME},
                "spec": {
                    "model": {"uri": f"s3://models/{_NAME}/2/", "version": "2", "credentialsSecretRef": secret},
                    "serving": {"replicas": 1, "resources": SMALL},
                    "batchJobs": [nightly | usual, minutely | usual],
                },
            }
        )
        self._until("the model serves", lambda: self._status().get("stable", {}).get("readyReplicas"))
        self._until("there are two CronJobs", lambda: len(self._cron_jobs()) == 2)
        print(self._kubectl.run("get", "mdep,deployment,cronjob"), end="")
        return "one resource: a Deployment and two CronJobs"

    def _run(self) -> str:
        seconds = self._ran(_DAY)
        last = self._last_run("nightly")
        must(last["rows"] == _ROWS and last["failedRows"] == 0, f"not all rows were answered: {last}")
        must(self._lake.read(f"out/dt={_DAY}/_SUCCESS").startswith(b"sha256:"), "there is no _SUCCESS")
        return f"{_ROWS:,} rows in {seconds:.0f} s, {last['rowsPerCoreSecond']:,} rows per core-second"

    def _compare(self) -> str:
        scored = self._lake.answers(_DAY)
        must(len(scored) == _ROWS, f"{len(scored)} rows in the output")
        ids = scored.column("id").to_numpy()
        must(bool((np.sort(ids) == np.arange(_ROWS)).all()), "rows are missing or doubled")
        given = np.empty(_ROWS, scored.column("prediction").to_numpy().dtype)
        given[ids] = scored.column("prediction").to_numpy()
        rows = np.empty((_ROWS, len(_FEATURES)), np.float32)
        for number in range(_FILES):
            table = parquet.read_table(io.BytesIO(self._lake.read(f"in/dt={_DAY}/{number}.parquet")))
            rows[table.column("id").to_numpy()] = np.column_stack([table.column(name) for name in _FEATURES])
        began = time.monotonic()
        online = self._online(rows)
        differing = int((online != given).sum())
        must(differing == 0, f"{differing} rows have other answers online")
        return f"{_ROWS:,} answers equal, online ones in {time.monotonic() - began:.0f} s"

    def _run_again(self) -> str:
        before = self._lake.parts(_DAY)
        seconds = self._ran(_DAY)
        must(self._lake.parts(_DAY) == before, "parts have changed")
        return f"nothing scored, {seconds:.0f} s for pods to begin and to look"

    def _run_killed(self) -> str:
        killed: list[str] = []
        stop = threading.Event()
        killer = threading.Thread(target=self._kill, args=(killed, stop))
        killer.start()
        try:
            self._ran(_KILLED_DAY)
        finally:
            stop.set()
            killer.join()
        must(bool(killed), "no pod could be killed while it scored")
        must(_bytes(self._lake.parts(_KILLED_DAY)) == _bytes(self._lake.parts(_DAY)), "the bytes differ")
        return f"{killed[0]} killed; {_SHARDS} parts, the same bytes"

    def _kill(self, killed: list[str], stop: threading.Event) -> None:
        """Kill a pod that scores: its container has begun, and its shard has no part yet."""
        while not stop.is_set() and not killed:
            for pod in self._kubectl.list("pods", "modelway.dev/batch-job=nightly"):
                status = next(iter(pod["status"].get("containerStatuses", ())), {})
                if "running" in status.get("state", {}):
                    name = pod["metadata"]["name"]
                    self._kubectl.run("delete", "pod", name, "--force", "--grace-period=0", "--wait=false")
                    killed.append(name)
                    print(f"  killed {name}", flush=True)
                    break
            stop.wait(0.2)

    def _wait_for_schedule(self) -> str:
        last = self._until("a scheduled run has succeeded", lambda: self._last_run("minutely"))
        must(last["result"] == "Succeeded", f"it failed: {last}")
        events = self._kubectl.run("get", "events.events.k8s.io", "--field-selector=reason=BatchSucceeded")
        must("minutely" in events, "there is no Event")
        suspended = [one | ({"suspend": True} if one["name"] == "minutely" else {}) for one in self._entries()]
        self._kubectl.run(
            "patch", "mdep", _NAME, "--type=merge", f"--patch={json.dumps({'spec': {'batchJobs': suspended}})}"
        )
        print(self._stage.modelway("batch", "status", _NAME), end="")
        return f"{last['job']} scored {last['rows']:,} rows into {last['output']}"

    def _ran(self, day: str) -> float:
        """Run a day and wait; gives the seconds."""
        began = time.monotonic()
        before = self._last_run("nightly").get("job")
        told = self._stage.modelway("batch", "run", _NAME, "--job=nightly", f"--date={day}", "--wait")
        print("".join(f"  {line}\n" for line in told.splitlines()), end="", flush=True)
        seconds = time.monotonic() - began
        self._until("status tells of the run", lambda: self._last_run("nightly").get("job") not in {None, before})
        return seconds

    def _online(self, rows: np.ndarray) -> np.ndarray:
        """What the model that serves answers, by V2's binary tensors, through the API server's proxy."""
        cluster = config.new_client_from_config(self._kubectl.kubeconfig).configuration
        path = f"/api/v1/namespaces/{NAMESPACE}/services/{_NAME}:http/proxy/v2/models/{_NAME}/infer"
        url = f"{cluster.host}{path}"
        client = httpx.Client(
            headers={"Authorization": next(iter(cluster.api_key.values()), "")},
            verify=ssl.create_default_context(cafile=cluster.ssl_ca_cert),
            timeout=60,
        )

        def ask(start: int) -> list[int]:
            block = np.ascontiguousarray(rows[start : start + _REQUEST_ROWS])
            tensor = {
                "name": "X",
                "datatype": "FP32",
                "shape": list(block.shape),
                "parameters": {"binary_data_size": block.nbytes},
            }
            head = json.dumps({"inputs": [tensor]}).encode()
            told = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
            answer = client.post(url, content=head + block.tobytes(), headers=told)
            must(answer.status_code == 200, answer.text)
            data: list[int] = answer.json()["outputs"][0]["data"]
            return data

        with client, ThreadPoolExecutor(4) as pool:
            return np.concatenate([np.asarray(one) for one in pool.map(ask, range(0, _ROWS, _REQUEST_ROWS))])

    def _end_runs(self) -> None:
        """Of an earlier demo: a namespace is not deleted while a run goes on (docs/batch.md)."""
        self._kubectl.run("delete", "mdep", "--all", "--ignore-not-found")
        self._kubectl.wait(
            "the runs have ended",
            lambda: not self._kubectl.list("jobs", f"modelway.dev/name={_NAME}"),
            seconds=_DEADLINE,
            show=("get", "jobs,pods"),
        )

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = self._kubectl.get("mdep", _NAME).get("status", {})
        return status

    def _last_run(self, entry: str) -> dict[str, Any]:
        entries = {one["name"]: one for one in self._status().get("batchJobs", ())}
        found: dict[str, Any] = entries.get(entry, {}).get("lastRun", {})
        return found

    def _entries(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self._kubectl.get("mdep", _NAME)["spec"]["batchJobs"]
        return entries

    def _cron_jobs(self) -> list[dict[str, Any]]:
        return self._kubectl.list("cronjobs", f"modelway.dev/name={_NAME}")

    def _until(self, what: str, holds: Callable[[], Any]) -> Any:
        return self._kubectl.wait(what, holds, seconds=_DEADLINE, show=("get", "mdep", _NAME, "--output=yaml"))


def _bytes(parts: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """What the parts hold; their names hold the hash of their plan."""
    return [(part["bytes"], part["sha256"]) for part in parts]


COMMANDS: Final = (
    f"modelway batch status {_NAME} -n {NAMESPACE}",
    f"modelway batch backfill {_NAME} --job nightly --from {_DAY} --to {_KILLED_DAY} -n {NAMESPACE}",
    f"kubectl -n {NAMESPACE} get cronjobs,jobs",
    "make cluster-down",
)


def play(stage: Stage) -> None:
    Batch(stage).play()
    stage.report(COMMANDS)


if __name__ == "__main__":
    sys.exit(perform("demo-batch", __doc__, play))
