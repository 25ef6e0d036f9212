"""A new spec: the old revision serves until the new one can, and coming back to an old one finds it as it was."""

import pytest

from modelway.api.kinds import DEPLOYMENT, SERVICE
from support.builders import running, serving
from support.cluster import BY_HAND, spec_of

VERSION_1 = spec_of(model__version="1")


@pytest.fixture
def deployed(namespace, operator):
    deployed = namespace.deploy(VERSION_1)
    deployed.wait_until_served()
    return deployed


def front(namespace):
    """The revision that the Service leads to."""
    return namespace.get(SERVICE, "fraud")["spec"]["selector"]["modelway.dev/revision"]


def test_the_decision_is_written_before_the_service_moves(cluster, namespace, deployed):
    mark = namespace.rest()
    deployed.edit(model__version="2")
    deployed.wait_until_served()
    namespace.wait_for(lambda: front(namespace) == deployed.status["stable"]["revision"], what="the Service moves")
    order = [write for write in namespace.writes(mark) if write.resource in {"modeldeployments", "services"}]
    moved = next(write for write in order if (write.resource, write.name) == ("services", "fraud"))
    promoted = [write for write in order[: order.index(moved)] if write.resource == "modeldeployments"]
    assert len(promoted) >= 2, "one that says what is coming, one that says that it takes over"


def test_the_candidate_waits_until_all_its_pods_are_ready(namespace, deployed):
    first = deployed.status["stable"]["revision"]
    deployed.edit(model__version="2", serving__podTemplate=BY_HAND)
    revision = deployed.wait(lambda status: "candidate" in status, what="is being updated")["candidate"]["revision"]
    namespace.wait_for(lambda: len(deployed.pods(revision)) == 2, what="pods of the candidate")
    one, other = deployed.pods(revision)
    deployed.say(one, serving(running(), ready=True), ready=True)
    deployed.wait(lambda status: status["candidate"]["readyReplicas"] == 1, what="one pod of the candidate is ready")
    namespace.rest()
    assert front(namespace) == first
    deployed.say(other, serving(running(), ready=True), ready=True)
    deployed.wait_until_served()
    namespace.wait_for(lambda: front(namespace) == revision, what="the Service has moved")


def test_there_and_back_finds_the_old_revision(namespace, deployed):
    first = deployed.status["stable"]["revision"]
    made = deployed.deployment()["metadata"]["uid"]
    deployed.edit(model__version="2")
    deployed.wait_until_served()
    second = deployed.status["stable"]["revision"]
    assert len(deployed.pods(first)) == 2, "it keeps its pods while somebody may still be sent to it"
    namespace.wait_for(lambda: deployed.deployment(first)["spec"]["replicas"] == 0, what="drained")
    deployed.edit(model__version="1")
    deployed.wait_until_served()
    status = deployed.status
    assert status["stable"]["revision"] == first
    assert deployed.deployment()["metadata"]["uid"] == made
    assert [(entry["revision"], entry["result"]) for entry in status["history"]] == [
        (first, "Promoted"),
        (second, "Promoted"),
        (first, "Promoted"),
    ]
    assert len(namespace.find(DEPLOYMENT)) == 2


def test_a_newer_spec_overtakes_one_that_is_still_starting(namespace, deployed):
    deployed.edit(model__version="2", serving__podTemplate=BY_HAND)
    second = deployed.wait(lambda status: "candidate" in status, what="is being updated")["candidate"]["revision"]
    deployed.edit(model__version="3", serving__podTemplate=None)
    deployed.wait_until_served()
    results = {entry["revision"]: entry["result"] for entry in deployed.status["history"]}
    assert results[second] == "Superseded"
    namespace.wait_for(lambda: not deployed.pods(second), what="the overtaken one has no pods")


def test_paused_nothing_new_is_begun(cluster, namespace, deployed):
    first = deployed.status["stable"]["revision"]
    generation = deployed.edit(paused=True, model__version="2")
    deployed.wait(lambda status: status["observedGeneration"] == generation, what="has seen the new spec")
    assert deployed.condition("Reconciling") == ("False", "Paused")
    assert deployed.condition("Ready") == ("True", "Serving")
    namespace.delete(SERVICE, "fraud")
    namespace.wait_for(lambda: namespace.get(SERVICE, "fraud"), what="the Service is repaired all the same")
    assert [deployment["metadata"]["name"] for deployment in namespace.find(DEPLOYMENT)] == [f"fraud-{first}"]
    deployed.edit(paused=False)
    deployed.wait_until_served()
    assert deployed.status["stable"]["version"] == "2"


def test_old_revisions_are_kept_up_to_the_limit(namespace, operator):
    deployed = namespace.deploy(spec_of(model__version="1", serving__revisionHistoryLimit=1))
    for version in ("1", "2", "3"):
        deployed.edit(model__version=version)
        deployed.wait_until_served()
    namespace.wait_for(lambda: len(namespace.find(DEPLOYMENT)) == 2, what="the oldest is forgotten")
    kinds = [kind for kind, _ in namespace.children()]
    assert (kinds.count("ControllerRevision"), kinds.count("ConfigMap"), kinds.count("Service")) == (2, 2, 3)
