"""Objects of others under the names that modelway needs: never touched, and told about."""

from modelway.api.kinds import SERVICE
from support.cluster import content

THEIRS = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "fraud", "labels": {"app": "shop"}},
    "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80}]},
}


def test_a_foreign_service_is_left_alone_until_it_goes(cluster, namespace, operator):
    before = content(namespace.create(THEIRS))
    deployed = namespace.deploy()
    failure = deployed.wait_for_failure("NameConflict")
    assert failure["message"] == (
        "Service fraud: exists already and was not made by modelway;"
        " delete it, or give the ModelDeployment another name"
    )
    deployed.wait(lambda status: "stable" in status, what="its pods are ready all the same")
    assert deployed.condition("NameConflict") == ("True", "NameConflict")
    assert deployed.condition("Ready") == ("False", "NameConflict")
    assert deployed.condition("Stalled") == ("True", "NameConflict")
    assert content(namespace.get(SERVICE, "fraud")) == before
    namespace.delete(SERVICE, "fraud")
    deployed.wait_until_served()
    assert deployed.condition("NameConflict") == ("False", "AsExpected")
    assert "failure" not in deployed.status


def test_it_is_not_taken_over_by_our_label(cluster, namespace, operator):
    ours = {"app.kubernetes.io/managed-by": "modelway", "modelway.dev/name": "fraud"}
    before = content(namespace.create(THEIRS | {"metadata": {"name": "fraud", "labels": ours}}))
    namespace.deploy().wait_for_failure("NameConflict")
    assert content(namespace.get(SERVICE, "fraud")) == before


def test_a_service_that_comes_to_stand_in_the_place_of_ours_is_not_touched(cluster, namespace, operator):
    """Somebody deletes ours and is quicker than we are."""
    deployed = namespace.deploy()
    deployed.wait_until_served()
    operator.pause()
    try:
        namespace.delete(SERVICE, "fraud")
        before = content(namespace.create(THEIRS))
    finally:
        operator.go_on()
    deployed.wait_for_failure("NameConflict")
    assert content(namespace.get(SERVICE, "fraud")) == before


def test_the_same_name_in_another_namespace_is_nobodys_business(cluster, namespace, operator):
    namespace.create(THEIRS)
    with cluster.namespace() as other:
        other.deploy().wait_until_served()
