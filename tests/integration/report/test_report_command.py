"""`modelway report` by the real kubectl, on a real API server; the status is written by the test, as an operator would."""

import pytest

from modelway.api.kinds import POD
from modelway.api.names import pod_selector
from modelway.plan.monitoring.keeping import content_of
from support.cluster import BY_HAND, spec_of
from support.reported import Model, Seen
from support.rollouts import STABLE, condition, entry, resource
from support.shell import Shell, say


@pytest.fixture
def shell(cluster, namespace, tmp_path):
    return Shell(cluster, namespace, tmp_path)


@pytest.fixture
def deployed(namespace):
    return namespace.deploy(spec_of(model__version="16", monitoring={"window": "5m"}))


def written(deployed):
    """What an operator writes of a model whose ages have drifted."""
    model = Model()
    model.window(times=3, age=lambda ages: ages + 12)
    drifted = condition("DataDrift", "True", "InputsDrifted", "1 of 3 features have drifted: age (PSI 1.28)")
    say(deployed, resource(conditions=[drifted], history=[entry(STABLE, "Promoted", version="16")]))
    metadata = {"name": "fraud-monitoring"}
    deployed.namespace.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"watch": content_of(model.watch)}}
    )


def a_pod(deployed, **status):
    """A pod of the revision that serves, of which nobody knows but the API server."""
    container = {"name": "model-server", "image": "a"}
    metadata = {"name": "fraud-0", "labels": pod_selector("fraud", STABLE), **BY_HAND}
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
    deployed.namespace.create(made)
    ready = {"conditions": [{"type": "Ready", "status": "True"}], **status}
    deployed.namespace.patch(POD, "fraud-0", {"status": ready}, subresource="status")


def test_what_the_cluster_knows_is_in_the_page_and_what_it_does_not_know_is_told(shell, deployed):
    written(deployed)
    # The API server leads to no address of its own host: so this pod does not answer, and at once.
    a_pod(deployed, podIP="127.0.0.1", podIPs=[{"ip": "127.0.0.1"}])
    done = shell.run("modelway", "report", "fraud", "--output", "-")
    assert done.returncode == 0, done.stderr
    page = Seen(done.stdout)
    assert "Inputs are no longer as usual" in page.sections["now"]
    assert "Pod fraud-0 could not be read: " in page.sections["now"]
    assert "No pod has told what is usual" in page.sections["inputs"]
    assert "Promoted" in page.sections["rollouts"]


def test_the_plugin_of_kubectl_writes_the_same_page(shell, deployed, tmp_path):
    written(deployed)
    path = tmp_path / "page.html"
    done = shell.run("kubectl", "modelway", "report", "fraud", "-n", deployed.namespace.name, "-o", str(path))
    assert (done.returncode, done.stdout.startswith(f"written: {path} (")) == (0, True), done.stderr
    assert Seen(path.read_text(encoding="utf-8")).sections["rollouts"].count(STABLE) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["other"], 'modeldeployments.modelway.dev "other" not found'),
        (["fraud", "--context", "elsewhere"], "context was not found for specified context: elsewhere"),
    ],
    ids=["no such model", "no such context"],
)
def test_without_a_model_there_is_one_sentence_and_no_page(shell, deployed, tmp_path, arguments, told):
    done = shell.run("modelway", "report", *arguments, "-o", str(tmp_path / "page.html"))
    assert (done.returncode, told in done.stderr, done.stderr.count("\n")) == (2, True, 1)
    assert not (tmp_path / "page.html").exists()


def test_without_rights_it_is_told_who_may_not_do_what(cluster, namespace, deployed, tmp_path):
    stranger = Shell(cluster, namespace, tmp_path, user="system:kube-scheduler")
    done = stranger.run("modelway", "report", "fraud", "-o", "-")
    assert (done.returncode, 'cannot get resource "modeldeployments"' in done.stderr) == (2, True), done.stderr
    assert done.stdout == ""
