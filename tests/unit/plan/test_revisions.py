"""What makes a revision, and that nothing ever changes one."""

from dataclasses import replace

import pytest

from modelway.api.kinds import CONTROLLER_REVISION, DEPLOYMENT
from modelway.api.names import child_name
from modelway.plan import ChildKey
from modelway.plan.revisions import resolved_spec, revision_hash
from support.builders import NAME, OTHER_DIGEST, SETTINGS, changed, parsed, spec
from support.simulation import Simulation, deployment_key, story


def hash_of(given: dict) -> str:
    return revision_hash(resolved_spec(parsed(given).spec))


ENTERS = {
    "model.uri": "s3://models/fraud/2/",
    "model.format": "sklearn",
    "model.version": "2",
    "model.digest": OTHER_DIGEST,
    "model.credentialsSecretRef": {"name": "s3"},
    "model.code": "AllowList",
    "model.allowedGlobals": ["a.b"],
    "serving.runtime": "modelway",
    "serving.workers": 2,
    "serving.container": {"image": "a", "port": 80},
    "serving.resources": {"limits": {"memory": "2Gi"}},
    "serving.serviceAccountName": "reader",
    "serving.timeout": "6s",
    "serving.startupTimeout": "11m",
    "serving.podTemplate": {"labels": {"team": "risk"}},
}
STAYS_OUTSIDE = {
    "model.trainingTime": "2026-11-01T00:00:00Z",
    "serving.replicas": 7,
    "serving.revisionHistoryLimit": 3,
    "paused": True,
}


class TestHash:
    @pytest.mark.parametrize("field", ENTERS)
    def test_what_changes_the_pods_makes_another_revision(self, field):
        assert hash_of(changed(spec(), {field: ENTERS[field]})) != hash_of(spec())

    @pytest.mark.parametrize("field", STAYS_OUTSIDE)
    def test_what_changes_no_pod_makes_no_other_revision(self, field):
        assert hash_of(changed(spec(), {field: STAYS_OUTSIDE[field]})) == hash_of(spec())

    def test_autoscaling_instead_of_replicas_makes_no_other_revision(self):
        autoscaled = changed(spec(), {"serving.replicas": None, "serving.autoscaling": {"maxReplicas": 3}})
        assert hash_of(autoscaled) == hash_of(spec())

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"serving.podTemplate": {}}, {}),
            ({"serving.podTemplate": {"labels": {}}}, {}),
            (
                {"serving.resources": {"limits": {"memory": "1Gi"}}},
                {"serving.resources": {"limits": {"memory": "1024Mi"}}},
            ),
            ({"serving.resources": {"limits": {"cpu": 2}}}, {"serving.resources": {"limits": {"cpu": "2000m"}}}),
        ],
        ids=["absent and empty", "absent and empty inside", "1Gi and 1024Mi", "2 and 2000m"],
    )
    def test_two_ways_to_write_one_spec_are_one_revision(self, one, other):
        assert hash_of(changed(spec(), one)) == hash_of(changed(spec(), other))

    def test_it_is_the_same_in_every_release(self):
        """Changing this restarts every model of every user: only with a new hash version, and never lightly."""
        assert hash_of(spec()) == "7f466102"


class TestTemplate:
    def test_an_upgrade_of_the_operator_changes_no_pod(self):
        world = story()
        world.settings = replace(SETTINGS, server_image="modelway.dev/server:2")
        written = len(world.writes)
        world.settle()
        assert world.writes[written:] == []

    def test_the_next_revision_is_rendered_by_the_new_operator(self):
        world = story()
        world.settings = replace(SETTINGS, server_image="modelway.dev/server:2")
        world.edit(model__version="2")
        world.settle()
        template = world.deployment(world.stable)["spec"]["template"]
        assert template["spec"]["containers"][0]["image"] == "modelway.dev/server:2"

    def test_returning_to_an_old_revision_returns_to_its_pods(self):
        world = story(spec(model__version="1"))
        before = world.deployment(world.stable)["spec"]["template"]
        world.settings = replace(SETTINGS, server_image="modelway.dev/server:2")
        world.edit(model__version="2")
        world.settle()
        world.edit(model__version="1")
        world.settle()
        assert world.deployment(world.stable)["spec"]["template"] == before

    def test_a_stable_deployment_deleted_in_a_rollout_is_made_again_as_it_was(self):
        world = story(spec(model__version="1"))
        before = world.deployment(world.stable)["spec"]["template"]
        world.settings = replace(SETTINGS, server_image="modelway.dev/server:2")
        world.edit(model__version="2")
        world.look()
        world.delete(deployment_key(world.stable))
        world.look()
        assert world.deployment(world.stable)["spec"]["template"] == before


