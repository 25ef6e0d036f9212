"""What a rollout concludes from pairs of answers and from Prometheus' counters, look by look."""

from dataclasses import replace

from modelway.plan.rollout.evidence import gather
from modelway.plan.rollout.ledger import content_of, ledger_from
from modelway.stats.paired import MOST_OF_A_LOOK
from support.routed import RoutedSimulation, rollout_spec

ANSWERS = {"name": "answers", "predictions": {"maxShift": "10%"}}
COPIES = {"name": "copies", "shadow": {"percent": "50%"}}
HALF = {"name": "half", "weight": 50}
CLASSES = {"yes": 0.3, "no": 0.7}
SELECTOR = 'answers_total{pod=~"$name-$revision-.*"}'
HAPPY = {
    "name": "happy",
    "prometheus": {"good": SELECTOR.replace("}", ',happy="yes"}'), "total": SELECTOR, "maxIncrease": "2%"},
}


def begun(*steps, checks, stable=None, candidate=None, **more):
    """Version 1 serves and has answered, version 2 is at its first step; how they behave is given."""
    world = RoutedSimulation(rollout_spec(rollout={"steps": list(steps), "checks": checks, **more}))
    world.settle_routed()
    world.behave(world.stable, **(stable or {}))
    world.period(700)
    world.edit(model__version="2")
    world.look()
    world.behave(world.candidate, **(candidate or {}))
    world.settle_routed()
    return world


def check_of(world):
    return world.status.rollout.checks[0]


class TestPairs:
    def mirrored(self, differs, *, classes=CLASSES, **more):
        return begun(
            COPIES, checks=[ANSWERS], stable={"classes": CLASSES}, candidate={"classes": classes, "differs": differs}
        )

    def test_answers_that_agree_promote(self):
        world = self.mirrored(0.01)
        second = world.candidate
        world.pass_until("Stable")
        assert world.stable == second
        assert world.served.get(second, 0) == 0 or world.weight_of(second) == 100
        assert world.lost == 0

    def test_pairs_decide_sooner_than_shares(self):
        """The shares of two classes take several hundred requests of each arm to be proven alike."""
        world = self.mirrored(0.0)
        for _ in range(20):
            if world.ledger is None or world.state != "Progressing":
                break
            world.period(60)
        assert world.status.history[0].result == "Promoted"
        assert 40 < world.mirrored < 150

    def test_answers_that_differ_hold_though_their_shares_are_the_same(self):
        """A candidate that swaps who gets which answer looks perfect to a comparison of shares."""
        world = self.mirrored(0.5, classes={"yes": 0.5, "no": 0.5})
        world.behave(world.stable, classes={"yes": 0.5, "no": 0.5})
        for _ in range(30):
            world.period(200)
            if world.reason == "CheckFailed":
                break
        assert (world.state, world.weight) == ("Holding", 0)
        assert "requests that both have answered, the class differs in" in world.status.rollout.message
        assert check_of(world).pairs.differing > 0.3 * check_of(world).pairs.pairs

    def test_a_burst_within_seconds_is_one_look_however_often_it_is_read(self):
        world = self.mirrored(1.0, classes={"yes": 0.5, "no": 0.5})
        world.behave(world.stable, classes={"yes": 0.5, "no": 0.5})
        for _ in range(9):
            world.requests(40)
            world.tick(0.5)
            world.read()
            world.run()
        paired = world.ledger.paired["answers"].disagreement
        assert paired.pairs > 0
        assert float(paired.log_harm) <= MOST_OF_A_LOOK
        assert world.state == "Progressing"
        world.period(0)
        assert world.ledger.paired["answers"].disagreement.pairs == world.mirrored, "those that came meanwhile wait"

    def test_status_tells_the_pairs(self):
        world = self.mirrored(0.1)
        for _ in range(8):
            world.period(40)
        pairs = check_of(world).pairs
        assert pairs.pairs > 50
        assert 0 < pairs.differing < 0.3 * pairs.pairs
        assert pairs.score_shift is None

    def test_a_killed_operator_counts_no_pair_twice(self):
        world = self.mirrored(0.1)
        for _ in range(12):
            world.restart_operator()
            world.settle_routed()
            world.period(50)
            paired = world.ledger.paired.get("answers")
            assert paired is None or paired.disagreement.pairs <= world.mirrored
        world.period(0, seconds=1)
        assert world.ledger.paired["answers"].disagreement.pairs >= 0.5 * world.mirrored

    def test_what_is_written_reads_as_it_was(self):
        world = self.mirrored(0.1)
        for _ in range(5):
            world.period(40)
        content = content_of(world.ledger)
        assert content_of(ledger_from(content)) == content
        assert world.ledger.rings


