"""How a rollout goes: from the first pod of a candidate to its promotion, its rejection, or a human's word."""

import pytest

from modelway.api.kinds import CONFIG_MAP, DEPLOYMENT, SERVICE
from modelway.api.names import unready_name
from modelway.plan import ChildKey
from modelway.plan.pods import DRAIN_SECONDS
from modelway.plan.rollout.decide import position
from support.builders import DIGEST, NAME
from support.routed import ERRORS, STEPS, RoutedSimulation, begun, rollout_spec
from support.simulation import deployment_key


def with_steps(*steps, **more):
    """A spec with these steps and no other, and `more` beside them in `rollout`."""
    return rollout_spec(rollout={"steps": list(steps), **more})


def counts_of(world):
    """Requests that were counted as the candidate's and as the stable revision's."""
    found = world.ledger.evidence["errors"]
    return int(found.candidate.requests), int(found.stable.requests)


def evidence(world):
    return world.children.get(ChildKey(CONFIG_MAP, f"{NAME}-evidence"))


class TestSteps:
    def test_the_first_weight_waits_for_the_pods(self):
        world = RoutedSimulation()
        world.settle_routed()
        world.edit(model__version="2")
        world.look()
        world.run_deployments()
        world.look()
        assert (world.state, world.reason, world.weight) == ("Progressing", "NewRevision", 0)
        assert world.weight_of(world.candidate) == 0

    def test_the_first_weight_waits_until_the_routers_know_the_candidate(self):
        world = RoutedSimulation()
        world.settle_routed()
        world.edit(model__version="2")
        for _ in range(5):
            world.run()  # pods get ready, but no router reads its files
        assert (world.step, world.weight) == ("five", 0)
        world.settle_routed()
        assert (world.weight, world.weight_of(world.candidate)) == (5, 5)

    @pytest.mark.parametrize("fields", [{}, {"rollout": None, "traffic": {"router": "Envoy"}}], ids=["steps", "none"])
    def test_no_request_goes_to_a_candidate_until_the_routers_have_found_its_pods(self, fields):
        world = RoutedSimulation(rollout_spec(**fields))
        world.settle_routed()
        world.dns_lags = True
        world.edit(model__version="2")
        for _ in range(10):
            world.period(20)
            world.take_files()
        assert (world.weight_of(world.candidate), world.lost) == (0, 0)
        assert world.candidate is not None
        world.dns_lags = False
        for _ in range(4):
            world.period(100)
        assert len(world.served) == 2, "both have answered"
        assert world.lost == 0

    def test_a_candidate_that_is_compared_has_two_pods(self):
        world = begun()
        assert world.replicas(world.candidate) == 2
        assert world.replicas(world.stable) == 2

    @pytest.mark.parametrize(("weight", "pods"), [(5, 1), (25, 3), (50, 5), (100, 10)])
    def test_without_checks_it_has_as_many_as_its_weight_needs(self, weight, pods):
        steps = {"name": "only", "weight": weight}, {"name": "wait", "pause": {}}
        world = begun(with_steps(*steps) | {"serving": {"replicas": 10}})
        assert world.replicas(world.candidate) == pods
        assert world.replicas(world.stable) == 10, "a rollback finds its capacity"

    def test_a_weight_rises_through_the_steps_to_the_promotion(self):
        world = begun()
        first, second = world.stable, world.candidate
        seen = []
        for _ in range(30):
            seen.append(world.weight)
            world.period(200)
            if world.candidate is None:
                break
        assert sorted(set(seen)) == [5, 25, 50]
        assert (world.stable, world.state) == (second, "Stable")
        assert world.weight_of(second) == 100
        assert world.lost == 0
        assert world.status.history[0].replaced == first
        assert "all checks are Safe" in world.status.history[0].reason
        told = [happening.reason for happening in world.happenings[1:]]
        assert told == ["RolloutStep", "RolloutStep", "RolloutStep", "Promoted"]

    def test_the_beginning_costs_few_writes_and_evidence_is_written_once_in_it(self):
        """At most 12 until the first step, with two routers, whose files change once; its pods take longer than they."""
        world = RoutedSimulation(rollout_spec(serving__replicas=4, model__digest=DIGEST))
        world.settle_routed()
        already = len(world.writes)
        world.edit(model__version="2")
        written: list[str] = []
        for turn in range(20):
            world.run(ready=turn > 5)
            if world.step is not None:
                break
            written = world.writes[already:]
            world.take_files()
            world.read()
            world.tick(0.5)
        assert world.step == "five"
        assert len(written) <= 12, written
        assert sum("evidence" in write for write in written) == 1, written
        assert sum(write.startswith("touch") for write in written) == 2, written

    def test_a_step_costs_few_writes(self):
        """At most 12 for a step, with two routers, besides the evidence of each half minute."""
        world = begun(rollout_spec(serving__replicas=8))
        second = world.candidate
        for _ in range(10):
            already, step = len(world.writes), world.step
            world.period(200)
            world.period(0, seconds=1)
            if world.step != step and world.candidate == second:
                assert len(world.writes[already:]) <= 12, world.writes[already:]
                break
        else:
            pytest.fail("no step has ended")

    def test_a_step_lasts_as_long_as_it_says(self):
        world = begun(with_steps({"name": "five", "weight": 5, "minDuration": "2m"}, {"name": "half", "weight": 50}))
        began = world.now
        for _ in range(20):
            if world.step != "five":
                break
            world.period(50)
        assert 119 <= (world.now - began).total_seconds() <= 135

    def test_a_step_lasts_until_it_has_had_its_requests(self):
        steps = {"name": "five", "weight": 5, "minRequests": 100}, {"name": "half", "weight": 50}
        world = begun(with_steps(*steps))
        second = world.candidate
        for _ in range(20):
            if world.step != "five":
                break
            served = world.served.get(second, 0)
            world.period(200)
        assert served < 100 <= world.served[second]

    def test_no_requests_are_no_evidence(self):
        world = begun()
        for _ in range(12):
            world.period(0)
        assert (world.state, world.reason, world.step, world.weight) == ("Holding", "NoData", "five", 5)
        assert world.condition("Stalled").status == "False"

    def test_a_pause_keeps_the_weight_and_ends_by_itself(self):
        steps = {"name": "five", "weight": 5}, {"name": "rest", "pause": {"duration": "5m"}}
        world = begun(with_steps(*steps))
        world.period(100)
        assert (world.state, world.reason, world.step, world.weight) == ("Paused", "AwaitingTime", "rest", 5)
        assert world.condition("Reconciling").status == "False"
        assert 0 < world.plan().look_again_after <= 300
        world.tick(301)
        world.settle_routed()
        assert world.candidate is None

    def test_a_preview_has_no_requests_until_it_is_approved(self):
        steps = {"name": "look", "preview": {}}, {"name": "all", "weight": 100}
        world = begun(with_steps(*steps))
        world.period(100)
        assert (world.state, world.reason, world.weight) == ("Paused", "AwaitingApproval", 0)
        second = world.candidate
        assert world.served.get(second, 0) == 0
        world.annotate(approve=f"{second}/look")
        world.settle_routed()
        assert (world.stable, world.lost) == (second, 0)

    def test_copies_of_requests_reach_the_candidate_and_its_answers_nobody(self):
        steps = {"name": "shadow", "shadow": {"percent": "20%"}, "minRequests": 100}, {"name": "five", "weight": 5}
        world = begun(with_steps(*steps, checks=[ERRORS]))
        second = world.candidate
        world.period(1000)
        assert world.served.get(second, 0) == 0
        assert world.status.rollout.checks[0].name == "errors"
        world.period(1000)
        assert world.step == "five"

    def test_an_edit_of_the_steps_counts_for_the_next_rollout(self):
        world = begun()
        world.edit(rollout={"steps": [{"name": "all", "weight": 100}]})
        for _ in range(2):
            world.period(100)
        assert world.step in {"quarter", "half"}


