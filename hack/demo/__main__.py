"""The main job in steps, each on the running cluster; what does not hold ends the demo with an error."""

import json
import sys
import time
from typing import Any

from hack.demo import drift, nights, rollout
from hack.demo.kubectl import NotInTimeError
from hack.demo.load import ClusterLoad
from hack.demo.stage import NAMESPACE, Stage, must, perform

_FLOWER = [5.1, 3.5, 1.4, 0.2]
_BATCH_ROWS = 600
"""Rows in a request of the load that makes the autoscaler act."""


class Demo:
    """The story. Every step says what it does, does it, checks it, and notes what came out."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._kubectl = stage.kubectl
        self._expected: dict[str, Any] = {}

    def play(self) -> None:
        """All of it, as steps of the stage."""
        step = self._stage.step
        step("train three versions of an iris model with scikit-learn and upload them to S3", self._train)
        step("apply one ModelDeployment and wait until it is Ready", self._deploy)
        step("ask all 150 flowers, and compare with scikit-learn's own answers", self._predict)
        step("put load on it until the autoscaler adds pods", self._scale_out)
        step("update to version 2 under load, and lose no request", self._update)
        step("delete a child and a pod by hand, under load", self._break_things)
        step("try version 3, which loads and answers wrongly", self._refuse_broken)

    def _train(self) -> str:
        models = self._stage.train("iris", ("1", "2", "3"))
        self._expected = json.loads((models / "expected-1.json").read_text())
        return "3 versions in s3://models/iris/"

    def _deploy(self) -> str:
        self._stage.fresh_namespace()
        began = time.monotonic()
        self._stage.apply_example("iris")
        self._until_version("1")
        seconds = time.monotonic() - began
        print(self._kubectl.run("get", "mdep,deployment,service,hpa"), end="")
        return f"Ready {seconds:.0f} s after kubectl apply"

    def _predict(self) -> str:
        answer = self._ask({"instances": self._expected["instances"]})
        must(answer["predictions"] == self._expected["predictions"], f"other answers than scikit-learn's: {answer}")
        print(f"  POST /v1/models/iris:predict -> {str(answer['predictions'][:12])[:-1]}, …]")
        return f"{len(answer['predictions'])} answers, all equal to scikit-learn's"

    def _scale_out(self) -> str:
        rows = self._expected["instances"]
        load = self._load("demo-scale", {"instances": (rows * 4)[:_BATCH_ROWS]}, rate=300, seconds=150)
        load.started()
        began = time.monotonic()
        self._kubectl.wait(
            "the autoscaler has added pods",
            lambda: self._stable().get("readyReplicas", 0) > 2,
            seconds=150,
            show=("describe", "hpa"),
        )
        seconds = time.monotonic() - began
        print(self._kubectl.run("get", "hpa,pods", "--selector", "modelway.dev/name=iris"), end="")
        counts = load.counts()
        load.stop()
        pods = self._stable()["readyReplicas"]
        must(counts["failed"] == 0, f"requests failed: {counts}")
        return f"2 -> {pods} pods after {seconds:.0f} s of load; {counts['requests']} requests, 0 failed"

    def _update(self) -> str:
        load = self._versioned_load("demo-update", rate=60, seconds=45)
        load.started()
        self._stage.set_version("iris", "2")
        self._until_version("2")
        counts = load.finish()
        load.stop()
        print(f"  {counts}")
        must(counts["failed"] == 0, f"requests failed: {counts}")
        must(counts["requests"] >= 2000, f"fewer than 2,000 requests: {counts}")
        return f"{counts['requests']} requests during the update, {counts['failed']} failed"

    def _break_things(self) -> str:
        load = self._load("demo-repair", {"instances": [_FLOWER]}, rate=40, seconds=30)
        load.started()
        before = self._kubectl.get("networkpolicy", "iris")["metadata"]["uid"]
        self._kubectl.run("delete", "networkpolicy", "iris")
        self._kubectl.wait(
            "the deleted NetworkPolicy is back",
            lambda: (
                before not in self._kubectl.run("get", "networkpolicy", "--output=jsonpath={.items[*].metadata.uid}")
                and self._kubectl.get("networkpolicy", "iris")
            ),
            seconds=15,
            show=("get", "networkpolicy"),
        )
        pod = self._kubectl.list("pods", "modelway.dev/name=iris")[0]["metadata"]["name"]
        self._kubectl.run("delete", "pod", pod, "--wait=false")
        print(f"  deleted NetworkPolicy iris (it is back) and pod {pod}")
        counts = load.finish()
        load.stop()
        must(counts["failed"] == 0, f"requests failed: {counts}")
        return f"child restored, pod replaced; {counts['requests']} requests, {counts['failed']} failed"

    def _refuse_broken(self) -> str:
        load = self._versioned_load("demo-broken", rate=40, seconds=30)
        load.started()
        self._stage.set_version("iris", "3")
        failure = self._kubectl.wait(
            "the status tells what is wrong",
            lambda: self._status().get("failure"),
            seconds=120,
            show=("get", "mdep", "iris", "--output=yaml"),
        )
        print(self._kubectl.run("get", "mdep"), end="")
        print(f"  status.failure: {failure['reason']}: {failure['message']}")
        counts = load.finish()
        load.stop()
        must(counts["failed"] == 0, f"requests failed: {counts}")
        must("3" not in counts.get("answers", {}), f"version 3 has answered: {counts}")
        self._stage.set_version("iris", "2")
        self._until_version("2")
        return f"{failure['reason']}; version 3 answered none of {counts['requests']} requests"

    def _ask(self, body: Any) -> Any:
        """One request through the Service, from outside of the cluster, by the API server's proxy."""
        path = f"/api/v1/namespaces/{NAMESPACE}/services/iris:http/proxy/v1/models/iris:predict"
        return json.loads(self._kubectl.run("create", "--raw", path, "--filename", "-", stdin=json.dumps(body)))

    def _load(self, name: str, body: Any, *, rate: float, seconds: float) -> ClusterLoad:
        url = f"http://iris.{NAMESPACE}/v1/models/iris:predict"
        return ClusterLoad(
            self._kubectl,
            name=name,
            image=self._stage.environment["SERVER_IMAGE"],
            url=url,
            body=body,
            rate=rate,
            seconds=seconds,
        )

    def _versioned_load(self, name: str, *, rate: float, seconds: float) -> ClusterLoad:
        """A load by the Open Inference Protocol, whose answers say which version gave them."""
        return ClusterLoad(
            self._kubectl,
            name=name,
            image=self._stage.environment["SERVER_IMAGE"],
            url=f"http://iris.{NAMESPACE}/v2/models/iris/infer",
            body={"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": _FLOWER}]},
            rate=rate,
            seconds=seconds,
            count_by="model_version",
        )

    def _until_version(self, version: str) -> None:
        def serves() -> bool:
            status = self._status()
            if failure := status.get("failure"):
                raise NotInTimeError(f"version {version} does not get ready: {failure['reason']}: {failure['message']}")
            return status.get("stable", {}).get("version") == version and "candidate" not in status

        show = ("get", "mdep", "iris", "--output=yaml")
        self._kubectl.wait(f"version {version} serves", serves, seconds=180, show=show)

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = self._kubectl.get("mdep", "iris").get("status", {})
        return status

    def _stable(self) -> dict[str, Any]:
        stable: dict[str, Any] = self._status().get("stable", {})
        return stable


def play(stage: Stage) -> None:
    Demo(stage).play()
    rollouts = rollout.Rollouts(stage, rollout.SHORT)
    rollouts.play()
    rollouts.report()
    drift.Drift(stage).play_short()
    nights.Nights(stage).play()
    stage.report(
        (
            f"kubectl -n {NAMESPACE} get mdep",
            f"kubectl -n {NAMESPACE} describe mdep iris",
            f"kubectl -n {NAMESPACE} get events --field-selector reason=Promoted",
            f"kubectl -n {NAMESPACE} port-forward service/iris 8080:80 &",
            "curl localhost:8080/v1/models/iris:predict -d '{\"instances\": [[5.1, 3.5, 1.4, 0.2]]}'",
            *drift.COMMANDS[:1],
            f"modelway batch status credit --namespace {NAMESPACE}",
            *rollout.COMMANDS,
        )
    )


if __name__ == "__main__":
    sys.exit(perform("demo", __doc__, play))
