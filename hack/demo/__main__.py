"""The main job in eight steps, each on the running cluster; what does not hold ends the demo with an error."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import obstore
from hack.demo.kubectl import Kubectl, KubectlError, NotInTimeError
from hack.demo.load import ClusterLoad
from obstore.store import S3Store

_ROOT = Path(__file__).resolve().parent.parent.parent
_NAMESPACE = "modelway-demo"
_IRIS = _ROOT / "examples" / "iris"
_FLOWER = [5.1, 3.5, 1.4, 0.2]
_BATCH_ROWS = 600
"""Rows in a request of the load that makes the autoscaler act."""


class Demo:
    """The story. Every step says what it does, does it, checks it, and notes what came out."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._image = environment["SERVER_IMAGE"]
        self._kubectl = Kubectl(_NAMESPACE)
        self._models = _ROOT / ".local" / "demo" / "iris"
        self._results: list[tuple[str, str]] = []
        self._began = time.monotonic()

    def run(self) -> None:
        self._step("train three versions of an iris model with scikit-learn and upload them to S3", self._train)
        self._step("apply one ModelDeployment and wait until it is Ready", self._deploy)
        self._step("ask all 150 flowers, and compare with scikit-learn's own answers", self._predict)
        self._step("put load on it until the autoscaler adds pods", self._scale_out)
        self._step("update to version 2 under load, and lose no request", self._update)
        self._step("delete a child and a pod by hand, under load", self._break_things)
        self._step("try version 3, which loads and answers wrongly", self._refuse_broken)
        self._report()

    def _train(self) -> str:
        subprocess.run([sys.executable, _IRIS / "train.py", "--out", self._models], check=True)
        store = S3Store(
            "models",
            endpoint=self._environment["AWS_ENDPOINT_URL"],
            access_key_id=self._environment["AWS_ACCESS_KEY_ID"],
            secret_access_key=self._environment["AWS_SECRET_ACCESS_KEY"],
            region=self._environment["AWS_REGION"],
            client_options={"allow_http": True},
        )
        for version in ("1", "2", "3"):
            for file in sorted((self._models / version).iterdir()):
                obstore.put(store, f"iris/{version}/{file.name}", file.read_bytes())
        return "3 versions in s3://models/iris/"

    def _deploy(self) -> str:
        self._fresh_namespace()
        began = time.monotonic()
        print(self._kubectl.run("apply", "--filename", str(_IRIS / "modeldeployment.yaml")), end="")
        self._until_version("1")
        seconds = time.monotonic() - began
        print(self._kubectl.run("get", "mdep,deployment,service,hpa"), end="")
        return f"Ready {seconds:.0f} s after kubectl apply"

    def _predict(self) -> str:
        expected = json.loads((self._models / "expected-1.json").read_text())
        answer = self._ask({"instances": expected["instances"]})
        if answer["predictions"] != expected["predictions"]:
            raise NotInTimeError(f"the answers differ from scikit-learn's: {answer}")
        print(f"  POST /v1/models/iris:predict -> {str(answer['predictions'][:12])[:-1]}, …]")
        return f"{len(answer['predictions'])} answers, all equal to scikit-learn's"

    def _scale_out(self) -> str:
        rows = json.loads((self._models / "expected-1.json").read_text())["instances"]
        load = self._load("demo-scale", {"instances": (rows * 4)[:_BATCH_ROWS]}, rate=120, seconds=150)
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
        self._must(counts["failed"] == 0, f"requests failed: {counts}")
        return f"2 -> {pods} pods after {seconds:.0f} s of load; {counts['requests']} requests, 0 failed"

    def _update(self) -> str:
        load = self._versioned_load("demo-update", rate=60, seconds=45)
        load.started()
        self._set_version("2")
        self._until_version("2")
        counts = load.finish()
        load.stop()
        print(f"  {counts}")
        self._must(counts["failed"] == 0, f"requests failed: {counts}")
        self._must(counts["requests"] >= 2000, f"fewer than 2,000 requests: {counts}")
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
        self._must(counts["failed"] == 0, f"requests failed: {counts}")
        return f"child restored, pod replaced; {counts['requests']} requests, {counts['failed']} failed"

    def _refuse_broken(self) -> str:
        load = self._versioned_load("demo-broken", rate=40, seconds=30)
        load.started()
        self._set_version("3")
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
        self._must(counts["failed"] == 0, f"requests failed: {counts}")
        self._must("3" not in counts.get("answers", {}), f"version 3 has answered: {counts}")
        self._set_version("2")
        self._until_version("2")
        return f"{failure['reason']}; version 3 answered none of {counts['requests']} requests"

    def _step(self, title: str, work: Callable[[], str]) -> None:
        print(
            f"\n\033[1m{len(self._results) + 1}. {title}\033[0m  [{time.monotonic() - self._began:.0f} s]", flush=True
        )
        self._results.append((title, work()))

    def _report(self) -> None:
        width = max(len(title) for title, _ in self._results)
        print("\n\033[1mWhat happened\033[0m")
        for title, result in self._results:
            print(f"  {title:<{width}}  {result}")
        print(f"\nDone in {time.monotonic() - self._began:.0f} s. The cluster stays; try:\n")
        kubeconfig = os.environ.get("KUBECONFIG") or ".local/kubeconfig"
        print(f"  export KUBECONFIG={kubeconfig} PATH=$PWD/.local/bin:$PATH")
        print(f"  kubectl -n {_NAMESPACE} get mdep")
        print(f"  kubectl -n {_NAMESPACE} describe mdep iris")
        print(f"  kubectl -n {_NAMESPACE} get events --field-selector reason=Promoted")
        print(f"  kubectl -n {_NAMESPACE} port-forward service/iris 8080:80 &")
        print("  curl localhost:8080/v1/models/iris:predict -d '{\"instances\": [[5.1, 3.5, 1.4, 0.2]]}'")
        print("  make cluster-down")

    def _fresh_namespace(self) -> None:
        self._kubectl.run("delete", "namespace", _NAMESPACE, "--ignore-not-found", "--wait")
        self._kubectl.run("create", "namespace", _NAMESPACE)
        values = {key: self._environment[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")}
        values["AWS_ENDPOINT_URL"] = self._environment["S3_ENDPOINT_IN_CLUSTER"]
        self._kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"}, "stringData": values})

    def _ask(self, body: Any) -> Any:
        """One request through the Service, from outside of the cluster, by the API server's proxy."""
        path = f"/api/v1/namespaces/{_NAMESPACE}/services/iris:http/proxy/v1/models/iris:predict"
        return json.loads(self._kubectl.run("create", "--raw", path, "--filename", "-", stdin=json.dumps(body)))

    def _load(self, name: str, body: Any, *, rate: float, seconds: float) -> ClusterLoad:
        url = f"http://iris.{_NAMESPACE}/v1/models/iris:predict"
        return ClusterLoad(self._kubectl, name=name, image=self._image, url=url, body=body, rate=rate, seconds=seconds)

    def _versioned_load(self, name: str, *, rate: float, seconds: float) -> ClusterLoad:
        """A load by the Open Inference Protocol, whose answers say which version gave them."""
        return ClusterLoad(
            self._kubectl,
            name=name,
            image=self._image,
            url=f"http://iris.{_NAMESPACE}/v2/models/iris/infer",
            body={"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": _FLOWER}]},
            rate=rate,
            seconds=seconds,
            count_by="model_version",
        )

    def _set_version(self, version: str) -> None:
        patch = {"spec": {"model": {"uri": f"s3://models/iris/{version}/", "version": version}}}
        print(f"  kubectl patch mdep iris: spec.model.uri = s3://models/iris/{version}/")
        self._kubectl.run("patch", "mdep", "iris", "--type=merge", f"--patch={json.dumps(patch)}")

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

    def _must(self, holds: bool, message: str) -> None:
        if not holds:
            raise NotInTimeError(message)


def main() -> int:
    argparse.ArgumentParser(prog="make demo", description=__doc__).parse_args()
    environment: dict[str, str] = {}
    for name in ("images.env", "s3.env"):
        file = _ROOT / ".local" / name
        if not file.exists():
            print(f"{file} is missing: run `make cluster images install` first", file=sys.stderr)
            return 2
        environment |= dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    try:
        Demo(environment).run()
    except (KubectlError, NotInTimeError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