def record_of(world: Simulation, revision: str) -> ChildKey:
    return ChildKey(CONTROLLER_REVISION, child_name(NAME, revision))


class TestLostRecord:
    """Somebody deletes the ControllerRevision that a revision is kept in."""

    @pytest.mark.parametrize("remembered", [True, False], ids=["the same process", "another process"])
    @pytest.mark.parametrize("upgraded", [True, False], ids=["upgraded", "not upgraded"])
    def test_it_comes_back_and_no_pod_changes(self, remembered, upgraded):
        world = story()
        before = dict(world.children)
        world.delete(record_of(world, world.stable))
        if upgraded:
            world.settings = replace(SETTINGS, server_image="modelway.dev/server:2")
        if not remembered:
            world.records = ()
        written = len(world.writes)
        world.settle()
        assert world.writes[written:] == [f"create ControllerRevision {NAME}-{world.stable}"]
        for key in world.children:
            assert world.children[key].get("spec") == before[key].get("spec")

    def test_by_the_same_process_it_comes_back_exactly(self):
        world = story(spec(model__version="1"))
        for version in ("2", "3", "1"):
            world.edit(model__version=version)
            world.settle()
        before = dict(world.children)
        for key in [key for key in world.children if key.kind == CONTROLLER_REVISION]:
            world.delete(key)
        world.settle()
        for key, obj in before.items():
            assert {**world.children[key], "metadata": None} == {**obj, "metadata": None}
            assert world.children[key]["metadata"].get("annotations") == obj["metadata"].get("annotations")

    @pytest.mark.parametrize(
        "fields",
        [{"revision": 99}, {"metadata__annotations": {"modelway.dev/digest": OTHER_DIGEST}}],
        ids=["number", "digest"],
    )
    def test_what_somebody_changed_in_it_is_changed_back(self, fields):
        world = story(spec(model__digest=None))
        key = record_of(world, world.stable)
        before = world.children[key]
        world.meddle(key, **fields)
        world.look()
        assert world.children[key]["revision"] == before["revision"]
        assert world.children[key]["metadata"]["annotations"] == before["metadata"]["annotations"]

    def test_of_a_revision_that_is_not_asked_for_it_is_read_back_from_the_deployment(self):
        world = story(spec(model__version="1"))
        first = world.stable
        template = world.deployment(first)["spec"]["template"]
        world.edit(model__version="2")
        world.look()
        world.delete(record_of(world, first))
        world.records = ()
        world.look()
        assert world.children[record_of(world, first)]["data"]["template"] == template
        assert world.stable == world.front == first
        assert world.pin_of(first) is not None, "its pods go on with their pin"

    def test_a_revision_that_was_read_back_can_be_asked_for_again(self):
        world = story(spec(model__version="1"))
        first = world.stable
        world.edit(model__version="2")
        world.look()
        world.delete(record_of(world, first))
        world.records = ()
        world.look()
        world.edit(model__version="1")
        world.settle()
        assert world.stable == first
        assert world.children[record_of(world, first)]["data"]["spec"]["model"]["version"] == "1"
        assert world.status.stable.version == "1"

    def test_with_its_deployment_gone_too_it_is_made_again_from_the_spec(self):
        world = story()
        before, template = world.stable, world.deployment(world.stable)["spec"]["template"]
        world.records = ()
        world.delete(record_of(world, before))
        world.delete(deployment_key(before))
        world.look()
        assert world.stable == world.front == before
        assert world.deployment(before)["spec"]["template"] == template

    def test_of_which_nothing_is_left_a_revision_plays_no_role(self):
        world = story(spec(model__version="1"))
        first = world.stable
        world.edit(model__version="2")
        world.look()
        world.records = ()
        world.delete(record_of(world, first))
        world.delete(deployment_key(first))
        world.look()
        assert world.stable is None
        world.settle()
        assert world.stable == world.front != first


def test_names_of_children_fit_however_long_the_name_is():
    long = "m" + "o" * 62
    world = Simulation()
    world.resource["metadata"]["name"] = long
    world.look()
    assert all(len(key.name) <= 63 for key in world.children)
    assert len(world.names(DEPLOYMENT)) == 1
