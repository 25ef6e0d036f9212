"""Which revision serves, which is to follow, and when the one takes over from the other."""

import pytest

from modelway.api.kinds import DEPLOYMENT, NETWORK_POLICY, SERVICE
from modelway.plan import ChildKey
from modelway.plan.pods import DRAIN_SECONDS
from support.builders import NAME, NOW, spec
from support.simulation import Simulation, deployment_key, story


def started(**fields: object) -> Simulation:
    """Version 1 serves; version 2 has been asked for, and looked at once."""
    world = story(spec(model__version="1", **fields))
    world.edit(model__version="2")
    world.look()
    return world


class TestFirstRollout:
    def test_the_decision_is_written_before_any_child(self):
        world = Simulation()
        world.look()
        assert world.writes[0] == "status"
        assert world.candidate is not None

    def test_the_record_is_the_first_child_written(self):
        world = Simulation()
        world.look()
        assert world.writes[1] == f"create ControllerRevision {NAME}-{world.candidate}"

    def test_the_service_waits_for_nothing_where_the_digest_is_given(self):
        world = Simulation()
        world.look()
        assert world.front == world.candidate

    def test_the_candidate_becomes_stable_when_all_pods_are_ready(self):
        world = Simulation()
        world.run()
        assert world.stable is None
        world.look()
        assert (world.stable, world.candidate) == (world.front, None)
        assert world.condition("Ready").status == "True"

    def test_a_crash_after_any_write_is_mended_by_the_next_look(self):
        calm = story()
        for writes in range(len(calm.writes)):
            world = Simulation()
            world.look(writes=writes)
            world.settle()
            assert world.children.keys() == calm.children.keys()
            assert world.stable == calm.stable

    def test_one_entry_of_history_and_one_event_tell_it(self):
        world = story()
        assert [(entry.result, entry.time) for entry in world.status.history] == [("Promoted", NOW)]
        assert [happening.reason for happening in world.happenings] == ["Promoted"]


class TestUpdate:
    def test_the_stable_revision_serves_while_the_candidate_starts(self):
        world = started()
        assert world.front == world.stable != world.candidate
        assert world.replicas(world.stable) == world.replicas(world.candidate) == 2

    @pytest.mark.parametrize("ready", [0, 1], ids=["no pod ready", "one of two ready"])
    def test_the_candidate_does_not_take_over_without_all_its_pods(self, ready):
        world = started()
        world.run_deployments()
        for name in world.pods_of(world.candidate)[:ready]:
            world.fetch(name)
            world.make_ready(name)
        world.run_deployments()
        before = world.stable
        world.look()
        assert (world.stable, world.front) == (before, before)

    def test_a_deployment_that_has_not_caught_up_with_its_spec_is_not_believed(self):
        world = started()
        world.run()
        world.children[deployment_key(world.candidate)]["status"]["observedGeneration"] = 0
        world.look()
        assert world.candidate is not None

    def test_the_decision_is_written_before_the_service_moves(self):
        world = started()
        world.run()
        world.look(writes=1)
        assert world.stable != world.front, "killed between the two"
        world.look()
        assert world.stable == world.front

    def test_the_old_revision_keeps_its_pods_until_nobody_can_be_sent_to_it(self):
        world = started()
        old, pods = world.stable, world.pods_of(world.stable)
        world.run()
        assert world.look().look_again_after == DRAIN_SECONDS
        world.tick(DRAIN_SECONDS - 1)
        world.run()
        assert world.pods_of(old) == pods
        world.tick(1)
        world.run()
        assert world.pods_of(old) == []
        assert world.replicas(old) == 0

    def test_the_firewall_lets_the_draining_port_open(self):
        world = story(spec(serving__container={"image": "a", "port": 8000}))
        world.edit(serving__container={"image": "b", "port": 9000})
        world.run()
        world.look()
        rule = world.children[ChildKey(NETWORK_POLICY, NAME)]["spec"]["ingress"][0]
        assert [port["port"] for port in rule["ports"]] == [8000, 9000]
        world.settle()
        rule = world.children[ChildKey(NETWORK_POLICY, NAME)]["spec"]["ingress"][0]
        assert [port["port"] for port in rule["ports"]] == [9000]

    def test_what_does_not_enter_the_pods_starts_no_rollout(self):
        world = story()
        before = world.stable
        world.edit(model__trainingTime="2026-11-01T00:00:00Z", serving__replicas=3, serving__revisionHistoryLimit=1)
        world.settle()
        assert (world.stable, world.candidate) == (before, None)
        assert world.names(DEPLOYMENT) == [f"{NAME}-{before}"]


