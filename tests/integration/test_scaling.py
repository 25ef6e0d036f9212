"""The number of pods changes hands, and nobody loses any."""

import json

import pytest

from modelway.api.kinds import AUTOSCALER, DEPLOYMENT, POD
from support.cluster import spec_of

AUTOSCALED = {"minReplicas": 2, "maxReplicas": 6}


def scale_like_an_autoscaler(deployed, replicas):
    """Through the scale subresource, as the HorizontalPodAutoscaler's controller does it."""
    name = deployed.deployment()["metadata"]["name"]
    deployed.namespace.patch(DEPLOYMENT, name, {"spec": {"replicas": replicas}}, subresource="scale")


def has_settled_at(deployed, replicas):
    status = deployed.wait_until_served()
    if status["stable"]["replicas"] != replicas:
        status = deployed.wait(lambda status: status["stable"]["replicas"] == replicas, what=f"has {replicas} pods")
        status = deployed.wait_until_served()
    deployed.namespace.rest(seconds=0.7)
    return deployed.deployment()["spec"]["replicas"] == replicas


@pytest.fixture
def autoscaled(namespace, operator):
    deployed = namespace.deploy(spec_of(serving__replicas=None, serving__autoscaling=AUTOSCALED))
    deployed.wait_until_served()
    return deployed


def test_a_fixed_number_is_kept(namespace, operator):
    deployed = namespace.deploy(spec_of(serving__replicas=3))
    deployed.wait_until_served()
    scale_like_an_autoscaler(deployed, 5)
    namespace.wait_for(lambda: deployed.deployment()["spec"]["replicas"] == 3, what="the number is set back")


def test_an_autoscaler_begins_at_its_minimum_and_is_left_alone(namespace, autoscaled):
    assert has_settled_at(autoscaled, 2)
    scale_like_an_autoscaler(autoscaled, 5)
    assert has_settled_at(autoscaled, 5)


def test_what_is_applied_never_holds_the_number(namespace, autoscaled):
    """Whoever applied it once and left it out later would reset it to 1."""
    scale_like_an_autoscaler(autoscaled, 5)
    assert has_settled_at(autoscaled, 5)
    managers = {entry["manager"] for entry in autoscaled.deployment()["metadata"]["managedFields"]}
    owners = {
        entry["manager"]
        for entry in autoscaled.deployment()["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    }
    assert "modelway" in managers
    assert not {"modelway", "modelway-replicas"} & owners


def test_from_a_fixed_number_to_an_autoscaler(namespace, operator):
    deployed = namespace.deploy(spec_of(serving__replicas=4))
    deployed.wait_until_served()
    mark = namespace.rest()
    deployed.edit(serving__replicas=None, serving__autoscaling=AUTOSCALED)
    namespace.wait_for(lambda: namespace.find(AUTOSCALER), what="the autoscaler is there")
    assert has_settled_at(deployed, 4)
    assert [write for write in namespace.writes(mark) if write.resource == "deployments"] == []
    scale_like_an_autoscaler(deployed, 5)
    assert has_settled_at(deployed, 5)


def test_from_an_autoscaler_to_nobody_and_to_a_fixed_number(namespace, autoscaled):
    scale_like_an_autoscaler(autoscaled, 5)
    assert has_settled_at(autoscaled, 5)
    autoscaled.edit(serving__autoscaling=None)
    namespace.wait_for(lambda: not namespace.find(AUTOSCALER), what="the autoscaler is gone")
    assert has_settled_at(autoscaled, 5)
    autoscaled.edit(serving__replicas=3)
    assert has_settled_at(autoscaled, 3)


def test_an_update_keeps_what_the_autoscaler_has_set(namespace, autoscaled):
    scale_like_an_autoscaler(autoscaled, 5)
    assert has_settled_at(autoscaled, 5)
    autoscaled.edit(model__version="2")
    assert has_settled_at(autoscaled, 5)
    revision = autoscaled.status["stable"]["revision"]
    assert [one["spec"]["scaleTargetRef"]["name"] for one in namespace.find(AUTOSCALER)] == [f"fraud-{revision}"]


def test_to_zero_and_back(namespace, operator):
    deployed = namespace.deploy()
    deployed.wait_until_served()
    deployed.edit(serving__replicas=0)
    assert has_settled_at(deployed, 0)
    assert deployed.condition("Ready") == ("True", "ScaledToZero")
    namespace.wait_for(lambda: not deployed.pods(), what="there are no pods")
    deployed.edit(serving__replicas=1)
    assert has_settled_at(deployed, 1)


def test_others_can_scale_it_through_its_scale_subresource(cluster, namespace, operator):
    deployed = namespace.deploy()
    deployed.wait_until_served()
    scaled = cluster.kubectl("scale", "mdep/fraud", "--replicas=3", f"--namespace={namespace.name}")
    assert scaled.returncode == 0, scaled.stderr
    assert has_settled_at(deployed, 3)
    path = f"/apis/modelway.dev/v1alpha1/namespaces/{namespace.name}/modeldeployments/fraud/scale"
    scale = json.loads(cluster.kubectl("get", "--raw", path).stdout)
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (3, 3)
    assert len(namespace.find(POD, selector=scale["status"]["selector"])) == 3
