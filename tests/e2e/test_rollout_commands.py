"""What humans say by `modelway rollout`: the real command and kubectl, the real operator, real routers and requests."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hack.demo.kubectl import Kubectl

from support.deployments import Bucket, Object, ask, model_deployment, status_of, wait_until_serving

pytestmark = pytest.mark.timeout(600)

COMMAND = (sys.executable, "-m", "modelway.cli", "rollout")
NAME = "said"
STEPS = [
    {"name": "fifth", "weight": 20},
    {"name": "sign-off", "pause": {}},
    {"name": "half", "weight": 50},
    {"name": "wait", "pause": {}},
]
ASKED = {"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}]}


class Shell:
    """The `modelway` command of this checkout, in the test's namespace."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl

    def rollout(self, verb: str, *arguments: str) -> str:
        """What `modelway rollout VERB` prints; it has to end with 0."""
        done = subprocess.run(
            [*COMMAND, verb, NAME, *arguments, f"--namespace={self._kubectl.namespace}"],
            env=self._kubectl.environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{verb}: {done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def said(kubectl: Kubectl, bucket: Bucket, onnx_bytes: bytes) -> str:
    """Version 1 behind routers, with steps that wait for humans and without checks."""
    for version in ("1", "2", "3"):
        bucket.put(f"{NAME}/{version}/model.onnx", onnx_bytes)
    resource = model_deployment(NAME, bucket.uri(f"{NAME}/1/"), version="1")
    resource["spec"] |= {"rollout": {"steps": STEPS}, "traffic": {"replicas": 1}}
    kubectl.apply(resource)
    wait_until_serving(kubectl, NAME, version="1")
    return NAME


@pytest.fixture
def shell(kubectl: Kubectl, said: str) -> Shell:
    return Shell(kubectl)


def deploy(kubectl: Kubectl, bucket: Bucket, version: str) -> str:
    """Ask for `version`; gives the candidate's revision."""
    change(kubectl, model={"uri": bucket.uri(f"{NAME}/{version}/"), "version": version})
    return str(until(kubectl, f"version {version} is the candidate", lambda status: candidate(status, version)))


def change(kubectl: Kubectl, **spec: Any) -> None:
    kubectl.run("patch", "mdep", NAME, "--type=merge", f"--patch={json.dumps({'spec': spec})}")


def candidate(status: Object, version: str) -> str | None:
    found = status.get("candidate", {})
    return str(found["revision"]) if found.get("version") == version else None


def until(kubectl: Kubectl, what: str, holds: Callable[[Object], Any]) -> Any:
    """Wait until the status is so; gives what `holds` gives."""
    show = ("get", "mdep", NAME, "--output=yaml")
    return kubectl.wait(what, lambda: holds(status_of(kubectl, NAME)), seconds=120, show=show)


def waits_at(step: str, weight: int) -> Callable[[Object], bool]:
    live = {"min": weight, "max": weight}
    return lambda status: (
        (rollout := status.get("rollout", {})).get("step") == step
        and (rollout.get("reason"), rollout.get("liveWeight")) == ("AwaitingApproval", live)
    )


def became(revision: str, result: str) -> Callable[[Object], Object | None]:
    return lambda status: next(
        (one for one in status["history"] if (one["revision"], one["result"]) == (revision, result)), None
    )


def test_a_step_is_approved_and_the_next_left_out_by_a_promotion(
    kubectl: Kubectl, bucket: Bucket, shell: Shell
) -> None:
    revision = deploy(kubectl, bucket, "2")
    until(kubectl, "it waits for approval", waits_at("sign-off", 20))
    change(kubectl, rollout={"steps": [{"name": "other", "weight": 1}]})
    told = shell.rollout("status")
    assert "step 2 of 4: sign-off" in told, "the steps that it began with"
    assert "spec.rollout has changed since this rollout began: that counts for the next one" in told
    change(kubectl, rollout={"steps": STEPS})

    assert f"annotated: modelway.dev/approve={revision}/sign-off" in shell.rollout("approve")
    until(kubectl, "it has half of the requests and waits again", waits_at("wait", 50))
    assert f"annotated: modelway.dev/promote={revision}" in shell.rollout("promote", "--yes")
    entry = until(kubectl, "it is promoted", became(revision, "Promoted"))
    assert entry["reason"].startswith("by the annotation modelway.dev/promote"), entry
    wait_until_serving(kubectl, NAME, version="2")
    assert ask(kubectl, NAME, f"/v2/models/{NAME}/infer", ASKED)["model_version"] == "2"
    assert json.loads(shell.rollout("status", "--output=json"))["outcome"] == "Promoted"


def test_a_candidate_that_was_given_up_is_tried_again_and_taken(kubectl: Kubectl, bucket: Bucket, shell: Shell) -> None:
    revision = deploy(kubectl, bucket, "3")
    until(kubectl, "it waits for approval", waits_at("sign-off", 20))
    assert f"annotated: modelway.dev/abort={revision}" in shell.rollout("abort")
    until(kubectl, "it is rejected", lambda status: status["rollout"]["state"] == "Rejected")
    assert ask(kubectl, NAME, f"/v2/models/{NAME}/infer", ASKED)["model_version"] == "2"

    assert f"annotated: modelway.dev/retry={revision}#1" in shell.rollout("retry")
    until(kubectl, "it waits for approval again", waits_at("sign-off", 20))
    shell.rollout("promote", "--yes")
    until(kubectl, "it is promoted", became(revision, "Promoted"))
    wait_until_serving(kubectl, NAME, version="3")
    assert ask(kubectl, NAME, f"/v2/models/{NAME}/infer", ASKED)["model_version"] == "3"
