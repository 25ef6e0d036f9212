"""`modelway rollout` by the real kubectl, on a real API server; the status is written by the test, as an operator would."""

import json

import pytest
from hack.local import binaries

from modelway.api.kinds import CONTROLLER_REVISION
from modelway.cli.errors import Conflict, NotFound
from modelway.cli.kubectl import Kubectl
from support.cluster import spec_of
from support.rollouts import CANDIDATE, CHECKS, STABLE, STEPS, promoted, rejected, under_way
from support.shell import Shell, say


@pytest.fixture
def shell(cluster, namespace, tmp_path):
    return Shell(cluster, namespace, tmp_path)


@pytest.fixture
def deployed(namespace):
    return namespace.deploy(spec_of(model__version="17", rollout={"steps": STEPS, "checks": CHECKS}))


def annotations(deployed):
    return deployed.live["metadata"].get("annotations", {})


def test_the_status_is_shown_by_both_names_of_the_command(shell, deployed):
    say(deployed, under_way())
    shown = shell.run("modelway", "rollout", "status", "fraud")
    assert shown.returncode == 0, shown.stderr
    assert f"{deployed.namespace.name}/fraud   Progressing (Baking)   step 2 of 4: five for" in shown.stdout
    assert "errors  Continue  21 of 1,912 (1.10 %)" in shown.stdout
    plugin = shell.run("kubectl", "modelway", "rollout", "status", "fraud", "-o", "json")
    assert json.loads(plugin.stdout)["rollout"]["step"] == "five"


def test_decisions_become_annotations(shell, deployed):
    say(deployed, under_way("sign-off", state="Paused", reason="AwaitingApproval"))
    for command, name, value in (
        (["approve", "fraud"], "approve", f"{CANDIDATE}/sign-off"),
        (["promote", "fraud", "--yes"], "promote", CANDIDATE),
        (["abort", "fraud"], "abort", CANDIDATE),
    ):
        done = shell.run("modelway", "rollout", *command)
        assert done.returncode == 0, done.stderr
        assert annotations(deployed)[f"modelway.dev/{name}"] == value
    assert "modelway.dev/promote" not in annotations(deployed)
    managers = {entry["manager"] for entry in deployed.live["metadata"]["managedFields"]}
    assert "kubectl-modelway" in managers


def test_every_retry_has_a_number_of_its_own(shell, deployed):
    say(deployed, rejected())
    for number in (1, 2):
        done = shell.run("modelway", "rollout", "retry", "fraud")
        assert done.returncode == 0, done.stderr
        assert annotations(deployed)["modelway.dev/retry"] == f"{CANDIDATE}#{number}"


def test_a_write_to_something_that_has_changed_is_refused(shell, cluster, deployed):
    say(deployed, rejected())
    stale = deployed.live["metadata"]["resourceVersion"]
    deployed.edit(model__version="18")
    kubectl = Kubectl(str(binaries.ensure(["kubectl"])["kubectl"]), kubeconfig=shell.kubeconfig)
    with pytest.raises(Conflict):
        kubectl.annotate("fraud", "modelway.dev/retry", f"{CANDIDATE}#1", resource_version=stale)
    with pytest.raises(Conflict):
        kubectl.patch("fraud", [{"op": "replace", "path": "/metadata/resourceVersion", "value": stale}])
    with pytest.raises(NotFound):
        kubectl.get("nothing")


@pytest.mark.parametrize(("end", "code"), [(promoted(), 0), (rejected(), 1)], ids=["promoted", "rejected"])
def test_a_watch_waits_for_the_end_and_exits_with_it(shell, deployed, end, code):
    say(deployed, under_way())
    watch = shell.start("modelway", "rollout", "status", "fraud", "--watch")
    assert watch.stdout is not None
    assert "Progressing" in watch.stdout.readline()
    say(deployed, under_way("half", weight=50))
    assert "half" in watch.stdout.readline()
    say(deployed, end)
    told, _ = watch.communicate(timeout=60)
    assert (watch.returncode, len(told.splitlines())) == (code, 1)


def test_a_watch_that_takes_too_long_is_an_error(shell, deployed):
    say(deployed, under_way())
    ended = shell.run("modelway", "rollout", "status", "fraud", "--watch", "--timeout", "1s")
    assert (ended.returncode, "not decided within 1 s" in ended.stderr) == (2, True)


def test_undo_puts_the_spec_back_and_the_api_server_takes_it(shell, namespace, deployed):
    spec = {"model": {"uri": "s3://models/fraud/16/", "version": "16"}, "serving": {"timeout": "5s"}}
    namespace.create(
        {
            "apiVersion": "apps/v1",
            "kind": CONTROLLER_REVISION.name,
            "metadata": {
                "name": f"fraud-{STABLE}",
                "labels": {"modelway.dev/name": "fraud", "modelway.dev/revision": STABLE},
            },
            "revision": 1,
            "data": {"spec": spec, "template": {}},
        }
    )
    say(deployed, promoted())
    asked = shell.run("modelway", "rollout", "undo", "fraud")
    assert (asked.returncode, "say --yes" in asked.stderr) == (2, True)
    done = shell.run("modelway", "rollout", "undo", "fraud", "--yes")
    assert done.returncode == 0, done.stderr
    live = deployed.live["spec"]
    assert live["model"] == spec["model"]
    assert live["serving"] == {"timeout": "5s", "replicas": 2}
    assert [step["name"] for step in live["rollout"]["steps"]] == [step["name"] for step in STEPS]


def test_errors_are_kubectls_own(shell, deployed):
    ended = shell.run("modelway", "rollout", "status", "nothing")
    assert (ended.returncode, '"nothing" not found' in ended.stderr) == (2, True)
    elsewhere = shell.run("modelway", "rollout", "status", "fraud", "--context", "elsewhere")
    assert (elsewhere.returncode, "elsewhere" in elsewhere.stderr) == (2, True)


def test_what_makes_no_sense_changes_nothing(shell, deployed):
    say(deployed, promoted())
    ended = shell.run("modelway", "rollout", "abort", "fraud")
    assert (ended.returncode, "no rollout is under way" in ended.stderr) == (2, True)
    assert not any(name.startswith("modelway.dev/") for name in annotations(deployed))


def test_with_an_operator_an_update_is_waited_for_and_undone(shell, namespace, operator):
    deployed = namespace.deploy(spec_of(model__version="1"))
    deployed.wait_until_served()
    deployed.edit(model__version="2")
    ended = shell.run("modelway", "rollout", "status", "fraud", "--watch", "--timeout", "90s")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert deployed.status["stable"]["version"] == "2"
    undone = shell.run("modelway", "rollout", "undo", "fraud", "--yes")
    assert undone.returncode == 0, undone.stderr
    assert "(version 1)" in undone.stdout
    assert shell.run("kubectl", "modelway", "rollout", "status", "fraud", "-w", "--timeout", "90s").returncode == 0
    assert deployed.status["stable"]["version"] == "1"
