"""Batch runs on the real cluster that are disturbed on purpose, and what must hold of their output all the same."""

import io
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from typing import Any, Self

import numpy as np
import pyarrow as pa
from hack.demo.kubectl import Kubectl, KubectlError
from pyarrow import parquet

from modelway.api.batch_dates import parse
from modelway.cli.batch import manual
from support.deployments import SMALL, Object, condition, status_of
from support.gated_s3 import GatedS3

FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
ROWS_PER_SHARD = 1000
_JOB = "batch.kubernetes.io/job-name"
_INDEX = "batch.kubernetes.io/job-completion-index"
_GRACE = "--grace-period=0"


class Nights:
    """A ModelDeployment that only scores, and runs of it by day."""

    def __init__(self, kubectl: Kubectl, s3: GatedS3, name: str, *, shards: int, parallelism: int = 8) -> None:
        self.kubectl, self.s3, self.name, self.shards = kubectl, s3, name, shards
        self._parallelism = parallelism
        keys = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "lake"}, "stringData": s3.environ}
        kubectl.apply(keys)

    def deploy(self, onnx: bytes, **changes: Any) -> None:
        """Put the model there, and apply the resource; wait until it can be run."""
        self.put_model(onnx)
        self.apply(**changes)
        self.until("there is a CronJob", lambda: self._status().get("cronJob") and self.cron_job())

    def put_model(self, onnx: bytes) -> None:
        self.s3.put(f"{self.name}/model/model.onnx", onnx)
        told = json.dumps({"featureNames": FEATURES, "version": "1"}).encode()
        self.s3.put(f"{self.name}/model/modelway.json", told)

    def apply(self, **changes: Any) -> None:
        secret = {"name": "lake"}
        entry = {
            "name": "nightly",
            "input": {"uri": f"s3://lake/{self.name}/in/dt={{date}}/"},
            "output": {"uri": f"s3://lake/{self.name}/out/dt={{date}}/", "columns": ["id"]},
            "shards": self.shards,
            "parallelism": min(self.shards, self._parallelism),
            "credentialsSecretRef": secret,
            "resources": SMALL,
        } | changes
        model = {"uri": f"s3://lake/{self.name}/model/", "credentialsSecretRef": secret}
        self.kubectl.apply(
            {
                "apiVersion": "modelway.dev/v1alpha1",
                "kind": "ModelDeployment",
                "metadata": {"name": self.name},
                "spec": {"model": model, "batchJobs": [entry]},
            }
        )

    def fill(self, day: str, *, shards: int | None = None) -> None:
        """A day's rows: a file with a row group for each shard."""
        count = (shards or self.shards) * ROWS_PER_SHARD
        rows = np.random.default_rng(0).uniform(0, 8, (count, 4)).astype(np.float32)
        self.add(day, "x", pa.table({"id": np.arange(count)} | {name: rows[:, i] for i, name in enumerate(FEATURES)}))

    def add(self, day: str, name: str, table: pa.Table) -> None:
        file = io.BytesIO()
        parquet.write_table(table, file, row_group_size=ROWS_PER_SHARD)
        self.s3.put(f"{self.name}/in/dt={day}/{name}.parquet", file.getvalue())

    def begin(self, day: str, *, number: int = 0) -> str:
        """Begin a run, whether or not one of that day goes on; gives its Job's name."""
        cron_job, moment = self.cron_job(), parse(day)
        name = f"{next(manual.names(cron_job['metadata']['name'], moment, 0))}{f'-{number}' if number else ''}"
        self.kubectl.run("create", "--filename=-", stdin=json.dumps(manual.job_of(cron_job, name, moment)))
        return name

    def alone(self, day: str) -> list[bytes]:
        """The parts that a run of the day has when nothing goes wrong: scored here, by one process."""
        lake = f"s3://lake/{self.name}"
        command = [sys.executable, "-m", "modelway.cli", "batch", "score", f"--shards={self.shards}", "--columns=id"]
        model = self.s3.root / "lake" / self.name / "model"
        options = [f"--model={model}", f"--input={lake}/in/dt={day}/", f"--output={lake}/out/dt=alone/"]
        subprocess.run([*command, *options], env=os.environ | self.s3.environ, check=True, timeout=600)
        return list(self.parts("alone").values())

    def end(self, job: str, *, seconds: float = 1800) -> Object:
        """Wait until a run has ended; gives what status tells of it."""

        def told() -> Object | None:
            last: Object = self._status().get("lastRun", {})
            return last if last.get("job") == job else None

        def ended() -> bool:
            conditions = self.kubectl.get("job", job).get("status", {}).get("conditions", ())
            return any(one["type"] in {"Complete", "Failed"} for one in conditions)

        self.until(f"{job} has ended", ended, seconds=seconds)
        found: Object = self.until(f"status tells of {job}", told)
        return found

    def run(self, day: str, **more: Any) -> Object:
        return self.end(self.begin(day, **more))

    def trouble(self, reason: str) -> str:
        """Wait until the condition tells of a failure; gives its message."""
        self.until(reason, lambda: condition(self.kubectl, self.name, "BatchFailed").get("reason") == reason)
        message: str = condition(self.kubectl, self.name, "BatchFailed")["message"]
        return message

    def is_complete(self, day: str) -> bool:
        return (self._folder(day) / "_SUCCESS").exists()

    def manifest(self, day: str) -> Object:
        found: Object = json.loads((self._folder(day) / "_manifest.json").read_text())
        return found

    def parts(self, day: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self._folder(day).glob("part-*"))}

    def ids(self, day: str) -> list[int]:
        """The rows that a reader of the output's folder sees, in the order of its parts."""
        tables = [parquet.read_table(io.BytesIO(part)) for part in self.parts(day).values()]
        found: list[int] = pa.concat_tables(tables).column("id").to_pylist()
        return found

    def pod_of(self, shard: int) -> Object | None:
        """The pod that scores a shard now; while its write is held it is there, whether or not its kubelet has said so."""
        pods = self.kubectl.list("pods", f"modelway.dev/name={self.name},{_INDEX}={shard}")
        going = [pod for pod in pods if pod["status"].get("phase") in {"Pending", "Running"} and _is_wanted(pod)]
        return going[-1] if going else None

    def kill(self, pod: Object) -> None:
        self.kubectl.run("delete", "pod", pod["metadata"]["name"], "--force", _GRACE, "--wait=false")

    def evict(self, pod: Object) -> None:
        """As `kubectl drain` does."""
        metadata = {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        eviction["deleteOptions"] = {"gracePeriodSeconds": 1}
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/eviction"
        self.kubectl.run("create", "--raw", path, "--filename=-", stdin=json.dumps(eviction))

    def cron_job(self) -> Object:
        return self.kubectl.get("cronjob", self._status()["cronJob"])

    def until(self, what: str, holds: Any, *, seconds: float = 120) -> Any:
        return self.kubectl.wait(what, holds, seconds=seconds, show=("get", "mdep,jobs,pods"))

    def _folder(self, day: str) -> Any:
        return self.s3.root / "lake" / self.name / "out" / f"dt={day}"

    def _status(self) -> Object:
        return next(iter(status_of(self.kubectl, self.name).get("batchJobs", ())), {})


class Killer:
    """Kills the pods of each shard so many times, each while its part is half-written; every other one is evicted.

    A write is held until its pod is gone: one that is let go in the second that an eviction gives it would end well.
    """

    def __init__(self, nights: Nights, *, times: int) -> None:
        self._nights, self._times = nights, times
        self.by_shard: Counter[int] = Counter()
        self.ways: Counter[str] = Counter()
        self._over: Counter[int] = Counter()
        self._gone: set[str] = set()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._stopped = False

    def __enter__(self) -> Self:
        self._nights.s3.hold(lambda shard: self._over[shard] < self._times)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._nights.s3.held.put(-1)
        self._thread.join()
        self._nights.s3.hold(lambda _shard: False)

    def _work(self) -> None:
        while (shard := self._nights.s3.held.get()) >= 0 and not self._stopped:
            pod = self._nights.pod_of(shard)
            # A pod that was killed a moment ago may write once more.
            if pod is None or pod["metadata"]["uid"] in self._gone or self.by_shard[shard] >= self._times:
                continue
            way = "evicted" if self.by_shard[shard] % 2 else "killed"
            try:
                (self._nights.evict if way == "evicted" else self._nights.kill)(pod)
            except KubectlError:
                self._nights.s3.held.put(shard)  # it was going by itself
                continue
            self._gone.add(pod["metadata"]["uid"])
            self.by_shard[shard] += 1
            self.ways[way] += 1
            threading.Thread(target=self._let_go, args=(shard, pod), daemon=True).start()

    def _let_go(self, shard: int, pod: Object) -> None:
        name = pod["metadata"]["name"]
        self._nights.kubectl.run("wait", "--for=delete", f"pod/{name}", "--timeout=120s")
        self._over[shard] += 1
        self._nights.s3.look()


def _is_wanted(pod: Object) -> bool:
    return "deletionTimestamp" not in pod["metadata"]