def told_of_harm(world):
    """What the Event says."""
    return next(one.message for one in world.happenings if one.reason == "CheckFailed")


class TestHarm:
    def test_a_candidate_that_fails_more_is_rolled_back(self):
        world = begun()
        first, second = world.stable, world.candidate
        world.behave(second, errors=0.2)
        world.pass_until("Rejected")
        assert (world.stable, world.candidate) == (first, None)
        assert world.weight_of(second) == 0
        assert world.lost == 0
        assert world.status.history[0].result == "Rejected"
        assert "errors: " in world.status.history[0].reason
        assert world.condition("Ready").status == "True"
        assert (world.condition("Stalled").status, world.condition("Stalled").reason) == ("True", "CheckFailed")
        assert world.condition("Reconciling").status == "False"

    def test_requests_leave_the_candidate_before_its_pods_do(self):
        world = begun()
        second = world.candidate
        world.behave(second, errors=0.5)
        world.pass_until("RollingBack")
        assert world.replicas(second) > 0
        began = world.now
        for _ in range(40):
            if world.replicas(second) == 0:
                break
            assert world.candidate in {second, None}
            world.period(50, seconds=1)
        assert (world.now - began).total_seconds() >= DRAIN_SECONDS - 1
        assert world.lost == 0

    def test_the_decision_is_written_before_the_routers_change(self):
        world = begun(with_steps({"name": "half", "weight": 50, "minDuration": "1h"}, checks=[ERRORS]))
        world.behave(world.candidate, errors=0.5)
        for _ in range(20):
            world.requests(200)
            world.tick(10)
            world.read()
            already = len(world.writes)
            world.look()
            if world.state == "RollingBack":
                break
        assert world.writes[already] == "status"
        assert f"change ConfigMap {NAME}-router" in world.writes[already:]

    @pytest.mark.parametrize("check", [ERRORS | {"onHarm": "Hold"}], ids=["onHarm: Hold"])
    def test_a_check_that_only_holds_takes_the_weight_off_and_waits_for_a_human(self, check):
        world = begun(rollout_spec(rollout={"steps": STEPS, "checks": [check]}))
        second = world.candidate
        world.behave(second, errors=0.3)
        world.pass_until("Holding")
        for _ in range(3):
            world.period(200)
        assert (world.candidate, world.reason, world.weight) == (second, "CheckFailed", 0)
        assert (world.condition("Stalled").status, world.condition("Ready").status) == ("True", "True")
        world.restart_operator()
        world.period(200)
        assert (world.state, world.weight) == ("Holding", 0)
        world.annotate(promote=second)
        world.settle_routed()
        assert world.stable == second

    def test_a_slow_candidate_is_rolled_back(self):
        check = {"name": "slow", "latency": {"threshold": "250ms", "maxIncrease": "2%"}}
        world = begun(rollout_spec(rollout={"steps": STEPS, "checks": [check]}))
        world.behave(world.candidate, slow=0.3)
        world.pass_until("Rejected")
        assert "slow: " in world.status.history[0].reason

    def test_nonsense_with_status_200_is_caught_by_its_distribution(self):
        check = {"name": "answers", "predictions": {"maxShift": "10%"}, "onHarm": "Rollback"}
        world = RoutedSimulation(rollout_spec(rollout={"steps": STEPS, "checks": [check]}))
        world.settle_routed()
        world.behave(world.stable, classes={"fraud": 0.1, "fine": 0.9})
        world.period(1000)
        world.edit(model__version="2")
        world.settle_routed()
        world.behave(world.candidate, classes={"fraud": 0.9, "fine": 0.1})
        world.pass_until("Rejected")
        assert "answers: " in world.status.history[0].reason

    def test_sticky_requests_decide_nothing_without_a_human(self):
        world = begun(rollout_spec(traffic={"sticky": {"header": "x-user-id"}}))
        second = world.candidate
        world.behave(second, errors=0.5)
        world.pass_until("Holding")
        assert (world.candidate, world.reason, world.weight) == (second, "CheckFailed", 0)
        assert "it is not rolled back by itself: it gets no requests until a human decides" in told_of_harm(world)
        world.period(200)
        assert "until a human decides" in world.condition("Stalled").message, "it is said as long as it holds"

    def test_sticky_and_safe_waits_for_a_human(self):
        world = begun(rollout_spec(traffic={"sticky": {"header": "x-user-id"}}))
        second = world.candidate
        world.pass_until("Holding")
        assert (world.reason, world.weight, world.candidate) == ("AwaitingDecision", 50, second)
        world.annotate(promote=second)
        world.settle_routed()
        assert world.stable == second

    def test_sticky_without_checks_needs_nobody(self):
        world = begun(with_steps({"name": "five", "weight": 5}) | {"traffic": {"sticky": {"header": "x-user-id"}}})
        assert (world.candidate, world.state, world.status.stable.version) == (None, "Stable", "2")
        assert world.status.history[0].reason == "all steps are done, and there are no checks: nothing was compared"

    @pytest.mark.parametrize(
        ("traffic", "told"),
        [
            ({}, "there are no checks: nothing is compared, and it goes on by time and requests alone"),
            (
                {"traffic": {"sticky": {"header": "x-user-id"}}},
                "there are no checks: the same users stay with the candidate, and nothing compares what they get",
            ),
        ],
        ids=["any", "sticky"],
    )
    def test_without_checks_it_says_what_that_means_while_it_lasts(self, traffic, told):
        world = begun(with_steps({"name": "five", "weight": 5, "minDuration": "5m"}) | traffic)
        for _ in range(8):
            world.period(200)
        assert world.status.rollout.message.startswith("step five: ")
        assert told in world.status.rollout.message

    def test_containers_that_end_three_times_are_enough(self):
        world = begun(with_steps({"name": "five", "weight": 5}, {"name": "wait", "pause": {}}))
        second = world.candidate
        for _ in range(3):
            world.crash(world.pods_of(second)[0])
            world.period(20)
        world.pass_until("Rejected")
        assert world.status.history[0].reason.startswith("Crashing: ")

    def test_containers_that_a_node_has_lost_are_not_held_against_it(self):
        world = begun(with_steps({"name": "five", "weight": 5}, {"name": "wait", "pause": {}}))
        for _ in range(5):
            world.crash(world.pods_of(world.candidate)[0], reason="ContainerStatusUnknown")
            world.period(20)
        assert world.candidate is not None


