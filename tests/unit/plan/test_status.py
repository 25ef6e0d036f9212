"""What `status` says: conditions as kstatus reads them, times that move only on transitions, words that do not change
with every pod.
"""

import re

import pytest

from modelway.api.kinds import DEPLOYMENT, SERVICE
from modelway.plan import ChildKey, Refusal
from modelway.plan.status import invalid
from support.builders import NAME, NOW, parsed, spec
from support.simulation import Simulation, story

CONFLICT = Refusal("NameConflict", "exists already and was not made by modelway")
QUOTA = Refusal("QuotaExceeded", "exceeded quota: q")


def first_rollout() -> Simulation:
    world = Simulation()
    world.look()
    return world


def first_rollout_breaks() -> Simulation:
    world = Simulation()
    world.run()
    world.break_down(min(world.pods))
    world.run_deployments()
    world.look()
    return world


def serving() -> Simulation:
    return story()


def one_of_two_pods_breaks() -> Simulation:
    world = story()
    world.break_down(min(world.pods))
    world.run_deployments()
    world.look()
    return world


def all_pods_break() -> Simulation:
    world = story()
    for name in world.pods:
        world.break_down(name)
    world.run_deployments()
    world.look()
    return world


def no_pod_is_ready_yet() -> Simulation:
    world = story()
    world.delete(ChildKey(DEPLOYMENT, f"{NAME}-{world.stable}"))
    world.look()
    world.look()
    return world


def update() -> Simulation:
    world = story()
    world.edit(model__version="2")
    world.look()
    return world


def update_breaks() -> Simulation:
    world = update()
    world.run_deployments()
    world.break_down(world.pods_of(world.candidate)[0])
    world.run_deployments()
    world.look()
    return world


def paused_with_a_new_spec() -> Simulation:
    world = story()
    world.edit(paused=True, model__version="2")
    world.look()
    return world


def born_paused() -> Simulation:
    world = Simulation(spec() | {"paused": True})
    world.look()
    return world


def scaled_to_zero() -> Simulation:
    return story(spec(serving__replicas=0))


def service_name_taken() -> Simulation:
    world = story()
    world.refusals = {ChildKey(SERVICE, NAME): CONFLICT}
    world.look()
    return world


def over_quota() -> Simulation:
    world = Simulation()
    world.look()
    world.refusals = {ChildKey(DEPLOYMENT, f"{NAME}-{world.candidate}"): QUOTA}
    world.look()
    return world


TABLE = [
    # situation, Ready, Reconciling, Stalled
    (first_rollout, "False NotYetServing", "True NewRevision", "False AsExpected"),
    (first_rollout_breaks, "False NotYetServing", "False NewRevision", "True ModelLoadFailed"),
    (serving, "True Serving", "False UpToDate", "False AsExpected"),
    (one_of_two_pods_breaks, "True Serving", "False UpToDate", "False AsExpected"),
    (all_pods_break, "False NoReadyPods", "False UpToDate", "True ModelLoadFailed"),
    (no_pod_is_ready_yet, "False NoReadyPods", "False UpToDate", "False AsExpected"),
    (update, "True Serving", "True NewRevision", "False AsExpected"),
    (update_breaks, "True Serving", "False NewRevision", "True ModelLoadFailed"),
    (paused_with_a_new_spec, "True Serving", "False Paused", "False AsExpected"),
    (born_paused, "False NotYetServing", "False Paused", "False AsExpected"),
    (scaled_to_zero, "True ScaledToZero", "False UpToDate", "False AsExpected"),
    (service_name_taken, "False NameConflict", "False UpToDate", "True NameConflict"),
    (over_quota, "False NotYetServing", "False NewRevision", "True QuotaExceeded"),
]
SITUATIONS = [row[0] for row in TABLE]


def told(world: Simulation, kind: str) -> str:
    condition = world.condition(kind)
    return f"{condition.status} {condition.reason}"


