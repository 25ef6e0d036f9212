"""Who decides how many pods there are, and that nobody loses any when the decision changes hands."""

import pytest

from modelway.api.kinds import AUTOSCALER
from support.builders import NAME, spec
from support.simulation import Simulation, deployment_key, story

AUTOSCALED = {"minReplicas": 2, "maxReplicas": 6}


def autoscaled(**fields: object) -> Simulation:
    return story(spec(serving__replicas=None, serving__autoscaling=AUTOSCALED, **fields))


class TestFixedNumber:
    def test_a_new_number_is_set_without_a_rollout(self):
        world = story()
        world.edit(serving__replicas=5)
        world.look()
        assert (world.replicas(world.stable), world.candidate) == (5, None)

    def test_a_number_set_by_hand_is_set_back(self):
        world = story()
        world.scale(f"{NAME}-{world.stable}", 7)
        world.look()
        assert world.replicas(world.stable) == 2

    def test_a_candidate_and_the_stable_revision_both_follow_a_new_number(self):
        world = story()
        world.edit(model__version="2")
        world.look()
        world.edit(serving__replicas=4)
        world.look()
        assert world.replicas(world.stable) == world.replicas(world.candidate) == 4


class TestNobodyAsks:
    def test_it_begins_with_one(self):
        world = story(spec(serving__replicas=None))
        assert world.replicas(world.stable) == 1

    def test_whoever_scales_it_is_left_alone(self):
        world = story(spec(serving__replicas=None))
        world.scale(f"{NAME}-{world.stable}", 4)
        world.settle()
        assert world.replicas(world.stable) == 4

    def test_a_candidate_gets_as_many_as_serve(self):
        world = story(spec(serving__replicas=None))
        world.scale(f"{NAME}-{world.stable}", 4)
        world.edit(model__version="2")
        world.settle()
        assert world.replicas(world.stable) == 4

    def test_a_deleted_deployment_gets_back_what_it_had(self):
        world = story(spec(serving__replicas=None))
        world.scale(f"{NAME}-{world.stable}", 4)
        world.settle()
        world.delete(deployment_key(world.stable))
        world.look()
        assert world.replicas(world.stable) == 4


class TestAutoscaling:
    def test_it_begins_with_the_minimum(self):
        world = autoscaled()
        assert world.replicas(world.stable) == 2
        assert world.names(AUTOSCALER) == [f"{NAME}-{world.stable}"]

    def test_what_the_autoscaler_sets_is_left_alone(self):
        world = autoscaled()
        world.autoscale(5)
        world.settle()
        assert world.replicas(world.stable) == 5

    def test_what_the_autoscaler_sets_on_the_first_candidate_is_left_alone(self):
        world = Simulation(spec(serving__replicas=None, serving__autoscaling=AUTOSCALED))
        world.look()
        world.autoscale(5)
        world.look()
        assert world.replicas(world.candidate) == 5

    @pytest.mark.parametrize(
        ("live", "needed"), [(2, 2), (5, 5), (6, 6)], ids=["at the minimum", "in between", "at the maximum"]
    )
    def test_a_candidate_gets_as_many_as_serve(self, live, needed):
        world = autoscaled()
        world.autoscale(live)
        world.edit(model__version="2")
        world.look()
        assert world.replicas(world.candidate) == needed

    def test_the_autoscaler_stays_with_the_traffic(self):
        world = autoscaled()
        first = world.stable
        world.autoscale(5)
        world.edit(model__version="2")
        world.look()
        assert world.names(AUTOSCALER) == [f"{NAME}-{first}"]
        world.settle()
        assert world.names(AUTOSCALER) == [f"{NAME}-{world.stable}"] != [f"{NAME}-{first}"]
        assert world.replicas(world.stable) == 5

    def test_a_deleted_deployment_gets_back_what_it_had(self):
        world = autoscaled()
        world.autoscale(5)
        world.settle()
        world.delete(deployment_key(world.stable))
        world.look()
        assert world.replicas(world.stable) == 5

    def test_a_user_who_switches_the_autoscaler_off_with_zero_is_obeyed(self):
        world = autoscaled()
        world.scale(f"{NAME}-{world.stable}", 0)
        world.settle()
        assert world.replicas(world.stable) == 0
        assert world.condition("Ready").reason == "ScaledToZero"

    def test_default_metric_is_the_cpu(self):
        world = autoscaled()
        autoscaler = next(obj for key, obj in world.children.items() if key.kind == AUTOSCALER)
        assert autoscaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 80

    def test_metrics_and_behavior_are_passed_on_as_they_are(self):
        metrics = [
            {
                "type": "Pods",
                "pods": {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "30"}},
            }
        ]
        behavior = {"scaleDown": {"stabilizationWindowSeconds": 60, "selectPolicy": "Min"}}
        world = story(
            spec(serving__replicas=None, serving__autoscaling=AUTOSCALED | {"metrics": metrics, "behavior": behavior})
        )
        autoscaler = next(obj for key, obj in world.children.items() if key.kind == AUTOSCALER)
        assert autoscaler["spec"]["metrics"] == metrics
        assert autoscaler["spec"]["behavior"] == behavior


class TestHandOver:
    def test_an_autoscaler_takes_the_live_number_over(self):
        world = story(spec(serving__replicas=4))
        world.edit(serving__replicas=None, serving__autoscaling=AUTOSCALED)
        written = len(world.writes)
        world.settle()
        assert world.replicas(world.stable) == 4
        assert not [write for write in world.writes[written:] if write.startswith("scale")]

    def test_the_autoscaler_goes_and_the_live_number_stays(self):
        world = autoscaled()
        world.autoscale(5)
        world.edit(serving__autoscaling=None)
        world.settle()
        assert world.replicas(world.stable) == 5
        assert world.names(AUTOSCALER) == []

    def test_a_fixed_number_takes_over_from_the_autoscaler(self):
        world = autoscaled()
        world.autoscale(5)
        world.edit(serving__autoscaling=None, serving__replicas=3)
        world.settle()
        assert world.replicas(world.stable) == 3

    def test_an_autoscaler_finds_its_minimum_where_there_were_no_pods(self):
        world = story(spec(serving__replicas=0))
        world.edit(serving__replicas=None, serving__autoscaling=AUTOSCALED)
        world.settle()
        assert world.replicas(world.stable) == 2


class TestZero:
    def test_the_stable_revision_counts_as_ready_and_says_so(self):
        world = story()
        world.edit(serving__replicas=0)
        world.settle()
        ready = world.condition("Ready")
        assert (ready.status, ready.reason) == ("True", "ScaledToZero")

    def test_a_pinned_revision_needs_no_pod_to_take_over(self):
        world = story(spec(serving__replicas=0))
        assert world.stable is not None

    def test_a_revision_of_unknown_content_waits_and_nothing_is_being_made(self):
        world = story(spec(serving__replicas=0, model__digest=None))
        assert (world.stable, world.front) == (None, None)
        assert world.candidate is not None
        told = {kind: (world.condition(kind).status, world.condition(kind).reason) for kind in ("Ready", "Reconciling")}
        assert told == {"Ready": ("True", "ScaledToZero"), "Reconciling": ("False", "ScaledToZero")}

    def test_it_wakes_up_with_the_first_replicas(self):
        world = story(spec(serving__replicas=0, model__digest=None))
        world.edit(serving__replicas=2)
        world.look()
        assert world.condition("Reconciling").status == "True"
        world.settle()
        assert world.stable == world.front is not None