class TestRejected:
    @pytest.fixture
    def world(self):
        world = begun()
        world.behave(world.candidate, errors=0.5)
        world.pass_until("Rejected")
        return world

    def test_it_stays_rejected(self, world):
        revision = world.status.rollout.revision
        for _ in range(3):
            world.period(100)
            world.restart_operator()
        assert (world.state, world.candidate, world.status.rollout.revision) == ("Rejected", None, revision)

    def test_it_stays_rejected_when_the_history_has_forgotten_it(self, world):
        rejected = world.status.rollout.revision
        for number in range(11):
            world.edit(model__version=f"other-{number}")
            world.look()
            world.edit(model__version="2")
            world.settle_routed()
        assert rejected not in {entry.revision for entry in world.status.history if entry.result == "Rejected"}
        assert (world.state, world.candidate) == ("Rejected", None)

    def test_a_higher_retry_tries_it_again_once(self, world):
        rejected = world.status.rollout.revision
        world.annotate(retry=f"{rejected}#1")
        world.settle_routed()
        assert world.candidate == rejected
        world.pass_until("Rejected")
        for _ in range(3):
            world.period(100)
        assert world.candidate is None
        assert world.status.history[0].attempt == 1

    def test_another_spec_is_tried(self, world):
        world.edit(model__version="3")
        world.settle_routed()
        assert world.candidate is not None
        assert world.state == "Progressing"

    def test_going_back_to_the_spec_that_serves_is_stable(self, world):
        world.edit(model__version="1")
        world.settle_routed()
        assert world.state == "Stable"
        assert world.condition("Stalled").status == "False"