class TestConditions:
    @pytest.mark.parametrize(
        ("situation", "ready", "reconciling", "stalled"), TABLE, ids=lambda v: getattr(v, "__name__", "")
    )
    def test_table(self, situation, ready, reconciling, stalled):
        world = situation()
        assert (told(world, "Ready"), told(world, "Reconciling"), told(world, "Stalled")) == (
            ready,
            reconciling,
            stalled,
        )

    @pytest.mark.parametrize("situation", SITUATIONS, ids=lambda v: v.__name__)
    def test_reconciling_and_stalled_are_never_true_together(self, situation):
        world = situation()
        assert {world.condition("Reconciling").status, world.condition("Stalled").status} != {"True"}

    @pytest.mark.parametrize("situation", SITUATIONS, ids=lambda v: v.__name__)
    def test_every_condition_speaks_of_the_current_generation(self, situation):
        world = situation()
        generation = world.resource["metadata"]["generation"]
        assert {condition.observed_generation for condition in world.status.conditions} == {generation}
        assert world.status.observed_generation == generation

    @pytest.mark.parametrize("situation", SITUATIONS, ids=lambda v: v.__name__)
    def test_messages_hold_no_pod_names_and_no_counts(self, situation):
        world = situation()
        texts = [condition.message for condition in world.status.conditions]
        if world.status.failure:
            texts.append(world.status.failure.message)
        for text in texts:
            assert not [pod for pod in world.pods if pod in text]
            assert not re.search(r"\b\d+( of |/)\d+\b", text)

    def test_stalled_says_what_the_failure_says(self):
        world = update_breaks()
        assert world.condition("Stalled").message == world.status.failure.message == "no such operator"
        assert world.status.failure.revision == world.candidate

    def test_conditions_that_were_never_true_are_left_out(self):
        assert [condition.type for condition in serving().status.conditions] == ["Ready", "Reconciling", "Stalled"]

    def test_one_that_was_true_stays_and_says_false(self):
        world = service_name_taken()
        world.refusals = {}
        world.look()
        assert told(world, "NameConflict") == "False AsExpected"
        assert told(world, "Ready") == "True Serving"

    def test_the_name_conflict_names_the_object(self):
        assert service_name_taken().condition("NameConflict").message == f"Service {NAME}: {CONFLICT.message}"

    def test_words_that_are_too_long_for_status_are_cut(self):
        world = story()
        world.refusals = {ChildKey(SERVICE, NAME): Refusal("NameConflict", "x" * 9000)}
        world.look()
        assert len(world.status.failure.message) <= 4096
        assert all(len(condition.message) <= 4096 for condition in world.status.conditions)


class TestTimes:
    def test_the_time_moves_when_the_status_flips(self):
        world = update()
        world.tick(60)
        world.settle()
        for kind in ("Reconciling",):
            assert world.condition(kind).last_transition_time > NOW

    def test_the_time_stays_when_only_reason_and_message_change(self):
        world = first_rollout_breaks()
        before = world.condition("Ready").last_transition_time
        world.tick(60)
        world.refusals = {ChildKey(SERVICE, NAME): QUOTA}
        world.look()
        assert world.condition("Ready").last_transition_time == before

    def test_the_same_picture_later_says_the_same(self):
        world = update()
        world.settle()
        world.tick(3600)
        assert world.plan().status == world.status


class TestEvents:
    def test_a_failure_is_told_when_it_comes_and_not_again(self):
        world = update_breaks()
        world.look()
        warnings = [happening for happening in world.happenings if happening.type == "Warning"]
        assert [(warning.reason, warning.message) for warning in warnings] == [("ModelLoadFailed", "no such operator")]

    def test_the_same_reason_in_other_words_is_not_told_again(self):
        world = over_quota()
        world.refusals = {
            key: Refusal(refusal.reason, "exceeded quota: q, used: 3") for key, refusal in world.refusals.items()
        }
        world.look()
        assert [happening.reason for happening in world.happenings] == ["QuotaExceeded"]

    def test_a_failure_that_ends_is_gone_from_status(self):
        world = update_breaks()
        world.settle()
        assert world.status.failure is None


class TestRest:
    def test_urls_are_those_of_the_service(self):
        assert serving().status.url == "http://fraud.ml.svc.cluster.local"
        grpc = story({"serving": {"container": {"image": "a", "port": 80, "protocol": "GRPC"}}})
        assert grpc.status.url == "grpc://fraud.ml.svc.cluster.local:9000"

    def test_there_is_no_url_before_there_is_a_service(self):
        assert born_paused().status.url is None

    def test_the_scale_subresource_finds_what_it_reads(self):
        status = serving().status
        assert status.replicas == 2
        assert status.selector == "modelway.dev/name=fraud,app.kubernetes.io/component=model-server"

    def test_a_spec_that_cannot_be_read_is_said_and_the_rest_is_left_as_it_was(self):
        before = serving().status
        status = invalid(7, before, "spec.model.uri: gone", now=NOW)
        assert status.stable == before.stable
        assert status.observed_generation == 7
        stalled = next(condition for condition in status.conditions if condition.type == "Stalled")
        assert (stalled.status, stalled.reason, stalled.message) == ("True", "InvalidSpec", "spec.model.uri: gone")
        assert {condition.type for condition in status.conditions} == {"Ready", "Reconciling", "Stalled"}

    def test_a_status_without_any_field_is_a_status(self):
        assert parsed().status.stable is None
