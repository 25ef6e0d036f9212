"""The short form of `make demo-batch`, a part of `make demo`: the credit model scores two nights of applications.

The model is the one that answers online, and so are the answers. In the second night incomes are half as high again,
which the run's own comparison with the model's reference must find.
"""

import json
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
from hack.demo.lake import SMALL, Lake
from hack.demo.stage import NAMESPACE, ROOT, Stage, must

_NAME: Final = "credit"
_ENTRY: Final = "nightly"
_FEATURES: Final = ("income", "age", "amount", "years_employed", "open_loans", "utilisation")
_USUAL, _RICH = "2026-11-20", "2026-11-21"
_SHARDS: Final = 4
_ASKED: Final = 1_000
_DEADLINE: Final = 120.0


class Nights:
    """The story. The model `credit` serves already, in the demo's namespace."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._kubectl = stage.kubectl
        self._lake = Lake(stage, "demo-nights")
        self._rows = np.empty((0, len(_FEATURES)), np.float32)

    def play(self) -> None:
        """All of it, as steps of the stage."""
        step = self._stage.step
        step(
            f"score a night of applications in {_SHARDS} shards, and ask the model that serves for the same",
            self._usual,
        )
        step("score a night whose incomes are half as high again: BatchInputDrift names the feature", self._rich)

    def _usual(self) -> str:
        self._upload()
        self._add_entry()
        last = self._ran(_USUAL)
        must((last["rows"], last["failedRows"]) == (len(self._rows), 0), f"not all rows were answered: {last}")
        told = self._condition("BatchInputDrift")
        must(told.get("status") == "False", f"rows as usual are told as drifted: {told}")
        scored = self._answers(_USUAL)
        online = self._online(self._rows[:_ASKED])
        differing = sum(one != other for one, other in zip(scored[:_ASKED], online, strict=True))
        must(differing == 0, f"{differing} of {_ASKED} rows have other answers online")
        return f"{last['rows']:,} rows; {_ASKED:,} compared with online answers, all equal"

    def _rich(self) -> str:
        last = self._ran(_RICH)
        told = self._condition("BatchInputDrift")
        must(told.get("status") == "True" and "income (PSI" in told["message"], f"the drift is not told: {told}")
        must(last["result"] == "Succeeded", f"the run failed: {last}")
        print(self._stage.modelway("batch", "status", _NAME), end="")
        return str(told["message"])

    def _upload(self) -> None:
        found = json.loads((ROOT / ".local" / "demo" / _NAME / "rows.json").read_text())
        self._rows = np.array(found, dtype=np.float32)
        self._lake.clear()
        richer = self._rows * np.array([1.5, 1, 1, 1, 1, 1], np.float32)
        for day, rows in ((_USUAL, self._rows), (_RICH, richer)):
            columns = {name: rows[:, index] for index, name in enumerate(_FEATURES)}
            table = pa.table({"id": np.arange(len(rows))} | columns)
            self._lake.put(table, f"in/dt={day}/rows.parquet", rows_per_group=len(rows) // _SHARDS)

    def _add_entry(self) -> None:
        lake = self._lake.uri
        entry = {
            "name": _ENTRY,
            "input": {"uri": f"{lake}/in/dt={{date}}/"},
            "output": {"uri": f"{lake}/out/dt={{date}}/", "columns": ["id"]},
            "shards": _SHARDS,
            "parallelism": 2,
            "credentialsSecretRef": {"name": "s3"},
            "resources": SMALL,
        }
        patch = json.dumps({"spec": {"batchJobs": [entry]}})
        self._kubectl.run("patch", "mdep", _NAME, "--type=merge", f"--patch={patch}")
        self._until("there is a CronJob", lambda: self._kubectl.list("cronjobs", f"modelway.dev/name={_NAME}"))

    def _ran(self, day: str) -> dict[str, Any]:
        """Run a day and wait; gives what status tells of it."""
        told = self._stage.modelway("batch", "run", _NAME, f"--date={day}", "--wait")
        print("".join(f"  {line}\n" for line in told.splitlines()), end="", flush=True)
        self._until("status tells of the run", lambda: self._last_run().get("date") == day)
        return self._last_run()

    def _answers(self, day: str) -> list[Any]:
        """In the order of the rows."""
        table = self._lake.answers(day)
        must(table.column("id").to_pylist() == list(range(len(self._rows))), "rows are missing, doubled or moved")
        answers: list[Any] = table.column("prediction").to_pylist()
        return answers

    def _online(self, rows: np.ndarray) -> list[Any]:
        """What the model that serves answers, by the API server's proxy."""
        path = f"/api/v1/namespaces/{NAMESPACE}/services/{_NAME}:http/proxy/v1/models/{_NAME}:predict"
        body = json.dumps({"instances": rows.tolist()})
        answer = json.loads(self._kubectl.run("create", "--raw", path, "--filename", "-", stdin=body))
        predictions: list[Any] = answer["predictions"]
        return predictions

    def _last_run(self) -> dict[str, Any]:
        entries = self._kubectl.get("mdep", _NAME)["status"].get("batchJobs", [{}])
        found: dict[str, Any] = entries[0].get("lastRun", {})
        return found

    def _condition(self, kind: str) -> dict[str, Any]:
        conditions = self._kubectl.get("mdep", _NAME)["status"].get("conditions", ())
        return next((one for one in conditions if one["type"] == kind), {})

    def _until(self, what: str, holds: Callable[[], Any]) -> Any:
        return self._kubectl.wait(what, holds, seconds=_DEADLINE, show=("get", "mdep,jobs,pods", "--output=wide"))