class TestWithoutRouters:
    def test_who_does_away_with_steps_and_routers_gets_the_candidate_when_it_is_ready(self):
        world = begun()
        second = world.candidate
        world.edit(rollout=None, traffic={"router": "Service"})
        world.settle_routed()
        assert (world.stable, world.front, world.lost) == (second, second, 0)

    def test_all_pods_of_a_revision_have_a_name_as_long_as_there_are_routers_that_ask_for_it(self):
        world = begun()

        def names():
            services = {key.name: body["spec"] for key, body in world.children.items() if key.kind == SERVICE}
            return {name for name, spec in services.items() if spec.get("publishNotReadyAddresses")}

        assert names() == {unready_name(NAME, revision) for revision in (world.stable, world.candidate)}
        world.edit(rollout=None, traffic={"router": "Service"})
        world.settle_routed()
        assert names() == set()

    def test_routers_without_steps_move_all_requests_at_once(self):
        world = RoutedSimulation(rollout_spec(rollout=None, traffic={"router": "Envoy"}))
        world.settle_routed()
        world.period(50)
        world.edit(model__version="2")
        world.settle_routed()
        world.period(50)
        assert world.weight_of(world.stable) == 100
        assert (world.candidate, world.state, world.lost) == (None, None, 0)
        assert world.status.history[0].reason == "all pods are ready"


