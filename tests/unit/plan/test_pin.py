"""Which bytes a revision stands for: found once, agreed on by the first pods, and never changed afterwards."""

import pytest

from modelway.api.kinds import CONFIG_MAP, CONTROLLER_REVISION
from modelway.plan import ChildKey
from support.builders import DIGEST, NAME, OTHER_DIGEST, spec
from support.simulation import Simulation, deployment_key, story

URI = "s3://models/fraud/1/"


def unpinned() -> Simulation:
    """Nobody has said which bytes are meant; two pods are there and have not fetched them yet."""
    world = Simulation(spec(model__digest=None))
    world.look()
    world.run_deployments()
    return world


def test_a_given_digest_is_the_pin_from_the_start():
    world = Simulation()
    world.look()
    assert world.pin_of(world.candidate) == DIGEST


def test_an_image_that_brings_its_own_model_needs_no_pin():
    world = story({"serving": {"container": {"image": "a", "port": 80}}})
    assert world.stable == world.front is not None
    assert world.names(CONFIG_MAP) == []


class TestFound:
    def test_a_revision_of_unknown_content_takes_no_traffic(self):
        world = unpinned()
        for name in world.pods:
            world.make_ready(name)
        world.look()
        assert (world.front, world.pin_of(world.candidate)) == (None, None)

    def test_the_first_of_two_pods_decides_nothing(self):
        world = unpinned()
        world.fetch(min(world.pods))
        world.look()
        assert world.pin_of(world.candidate) is None

    def test_what_all_pods_found_becomes_the_pin(self):
        world = unpinned()
        for name in world.pods:
            world.fetch(name)
        world.look()
        assert world.pin_of(world.candidate) == world.recorded_digest(world.candidate) == DIGEST
        assert world.status.candidate.digest == DIGEST

    def test_what_stands_in_the_record_is_written_before_the_service_is(self):
        world = unpinned()
        for name in world.pods:
            world.fetch(name)
        written = len(world.writes)
        world.look()
        record, service = (f"change ControllerRevision {NAME}-{world.candidate}", f"create Service {NAME}")
        assert world.writes[written:].index(record) < world.writes[written:].index(service)

    def test_a_pod_that_is_being_deleted_is_not_asked(self):
        world = unpinned()
        for name in world.pods:
            world.fetch(name)
        leaving = min(world.pods)
        world.pods[leaving] |= {"metadata": world.pods[leaving]["metadata"] | {"deletionTimestamp": "now"}}
        world.look()
        assert world.pin_of(world.candidate) is None


class TestDisagreeing:
    @staticmethod
    def disagreeing() -> tuple[Simulation, str, str]:
        """Two pods that found different bytes; the artefact changed in between."""
        world = unpinned()
        early, late = sorted(world.pods)
        world.fetch(early)
        world.tick(1)
        world.artifacts[URI] = OTHER_DIGEST
        world.fetch(late)
        return world, early, late

    def test_nothing_is_pinned(self):
        world, *_ = self.disagreeing()
        world.look()
        assert world.pin_of(world.candidate) is None

    def test_the_pod_that_fetched_first_is_taken_away(self):
        world, early, late = self.disagreeing()
        evicted = world.look().evictions
        assert [pod.name for pod in evicted] == [early]
        assert late in world.pods

    def test_nobody_takes_over_while_a_pod_holds_other_bytes(self):
        world, *_ = self.disagreeing()
        for name in world.pods:
            world.make_ready(name)
        world.run_deployments()
        world.look()
        assert world.stable is None

    def test_it_ends_with_the_bytes_that_are_there(self):
        world, *_ = self.disagreeing()
        world.settle()
        assert world.status.stable.digest == OTHER_DIGEST

    @pytest.mark.parametrize("digest", [DIGEST, OTHER_DIGEST])
    def test_it_ends_with_them_even_where_the_times_do_not_tell(self, digest):
        world = unpinned()
        for name, found in zip(sorted(world.pods), (DIGEST, OTHER_DIGEST), strict=True):
            world.artifacts[URI] = found
            world.fetch(name)
        world.artifacts[URI] = digest
        world.look()
        world.tick(1)
        world.settle()
        assert world.status.stable.digest == digest


class TestLater:
    def test_other_bytes_at_the_same_uri_stop_the_new_pod_only(self):
        world = story(spec(model__digest=None))
        world.artifacts[URI] = OTHER_DIGEST
        world.edit(serving__replicas=3)
        world.settle()
        assert world.status.stable.ready_replicas == 2
        assert (world.condition("Ready").status, world.condition("ArtifactChanged").status) == ("True", "True")
        assert world.status.failure.reason == "DigestMismatch"
        assert world.status.stable.digest == DIGEST

    def test_the_condition_goes_when_the_old_bytes_are_back(self):
        world = story(spec(model__digest=None))
        world.artifacts[URI] = OTHER_DIGEST
        world.edit(serving__replicas=3)
        world.settle()
        world.artifacts[URI] = DIGEST
        world.settle()
        assert world.condition("ArtifactChanged").status == "False"
        assert world.status.failure is None

    def test_a_new_version_takes_the_new_bytes(self):
        world = story(spec(model__digest=None, model__version="1"))
        world.artifacts[URI] = OTHER_DIGEST
        world.edit(model__version="2")
        world.settle()
        assert world.status.stable.digest == OTHER_DIGEST

    def test_returning_to_a_revision_returns_to_its_bytes(self):
        world = story(spec(model__digest=None, model__version="1"))
        first = world.stable
        world.artifacts[URI] = OTHER_DIGEST
        world.edit(model__version="2")
        world.settle()
        world.edit(model__version="1")
        world.run()
        assert world.pin_of(first) == DIGEST
        assert world.stable != first, "the pods refuse the new bytes"


class TestOutlivesItsRecord:
    @pytest.mark.parametrize("lost", [CONTROLLER_REVISION, CONFIG_MAP], ids=["the record", "the ConfigMap"])
    def test_a_deleted_child_changes_no_pin(self, lost):
        world = story(spec(model__digest=None, serving__replicas=0))
        world.edit(serving__replicas=2)
        world.settle()
        world.edit(serving__replicas=0)
        world.settle()
        world.records = ()  # another process than the one that made it
        world.delete(ChildKey(lost, f"{NAME}-{world.stable}"))
        world.settle()
        assert world.pin_of(world.stable) == DIGEST

    def test_a_process_killed_between_the_decision_and_the_record_loses_nothing(self):
        world = unpinned()
        for name in world.pods:
            world.fetch(name)
            world.make_ready(name)
        world.run_deployments()
        world.look(writes=1)
        assert world.stable is not None
        assert world.recorded_digest(world.stable) is None
        world.delete(deployment_key(world.stable))
        world.artifacts[URI] = OTHER_DIGEST
        world.look()
        assert world.pin_of(world.stable) == DIGEST