class TestReference:
    def test_the_maker_s_rows_choose_the_bins(self):
        world = begun(HALF, checks=[ANSWERS], stable={"classes": CLASSES}, candidate={"classes": CLASSES})
        reference = {"class:yes": 400, "class:no": 500, "class:maybe": 100}
        self.with_reference(world, reference)
        assert set(world.ledger.bins.classes) == {"yes", "no", "maybe"}

    def test_too_few_of_them_are_not_used(self):
        world = begun(HALF, checks=[ANSWERS], stable={"classes": CLASSES}, candidate={"classes": CLASSES})
        self.with_reference(world, {"class:maybe": 20})
        assert set(world.ledger.bins.classes) == {"yes", "no"}

    def with_reference(self, world, reference):
        servers = tuple(replace(one, reference=reference) for one in world.measured.servers)
        measured = replace(world.measured, servers=servers)
        bare = replace(world.ledger, bins=None, servers={}, routers={}, evidence={})
        world.ledger = gather(bare, measured, verified=True, now=world.now)


class TestPrometheus:
    def compared(self, unhappy, **more):
        return begun(HALF, checks=[HAPPY], stable={"unhappy": 0.05}, candidate={"unhappy": unhappy}, **more)

    def test_a_candidate_that_is_as_good_is_promoted(self):
        world = self.compared(0.05)
        second = world.candidate
        world.pass_until("Stable", periods=600)
        assert world.stable == second
        assert "all checks are Safe" in world.status.history[0].reason

    def test_a_candidate_that_is_worse_by_its_own_counters_is_rolled_back(self):
        world = self.compared(0.3)
        for _ in range(100):
            world.period(200)
            if world.status.history[0].result == "Rejected":
                break
        assert world.status.history[0].result == "Rejected"
        assert "were not good" in world.status.history[0].reason
        assert "allowed is 2% more" in world.status.history[0].reason

    def test_the_questions_are_for_both_revisions_and_this_namespace(self):
        world = self.compared(0.05)
        questions = sorted(world.last.measuring.questions)
        assert {one.revision for one in questions} == {world.stable, world.candidate}
        for one in questions:
            assert one.total == f'answers_total{{pod=~"fraud-{one.revision}-.*",namespace="ml"}}'
            assert one.good == f'answers_total{{pod=~"fraud-{one.revision}-.*",happy="yes",namespace="ml"}}'

    def test_prometheus_down_holds_says_so_and_goes_on_afterwards(self):
        world = self.compared(0.05, maxDuration="30m")
        world.period(200)
        world.metrics_failure = "check happy: Prometheus cannot be asked: connection refused"
        for _ in range(30):
            world.period(200)
        assert (world.state, world.reason, world.weight) == ("Holding", "SourceDown", 50)
        assert "Prometheus cannot be asked: connection refused" in world.status.rollout.message
        assert check_of(world).verdict == "SourceDown"
        before = world.ledger.counted
        world.period(200)
        assert world.ledger.counted == before, "it does not count towards maxDuration"
        world.metrics_failure = ""
        world.pass_until("Stable", periods=600)
        assert world.status.history[0].result == "Promoted"

    def test_a_selector_of_nothing_is_no_evidence(self):
        world = self.compared(0.05)
        world.is_scraped = False
        for _ in range(40):
            world.period(200)
        assert (world.state, world.reason) == ("Holding", "NoData")
        assert "Prometheus has nothing for answers_total{" in world.status.rollout.message

    def test_a_stable_revision_of_which_nothing_is_good_tells_of_a_wrong_selector(self):
        """Else both would seem to be equally bad, and so the candidate Safe."""
        world = begun(HALF, checks=[HAPPY], stable={"unhappy": 1.0}, candidate={"unhappy": 1.0})
        for _ in range(40):
            world.period(200)
        assert (world.state, world.reason) == ("Holding", "SourceDown")
        assert "of the stable revision, and none is good" in world.status.rollout.message

    def test_nothing_counts_twice_and_nothing_before_the_weight_was_live(self):
        world = self.compared(0.05)
        served = {revision: world.served.get(revision, 0) for revision in (world.stable, world.candidate)}
        for _ in range(30):
            world.restart_operator()
            world.settle_routed()
            world.period(100)
            found = world.ledger.evidence.get("happy")
            pending = world.ledger.pending.get("happy")
            for arm, revision in (("candidate", world.candidate), ("stable", world.stable)):
                counted = int(getattr(found, arm).requests) if found is not None else 0
                counted += getattr(pending, arm)[0] if pending is not None else 0
                assert counted <= world.served.get(revision, 0) - served[revision] + 100
            if world.candidate is None:
                break
        assert found is not None

    def test_what_is_written_reads_as_it_was(self):
        world = self.compared(0.05)
        for _ in range(3):
            world.period(200)
        content = content_of(world.ledger)
        assert world.ledger.metrics
        assert content_of(ledger_from(content)) == content