class TestHold:
    def test_pods_stay_when_a_check_takes_the_weight_off(self):
        """Until the routers have taken it, they still send requests."""
        steps = {"name": "half", "weight": 50, "minDuration": "1h"}
        world = begun(with_steps(steps, checks=[ERRORS | {"onHarm": "Hold"}]) | {"serving": {"replicas": 8}})
        second = world.candidate
        assert world.replicas(second) == 4
        world.behave(second, errors=0.5)
        world.pass_until("Holding")
        assert world.replicas(second) == 4


class TestStart:
    def test_a_candidate_that_cannot_load_is_rejected_in_time_and_had_no_request(self):
        world = RoutedSimulation(rollout_spec(serving__startupTimeout="30s"))
        world.settle_routed()
        world.edit(model__version="2")
        world.look()
        world.run_deployments()
        second = world.candidate
        for name in world.pods_of(second):
            world.break_down(name)
        world.run_deployments()
        world.look()
        assert (world.state, world.condition("Stalled").reason) == ("Progressing", "ModelLoadFailed")
        world.tick(89)
        world.look()
        assert world.candidate == second
        world.tick(1)
        world.look()
        world.look()
        assert (world.state, world.candidate, world.served.get(second, 0)) == ("Rejected", None, 0)
        assert world.status.history[0].reason == "ModelLoadFailed: no such operator"
        assert world.condition("Stalled").reason == "ModelLoadFailed"
        world.settle_routed()
        assert world.replicas(second) == 0

    def test_missing_capacity_holds_and_rejects_nobody(self):
        world = RoutedSimulation(rollout_spec(serving__startupTimeout="30s"))
        world.settle_routed()
        world.edit(model__version="2")
        world.look()
        world.run_deployments()
        for name in world.pods_of(world.candidate):
            full = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node fits"}
            world._set_status(name, conditions=[{"type": "Ready", "status": "False"}, full])
        world.run_deployments()
        world.tick(10_000)
        world.look()
        assert world.candidate is not None
        assert (world.condition("Stalled").status, world.condition("Stalled").reason) == ("True", "Unschedulable")

    def test_without_pods_to_compare_with_nothing_is_rolled_out(self):
        world = RoutedSimulation(rollout_spec())
        world.settle_routed()
        world.edit(serving__replicas=0)
        world.settle_routed()
        world.edit(model__version="2")
        world.settle_routed()
        assert (world.state, world.reason) == ("Holding", "ScaledToZero")
        world.edit(serving__replicas=2)
        world.settle_routed()
        assert world.step == "five"


