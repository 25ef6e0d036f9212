"""examples/retrain on a real cluster: the world changes, a Job trains another model, and that one takes over."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hack.demo.kubectl import Kubectl
from hack.demo.load import ClusterLoad

from support.deployments import Bucket, condition, status_of, wait_until_serving

pytestmark = pytest.mark.timeout(900)

NAME = "credit"
EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "retrain"
ROWS = 40
"""Of a request."""


def example(file: str) -> list[Any]:
    """The objects of a file of the example."""
    return list(yaml.safe_load_all((EXAMPLE / file).read_text()))


@pytest.fixture(scope="module")
def train(environment: dict[str, str], bucket: Bucket) -> Any:
    """Runs the example's script on this machine."""

    def run(*arguments: str) -> None:
        given = {"FOLDER": bucket.uri(NAME)} | {key: environment[key] for key in environment if key.startswith("AWS_")}
        subprocess.run([sys.executable, EXAMPLE / "train.py", *arguments], env=os.environ | given, check=True)

    return run


@pytest.fixture(scope="module")
def credit(kubectl: Kubectl, bucket: Bucket, environment: dict[str, str], train: Any) -> str:
    """The example in this namespace, in short windows; its first version serves."""
    train("--rows=as-usual")
    train()
    script = {"train.py": (EXAMPLE / "train.py").read_text()}
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "credit-train"}, "data": script})
    for obj in example("retrain.yaml"):
        if obj["kind"] == "CronJob":
            (container,) = obj["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
            container["image"] = environment["SERVER_FULL_IMAGE"]
            container["env"] = [{"name": "FOLDER", "value": bucket.uri(NAME)}]
        kubectl.apply(obj)
    (resource,) = example("modeldeployment.yaml")
    resource["spec"]["model"]["uri"] = bucket.uri(f"{NAME}/1/")
    resource["spec"]["monitoring"] |= {"window": "10s"}
    kubectl.apply(resource)
    wait_until_serving(kubectl, NAME, version="1")
    return NAME


@pytest.fixture
def changed_world(kubectl: Kubectl, credit: str, environment: dict[str, str]) -> Any:
    """Requests about applications of people who earn half as much again."""
    random = np.random.default_rng(2)
    rows = np.column_stack(
        [
            1.5 * random.lognormal(10.4, 0.4, 4000),
            random.normal(42, 11, 4000).clip(18, 90),
            random.lognormal(9.2, 0.6, 4000),
            random.beta(2, 5, 4000) * 20,
            random.poisson(1.2, 4000),
            random.beta(2, 4, 4000),
        ]
    )
    parts = np.split(rows, 4000 // ROWS)
    bodies = [{"instances": [[float(f"{x:.4g}") for x in row] for row in part]} for part in parts]
    load = ClusterLoad(
        kubectl,
        name="load",
        image=environment["SERVER_IMAGE"],
        url=f"http://{credit}.{kubectl.namespace}/v1/models/{credit}:predict",
        bodies=bodies,
        connections=4,
        rate=20,
        seconds=800,
    )
    load.started()
    yield load
    load.stop()


def test_a_drift_trains_another_model_which_takes_over_by_its_canary(
    kubectl: Kubectl, credit: str, train: Any, changed_world: Any
) -> None:
    train("--rows=inflation")  # labelled applications of the last weeks

    def waited(what: str, holds: Any, seconds: float = 240) -> Any:
        return kubectl.wait(what, holds, seconds=seconds, show=("get", "mdep", credit, "--output=yaml"))

    waited("a Job is made", lambda: "retraining" in status_of(kubectl, credit))
    told = status_of(kubectl, credit)["retraining"]
    assert (told["condition"], told["jobs"]) == ("DataDrift", 1)
    job = kubectl.get("job", told["job"])
    said = {one["name"]: one.get("value") for one in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert said["MODELWAY_REASON"] == "DataDrift"
    assert "income (PSI" in said["MODELWAY_MESSAGE"]

    waited("it ends well", lambda: status_of(kubectl, credit)["retraining"]["result"] == "Succeeded")
    version = "".join(filter(str.isdigit, said["MODELWAY_WINDOW_END"]))
    waited("the new version serves", lambda: status_of(kubectl, credit).get("stable", {}).get("version") == version)
    entry = status_of(kubectl, credit)["history"][0]
    assert (entry["result"], entry["version"]) == ("Promoted", version)
    waited("nothing drifts any more", lambda: condition(kubectl, credit, "DataDrift")["status"] == "False")
    assert condition(kubectl, credit, "RetrainingFailed")["status"] == "False"
    assert len(kubectl.list("jobs", f"modelway.dev/name={credit}")) == 1