class TestSuperseded:
    def test_a_newer_spec_takes_the_candidate_off(self):
        world = started()
        first = world.candidate
        world.edit(model__version="3")
        world.look()
        assert world.candidate not in {None, first, world.stable}
        assert (world.status.history[0].revision, world.status.history[0].result) == (first, "Superseded")
        assert world.replicas(first) == 0, "it never took a request: there is nothing to drain"

    def test_going_back_to_the_stable_spec_ends_the_rollout(self):
        world = started()
        first, before = world.candidate, world.stable
        world.edit(model__version="1")
        world.look()
        assert (world.stable, world.candidate) == (before, None)
        assert world.status.history[0].revision == first
        assert world.condition("Reconciling").reason == "UpToDate"

    def test_each_decision_is_told_once(self):
        world = started()
        world.edit(model__version="3")
        world.settle()
        assert [happening.reason for happening in world.happenings] == ["Promoted", "Superseded", "Promoted"]


class TestThereAndBack:
    def test_the_old_revision_is_found_again(self):
        world = story(spec(model__version="1"))
        first = world.stable
        made = world.deployment(first)["metadata"]["uid"]
        world.edit(model__version="2")
        world.settle()
        world.edit(model__version="1")
        world.settle()
        assert world.stable == first
        assert world.deployment(first)["metadata"]["uid"] == made
        assert len(world.names(DEPLOYMENT)) == 2

    def test_a_revision_that_still_drains_takes_over_again_at_once(self):
        world = started()
        first = world.stable
        world.run()
        world.look()
        world.edit(model__version="1")
        world.look()
        assert world.stable == world.front == first

    def test_the_revision_that_is_used_again_is_the_latest(self):
        world = story(spec(model__version="1", serving__revisionHistoryLimit=1))
        first = world.stable
        for version in ("2", "1", "3"):
            world.edit(model__version=version)
            world.settle()
        assert f"{NAME}-{first}" in world.names(DEPLOYMENT)
        assert len(world.names(DEPLOYMENT)) == 2


class TestPaused:
    def test_a_resource_that_is_born_paused_makes_nothing(self):
        world = Simulation(spec() | {"paused": True})
        world.settle()
        assert world.children == {}
        assert world.condition("Reconciling").reason == "Paused"

    def test_a_new_spec_is_not_acted_on(self):
        world = story()
        before = dict(world.children)
        world.edit(paused=True, model__version="2")
        world.settle()
        assert world.children == before
        assert (world.condition("Ready").status, world.condition("Reconciling").reason) == ("True", "Paused")

    def test_a_candidate_on_its_way_does_not_take_over(self):
        world = started()
        world.edit(paused=True)
        world.settle()
        assert world.candidate is not None
        assert world.front == world.stable

    def test_children_are_still_repaired(self):
        world = story()
        world.edit(paused=True)
        world.delete(ChildKey(SERVICE, NAME))
        world.look()
        assert world.front == world.stable

    def test_it_goes_on_where_it_stopped(self):
        world = started()
        wanted = world.candidate
        world.edit(paused=True)
        world.settle()
        world.edit(paused=None)
        world.settle()
        assert world.stable == wanted


class TestRetired:
    @pytest.mark.parametrize(("limit", "kept"), [(0, 1), (1, 2), (2, 3), (None, 5)])
    def test_as_many_old_revisions_are_kept_as_asked(self, limit, kept):
        world = story(spec(model__version="1", serving__revisionHistoryLimit=limit))
        for version in ("2", "3", "4", "5"):
            world.edit(model__version=version)
            world.settle()
        assert len(world.names(DEPLOYMENT)) == kept

    def test_ten_old_revisions_are_kept_where_nothing_is_asked(self):
        world = story(spec(model__version="0"))
        for version in range(1, 13):
            world.edit(model__version=str(version))
            world.settle()
        assert len(world.names(DEPLOYMENT)) == 11
        assert len(world.status.history) == 10

    def test_nothing_of_a_forgotten_revision_is_left(self):
        world = story(spec(model__version="1", serving__revisionHistoryLimit=0))
        first = world.stable
        world.edit(model__version="2")
        world.settle()
        assert [key for key in world.children if first in key.name] == []

    def test_a_revision_with_pods_is_never_forgotten(self):
        world = started(serving__revisionHistoryLimit=0)
        first = world.stable
        world.run()
        world.look()
        world.look()
        assert f"{NAME}-{first}" in world.names(DEPLOYMENT)

    def test_pods_that_somebody_gives_an_old_revision_are_taken_away_again(self):
        world = started()
        first = world.stable
        world.settle()
        world.scale(f"{NAME}-{first}", 3)
        world.look()
        assert world.replicas(first) == 0

    def test_an_old_deployment_that_was_deleted_is_not_made_again(self):
        world = started()
        first = world.stable
        world.settle()
        world.delete(deployment_key(first))
        world.settle()
        assert world.names(DEPLOYMENT) == [f"{NAME}-{world.stable}"]
        world.edit(model__version="1")
        world.settle()
        assert world.stable == first, "its record is kept, so it can be returned to"