class TestHumans:
    def test_abort_rolls_back(self):
        world = begun()
        first, second = world.stable, world.candidate
        world.annotate(abort=second)
        world.pass_until("Rejected")
        assert (world.stable, world.status.history[0].reason.split(":")[0]) == (first, "Aborted")

    def test_promote_takes_it_at_once_and_loses_no_request(self):
        world = begun()
        second = world.candidate
        world.annotate(promote=second)
        for _ in range(3):
            world.period(100)
        assert (world.stable, world.lost) == (second, 0)

    def test_an_annotation_of_an_earlier_revision_does_nothing(self):
        world = begun()
        world.annotate(promote=world.stable, abort=world.stable, approve=f"{world.stable}/five")
        world.period(10)
        assert world.candidate is not None
        assert world.condition("InvalidAnnotation") is None

    @pytest.mark.parametrize(
        ("annotation", "words"),
        [
            ({"approve": "00000000"}, "there is no revision 00000000"),
            ({"promote": "v2"}, "does not read <revision>"),
            ({"retry": "00000000#x"}, "does not read <revision>#<number>"),
        ],
        ids=["unknown revision", "no revision", "no number"],
    )
    def test_what_cannot_be_acted_on_is_said(self, annotation, words):
        world = begun()
        world.annotate(**annotation)
        world.look()
        found = world.condition("InvalidAnnotation")
        assert (found.status, found.reason) == ("True", "UnknownRevision")
        assert words in found.message

    def test_an_approval_of_an_unknown_step_is_said(self):
        world = begun()
        world.annotate(approve=f"{world.candidate}/fife")
        world.look()
        assert "has no step fife" in world.condition("InvalidAnnotation").message

    def test_paused_stands_still_and_still_protects(self):
        world = begun()
        world.edit(paused=True)
        for _ in range(3):
            world.period(100)
        assert (world.state, world.step, world.weight) == ("Paused", "five", 5)
        world.behave(world.candidate, errors=1.0)
        for _ in range(15):
            world.period(400)
        assert world.candidate is None
        world.edit(paused=None)
        world.settle_routed()
        assert world.state == "Rejected"


class TestNewSpec:
    def test_weight_goes_to_zero_before_the_candidate_changes(self):
        world = begun()
        first, second = world.stable, world.candidate
        world.period(200)
        world.edit(model__version="3")
        world.look()
        assert (world.candidate, world.state, world.weight) == (second, "RollingBack", 0)
        for _ in range(40):
            if world.candidate != second:
                break
            world.period(50, seconds=1)
        assert world.weight_of(second) == 0
        assert world.candidate not in {first, second}
        assert [entry.result for entry in world.status.history[:1]] == ["Superseded"]
        world.pass_until("Stable")
        assert world.lost == 0

    def test_going_back_to_the_stable_spec_takes_the_candidate_off(self):
        world = begun()
        first = world.stable
        world.edit(model__version="1")
        for _ in range(3):
            world.period(100)
        assert (world.stable, world.candidate, world.state, world.lost) == (first, None, "Stable", 0)

    def test_back_to_a_revision_that_was_promoted_needs_no_checks(self):
        world = begun()
        first = world.stable
        world.pass_until("Stable")
        world.edit(model__version="1")
        world.settle_routed()
        assert (world.stable, world.lost) == (first, 0)


