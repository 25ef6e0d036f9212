"""`make demo-drift`: a credit model under steady load while the world changes, and what its status says of it.

As long as rows are as usual nothing may be said. A shifted feature must be named by the third full window, one that is
gone null in the next, an old model at once; labels that say otherwise must be seen, though no input has changed; and
when all is well again every condition must clear. `Ready` has to stay true throughout. Windows are of ten seconds here,
of five minutes where nothing else is asked for.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hack.demo.labels import Labels
from hack.demo.load import ClusterLoad
from hack.demo.stage import Stage, must, perform

_NAME: Final = "credit"
_WINDOW: Final = 10.0
_SLACK: Final = 12.0
"""Seconds for a window that has begun before, and for a reading to be told."""
_ROWS: Final = 40
"""Of a request."""
_REQUESTS: Final = 500
"""That are sent in turn."""
_RATE: Final = 20
_MIN_ROWS: Final = 1000
_INCOME, _AMOUNT = 0, 2
_CONDITIONS: Final = ("DataDrift", "DataQualityIssue", "ModelStale", "Degraded")
_DEADLINE: Final = 180.0


class Drift:
    """The story."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._kubectl = stage.kubectl
        self._rows: list[list[float | None]] = []
        self._labels = Labels(self._kubectl, _NAME, [], [])
        self._load: ClusterLoad | None = None
        self._unready: list[str] = []

    def play(self) -> None:
        """All of it, as steps of the stage."""
        step = self._stage.step
        step("make an empty namespace", self._stage.fresh_namespace)
        self._begin()
        with self._ready_throughout():
            step("rows as usual for six windows: nothing is said", self._stay_quiet)
            step("incomes are half as high again: DataDrift names the feature", self._shift)
            step("rows as usual again: DataDrift is over", lambda: self._calm("DataDrift"))
            step("half of the amounts are missing: DataQualityIssue", self._lose_values)
            step("rows as usual again: DataQualityIssue is over", lambda: self._calm("DataQualityIssue"))
            step("the model is 40 days old, where 30 are allowed: ModelStale", self._age)
            step("the model was trained today: ModelStale is over", self._renew)
            step("labels come of what was predicted: the accuracy is as it should be", self._judge)
            step("a third of the labels say otherwise, of rows as usual: PerformanceDegraded", self._degrade)
            step("labels as before: PerformanceDegraded is over", self._recover)
            step("all conditions are clear, and nobody was restarted", self._look_back)

    def play_short(self) -> None:
        """One shifted feature, beside what else there is in the namespace."""
        self._begin()
        with self._ready_throughout():
            self._stage.step("incomes are half as high again: DataDrift names the feature", self._shift)

    def _begin(self) -> None:
        self._stage.step("train a credit model that tells what is usual, and upload it", self._upload)
        self._stage.step("apply one ModelDeployment with monitoring, in windows of ten seconds", self._deploy)

    @contextmanager
    def _ready_throughout(self) -> Iterator[None]:
        """Nothing in this block may take Ready away; the load ends with it."""
        stop = threading.Event()
        watching = threading.Thread(target=self._watch_ready, args=(stop,))
        watching.start()
        try:
            yield
        finally:
            stop.set()
            watching.join()
            if self._load is not None:
                self._load.stop()
        must(not self._unready, f"Ready was not true throughout: {self._unready[:3]}")

    def _upload(self) -> str:
        models = self._stage.train(_NAME, ("1",))
        self._rows = json.loads((models / "rows.json").read_text())
        truths = json.loads((models / "truths.json").read_text())
        self._labels = Labels(self._kubectl, _NAME, self._rows, truths)
        reference = json.loads((models / "1" / "modelway.json").read_text())["reference"]
        return f"{len(reference['features'])} features with what is usual for them, in modelway.json"

    def _deploy(self) -> str:
        self._kubectl.apply(
            {
                "apiVersion": "modelway.dev/v1alpha1",
                "kind": "ModelDeployment",
                "metadata": {"name": _NAME},
                "spec": {
                    "model": {
                        "uri": f"s3://models/{_NAME}/1/",
                        "version": "1",
                        "credentialsSecretRef": {"name": "s3"},
                        "trainingTime": _days_ago(0),
                    },
                    "serving": {"replicas": 2, "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}},
                    "monitoring": {
                        "window": f"{_WINDOW:.0f}s",
                        "minRows": _MIN_ROWS,
                        "maxModelAge": "720h",
                        "slo": {"errorRate": "1%", "latency": {"threshold": "250ms", "percent": "99%"}},
                        "quality": {"metric": "accuracy", "min": 0.75, "minLabels": 200, "window": f"{_WINDOW:.0f}s"},
                    },
                },
            }
        )
        self._until("two pods answer", lambda: self._status().get("stable", {}).get("readyReplicas") == 2)
        self._send(self._rows)
        self._until("the first windows are over", lambda: self._said("DataDrift")["status"] == "False")
        return (
            f"DataDrift is False, after {self._status()['monitoring']['reference']['features']} features were compared"
        )

    def _stay_quiet(self) -> str:
        before = self._kubectl.get("mdep", _NAME)["metadata"]["resourceVersion"]
        end = time.monotonic() + 6 * _WINDOW
        while time.monotonic() < end:
            said = {kind: self._said(kind)["status"] for kind in _CONDITIONS}
            must(set(said.values()) == {"False"}, f"something is said of rows as usual: {said}")
            time.sleep(1.0)
        after = self._kubectl.get("mdep", _NAME)["metadata"]["resourceVersion"]
        must(before == after, "the status was written although nothing had changed")
        return "six windows, not one condition true, not one write"

    def _shift(self) -> str:
        self._send([[row[_INCOME] * 1.5, *row[1:]] for row in self._rows])
        seconds = self._becomes("DataDrift", "True", within=3 * _WINDOW)
        message = self._said("DataDrift")["message"]
        must("income (PSI" in message, f"it names another feature: {message}")
        print(self._kubectl.run("get", "mdep", _NAME), end="")
        return f"after {seconds:.0f} s: {message}"

    def _lose_values(self) -> str:
        rows = [
            [None if place == _AMOUNT and number % 2 else value for place, value in enumerate(row)]
            for number, row in enumerate(self._rows)
        ]
        self._send(rows)
        seconds = self._becomes("DataQualityIssue", "True", within=_WINDOW)
        message = self._said("DataQualityIssue")["message"]
        must("amount" in message and "have no value" in message, f"it says something else: {message}")
        return f"after {seconds:.0f} s: {message}"

    def _calm(self, kind: str) -> str:
        self._send(self._rows)
        seconds = self._becomes(kind, "False", within=4 * _WINDOW)
        return f"after {seconds:.0f} s"

    def _age(self) -> str:
        self._trained(_days_ago(40))
        seconds = self._becomes("ModelStale", "True", within=0.0)
        return f"after {seconds:.0f} s: {self._said('ModelStale')['message']}"

    def _renew(self) -> str:
        self._trained(_days_ago(0))
        return f"after {self._becomes('ModelStale', 'False', within=0.0):.0f} s"

    def _judge(self) -> str:
        self._until("answers have ids", self._labels.have_ids)
        return self._labelled("False", otherwise=0.0)

    def _degrade(self) -> str:
        return self._labelled("True", otherwise=1 / 3)

    def _recover(self) -> str:
        return self._labelled("False", otherwise=0.0)

    def _labelled(self, status: str, *, otherwise: float) -> str:
        """Labels come until the condition is so. Each judgement takes two whole windows."""

        def is_said() -> bool:
            self._labels.come(otherwise=otherwise)
            return self._said("PerformanceDegraded")["status"] == status

        before, began = self._labels.accepted, time.monotonic()
        self._until(f"PerformanceDegraded is {status}", is_said)
        message, figures = self._said("PerformanceDegraded")["message"], self._status()["monitoring"]["quality"]
        labels, seconds = self._labels.accepted - before, time.monotonic() - began
        return f"after {seconds:.0f} s and {labels:,} labels: {message}: {figures['value']}"

    def _look_back(self) -> str:
        kinds = (*_CONDITIONS, "PerformanceDegraded")
        self._until("all conditions are clear", lambda: all(self._said(kind)["status"] == "False" for kind in kinds))
        pods = self._kubectl.list("pods", f"modelway.dev/name={_NAME}")
        restarts = sum(one["restartCount"] for pod in pods for one in pod["status"]["containerStatuses"])
        must(len(pods) == 2 and restarts == 0, f"{len(pods)} pods, {restarts} restarts")
        events = self._kubectl.list("events.events.k8s.io", "")
        told = [one for one in events if one["regarding"]["name"] == _NAME and one["action"] == "Watch"]
        print("".join(f"  {one['type']} {one['reason']}: {one['note']}\n" for one in told), end="", flush=True)
        wanted = {"InputsDrifted", "InputsBroken", "TooOld", "BeyondLimit"}
        must(wanted <= {one["reason"] for one in told}, "an Event is missing")
        return "Ready stayed true; two pods, no restart"

    def _send(self, rows: list[list[Any]]) -> None:
        """Ask about these rows from now on."""
        if self._load is not None:
            self._load.stop()
        bodies = [{"instances": rows[at * _ROWS : (at + 1) * _ROWS]} for at in range(_REQUESTS)]
        self._load = ClusterLoad(
            self._kubectl,
            name="load",
            image=self._stage.environment["SERVER_IMAGE"],
            url=f"http://{_NAME}/v1/models/{_NAME}:predict",
            bodies=[_rounded(body) for body in bodies[: _REQUESTS // 4]],
            connections=4,
            rate=_RATE,
            seconds=900,
        )
        self._load.started()

    def _trained(self, when: str) -> None:
        patch = json.dumps({"spec": {"model": {"trainingTime": when}}})
        self._kubectl.run("patch", "mdep", _NAME, "--type=merge", f"--patch={patch}")

    def _becomes(self, kind: str, status: str, *, within: float) -> float:
        """Wait until a condition is so; gives the seconds, which may not be more than `within` and some slack."""
        began = time.monotonic()
        self._until(f"{kind} is {status}", lambda: self._said(kind)["status"] == status)
        seconds = time.monotonic() - began
        must(seconds <= within + _WINDOW + _SLACK, f"{kind} took {seconds:.0f} s, not {within:.0f}")
        return seconds

    def _watch_ready(self, stop: threading.Event) -> None:
        while not stop.wait(1.0):
            ready = self._said("Ready")
            if ready["status"] != "True":
                self._unready.append(ready["message"])

    def _said(self, kind: str) -> dict[str, str]:
        conditions = self._status().get("conditions", ())
        nothing = {"status": "", "message": ""}
        found: dict[str, str] = next((one for one in conditions if one["type"] == kind), nothing)
        return found

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = self._kubectl.get("mdep", _NAME).get("status", {})
        return status

    def _until(self, what: str, holds: Callable[[], Any]) -> Any:
        return self._kubectl.wait(what, holds, seconds=_DEADLINE, show=("get", "mdep", _NAME, "--output=yaml"))


def _rounded(body: dict[str, Any]) -> dict[str, Any]:
    """Few digits: a ConfigMap holds the requests, and is bounded."""
    rows = [[None if value is None else float(f"{value:.4g}") for value in row] for row in body["instances"]]
    return {"instances": rows}


def _days_ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")


COMMANDS: Final = (
    f"kubectl -n modelway-demo get mdep {_NAME} -o jsonpath='{{.status.monitoring}}'",
    f"kubectl -n modelway-demo describe mdep {_NAME}",
    "make cluster-down",
)


def play(stage: Stage) -> None:
    Drift(stage).play()
    stage.report(COMMANDS)


if __name__ == "__main__":
    sys.exit(perform("demo-drift", __doc__, play))