class TestWatch:
    @pytest.fixture
    def world(self):
        world = begun(rollout_spec(rollout={"steps": STEPS, "checks": [ERRORS], "watchAfter": "1h"}))
        world.pass_until("Stable")
        return world

    def test_the_old_revision_stays_warm(self, world):
        old = world.status.history[0].replaced
        world.tick(DRAIN_SECONDS + 1)
        world.settle_routed()
        assert world.replicas(old) == 2
        world.tick(3600)
        world.settle_routed()
        assert world.replicas(old) == 0
        assert evidence(world) is None

    def test_a_promoted_revision_that_crashes_gives_way_to_the_one_before(self, world):
        new, old = world.stable, world.status.history[0].replaced
        world.period(100)
        for _ in range(3):
            world.crash(world.pods_of(new)[0])
            world.period(50)
        for _ in range(3):
            world.period(50)
        assert (world.stable, world.candidate, world.state) == (old, None, "Rejected")
        assert world.status.rollout.revision == new
        assert world.lost == 0

    def test_a_restarted_operator_goes_on_watching(self, world):
        new, old = world.stable, world.status.history[0].replaced
        world.period(100)
        for _ in range(2):
            world.crash(world.pods_of(new)[0])
            world.period(50)
        world.restart_operator()
        world.period(50)
        world.crash(world.pods_of(new)[0])
        for _ in range(4):
            world.period(50)
        assert world.stable == old


class TestSource:
    def test_counters_that_cannot_be_read_decide_nothing_and_are_told(self):
        world = begun()
        silent = next(name for name in world.pods if name.startswith(f"{NAME}-router"))
        for _ in range(8):
            world.requests(300)
            world.tick(10)
            world.read(without=silent)
            world.run()
        assert (world.state, world.reason, world.step, world.weight) == ("Holding", "SourceDown", "five", 5)
        world.tick(60)
        world.read(without=silent)
        world.run()
        assert "no answer within 2 s" in world.status.rollout.message
        world.pass_until("Stable")

    def test_maxduration_does_not_pass_while_nothing_can_be_measured(self):
        world = begun(rollout_spec(rollout={"steps": STEPS, "checks": [ERRORS], "maxDuration": "3m"}))
        for _ in range(40):
            world.requests(10)
            world.tick(10)
            world.read(without=next(name for name in world.pods if name.startswith(f"{NAME}-router")))
            world.run()
        assert world.reason == "SourceDown"

    @pytest.mark.parametrize(
        ("asked", "state", "reason"),
        [(None, "Holding", "Inconclusive"), ("Rollback", "Rejected", "Inconclusive")],
        ids=["Hold", "Rollback"],
    )
    def test_an_inconclusive_end(self, asked, state, reason):
        rollout = {"steps": STEPS, "checks": [ERRORS], "maxDuration": "3m"}
        world = begun(rollout_spec(rollout=rollout | ({"onInconclusive": asked} if asked else {})))
        for _ in range(30):
            world.period(2)
        assert (world.state, world.reason) == (state, reason)
        assert world.condition("Stalled").status == "True"


class TestRestart:
    def test_a_restart_at_any_look_changes_nothing_and_doubles_nothing(self):
        given = with_steps({"name": "five", "weight": 5, "minDuration": "1h"}, checks=[ERRORS])
        calm, shaken = begun(given), begun(given)
        for _ in range(9):
            for world in (calm, shaken):
                world.period(300)
            shaken.restart_operator()
            shaken.look()
        for world in (calm, shaken):
            world.period(300)
        assert shaken.served == calm.served
        assert counts_of(shaken) == counts_of(calm) != (0, 0)
        assert position(shaken.status.rollout) == position(calm.status.rollout)

    def test_the_evidence_is_written_at_decisions_and_every_half_minute_at_most(self):
        world = begun(with_steps({"name": "five", "weight": 5, "minDuration": "30m"}, checks=[ERRORS]))
        already = len(world.writes)
        for _ in range(60):
            world.period(100)
        written = [write for write in world.writes[already:] if "evidence" in write]
        assert 15 <= len(written) <= 21
        statuses = [write for write in world.writes[already:] if write == "status"]
        assert len(statuses) <= 12

    def test_evidence_of_another_format_begins_again_and_promotes_nobody(self):
        world = begun(with_steps({"name": "five", "weight": 5, "minDuration": "2m"}, checks=[ERRORS]))
        for _ in range(8):
            world.period(1000)
        key = ChildKey(CONFIG_MAP, f"{NAME}-evidence")
        world.children[key] = world.children[key] | {"data": {"ledger": '{"format": 99}'}}
        world.restart_operator()
        world.look()
        assert world.ledger.evidence == {}
        assert world.candidate is not None

    def test_evidence_that_somebody_edits_is_put_back(self):
        world = begun()
        key = ChildKey(CONFIG_MAP, f"{NAME}-evidence")
        before = evidence(world)["data"]
        world.children[key] = world.children[key] | {"data": {"ledger": "{}"}}
        world.look()
        assert evidence(world)["data"] == before


class TestAutoscaling:
    def test_both_arms_have_an_autoscaler_with_a_floor(self):
        autoscaling = {"minReplicas": 2, "maxReplicas": 20}
        given = rollout_spec(serving__autoscaling=autoscaling, serving__replicas=None)
        world = RoutedSimulation(given)
        world.settle_routed()
        world.autoscale(8)
        world.settle_routed()
        world.edit(model__version="2")
        world.settle_routed()
        floors = {
            key.name: obj["spec"]["minReplicas"] for key, obj in world.children.items() if "Autoscaler" in key.kind.name
        }
        assert floors == {f"{NAME}-{world.stable}": 8, f"{NAME}-{world.candidate}": 2}
        world.pass_until("Stable")
        world.settle_routed()
        assert world.replicas(world.stable) >= 8
        assert world.names(DEPLOYMENT)


def test_the_stable_deployment_is_rebuilt_in_the_middle():
    world = begun()
    world.delete(deployment_key(world.stable))
    world.settle_routed()
    assert world.replicas(world.stable) == 2
    assert world.candidate is not None


def test_requests_that_find_no_pod_of_the_stable_revision_are_not_held_against_it():
    world = begun(with_steps({"name": "half", "weight": 50, "minDuration": "1h"}, checks=[ERRORS]))
    world.period(400)
    for name in world.pods_of(world.stable):
        world.break_down(name)
    world.requests(400)
    world.tick(10)
    world.read()
    world.look()
    assert world.lost > 100
    evidence = world.ledger.evidence["errors"]
    assert (int(evidence.stable.bad), int(evidence.candidate.bad)) == (0, 0)
    assert 100 < int(evidence.stable.requests) < int(evidence.candidate.requests)


def test_an_orphan_that_is_told_before_the_request_it_was_doubles_no_evidence():
    """Envoy's counters are read one after the other while it goes on counting."""
    world = begun(with_steps({"name": "half", "weight": 50, "minDuration": "1h"}, checks=[ERRORS]))
    world.period(400)
    before = world.ledger.evidence["errors"]
    for router in world.routers.values():
        router.counted[world.stable][-1] += 1
    world.tick(10)
    world.read()
    world.look()
    after = world.ledger.evidence["errors"]
    assert int(after.stable.requests) == int(before.stable.requests)
    assert int(after.candidate.requests) == int(before.candidate.requests)


def test_a_pod_that_breaks_down_at_a_live_weight_is_told_and_stops_nothing():
    world = begun(with_steps({"name": "five", "weight": 5, "minDuration": "1h"}))
    world.period(100)
    world.break_down(world.pods_of(world.candidate)[0])
    world.run_deployments()
    world.look()
    assert world.reason == "Baking"
    assert "no such operator" in world.status.failure.message
    assert world.condition("Stalled").status == "False"


@pytest.mark.parametrize("word", ["abort", "promote"])
def test_the_history_keeps_the_numbers_when_a_human_decides(word):
    world = begun(with_steps({"name": "five", "weight": 5, "minDuration": "1h"}, checks=[ERRORS]))
    second = world.candidate
    world.period(400)
    world.annotate(**{word: second})
    world.settle_routed()
    entry = next(entry for entry in world.status.history if entry.revision == second)
    assert f"annotation modelway.dev/{word}; errors: 0 of " in entry.reason
