"""The check `feedback`: which labels count, for whom, and what a rollout makes of them before a promotion and after."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from modelway.api.rollout import Feedback, Rollout
from modelway.plan.measured import LabelReading, Measured, PodKey
from modelway.plan.rollout import labels
from modelway.plan.rollout.evidence import gather_labels
from modelway.plan.rollout.labels import Windows, bad_in
from modelway.plan.rollout.ledger import Ledger, content_of, ledger_from
from modelway.stats import Verdict
from modelway.stats.quality_counts import Labelled, Place
from modelway.stats.quality_figures import mark_of
from support.builders import NOW
from support.routed import RoutedSimulation, rollout_spec

RIGHT = {"name": "right", "feedback": {"metric": "accuracy", "maxDecrease": "5%"}}
HALF = {"name": "half", "weight": 50}
RULES = Rollout.model_validate({"steps": [HALF], "checks": [RIGHT]})
POD = PodKey("fraud-1", "uid-1")
QUALITY = {"metric": "accuracy", "min": 0.5, "window": "60s"}


def judged(check=RIGHT, *, steps=(HALF,), stable=0.1, candidate=0.1, seed=1, fields=None, **rollout):
    """Version 1 serves, version 2 is at its first step; labels say how often each is wrong."""
    asked = {"steps": list(steps), "checks": [check], **rollout}
    given = rollout_spec(rollout=asked, monitoring__quality=QUALITY, **(fields or {}))
    world = RoutedSimulation(given, seed=seed)
    world.settle_routed()
    world.behave(world.stable, wrong=stable)
    world.period(300)
    world.edit(model__version="2")
    world.look()
    world.behave(world.candidate, wrong=candidate)
    world.settle_routed()
    return world


def counted(ledger, arm):
    """Labelled rows of one arm that are evidence, or wait to be."""
    found = ledger.evidence.get("right")
    place = ("candidate", "stable").index(arm) + 1
    waiting = sum(one[place][0] for one in ledger.pending.values())
    return waiting + (int(getattr(found, arm).requests) if found is not None else 0)


class TestDecisions:
    def test_a_candidate_that_is_right_as_often_is_promoted(self):
        world = judged()
        second = world.candidate
        world.pass_until("Stable", periods=200)
        assert world.stable == second
        assert "all checks are Safe" in world.status.history[0].reason

    def test_one_that_is_wrong_more_often_is_rolled_back_with_the_numbers(self):
        world = judged(candidate=0.4)
        world.pass_until("Rejected", periods=100)
        reason = world.status.history[0].reason
        assert "right: " in reason
        assert "labelled rows (4" in reason or "labelled rows (3" in reason
        assert "were wrong, of the stable revision's" in reason
        assert "allowed is 5% more" in reason

    def test_it_can_hold_instead(self):
        world = judged({**RIGHT, "onHarm": "Hold"}, candidate=0.4)
        for _ in range(100):
            world.period(200)
            if world.reason == "CheckFailed":
                break
        assert (world.state, world.reason, world.weight) == ("Holding", "CheckFailed", 0)
        before = world.ledger.compared
        for _ in range(20):
            world.period(50)
        assert world.ledger.compared == before, "the candidate answers nobody any more"

    def test_another_world_at_another_weight_is_no_harm(self):
        """At 5 % nearly all are right and at 50 % half: of all labels together the candidate's are far worse."""
        steps = [{"name": "five", "weight": 5, "minDuration": "10m"}, HALF, {"name": "look", "pause": {}}]
        world = judged(steps=steps, stable=0.0, candidate=0.0)
        for _ in range(100):
            if world.step != "five":
                break
            world.period(200)
        world.behave(world.stable, wrong=0.5)
        world.behave(world.candidate, wrong=0.5)
        for _ in range(60):
            world.period(200)
            assert world.ledger.verdicts.get("right") is not Verdict.HARMFUL
        seen = world.ledger.evidence["right"]
        share = [int(arm.bad) / int(arm.requests) for arm in (seen.candidate, seen.stable)]
        assert share[0] > share[1] + 0.05, "else this shows nothing"


class TestWithoutLabels:
    def test_it_waits_and_says_what_for(self):
        world = judged(stable=None, candidate=None)
        for _ in range(30):
            world.period(100)
        assert (world.state, world.reason, world.weight) == ("Holding", "NoLabels", 50)
        assert "no labels yet of predictions of" in world.status.rollout.message
        assert "/v1/models/<name>/feedback" in world.status.rollout.message
        assert world.status.rollout.checks[0].verdict == "NoData"

    def test_labels_of_the_stable_revision_alone_are_not_enough(self):
        world = judged(stable=0.1, candidate=None)
        for _ in range(30):
            world.period(100)
        assert world.reason == "NoLabels"
        assert f"of predictions of {world.candidate}:" in world.status.rollout.message

    def test_that_no_window_is_over_yet_is_said(self):
        world = judged()
        world.period(100)
        assert "none is over yet" in world.status.rollout.message

    def test_time_goes_by(self):
        world = judged(stable=None, candidate=None, maxDuration="10m")
        for _ in range(80):
            world.period(50)
        assert (world.state, world.reason) == ("Holding", "Inconclusive")

    def test_steps_go_on_meanwhile(self):
        world = judged(steps=[{"name": "five", "weight": 5, "minDuration": "1m"}, HALF], stable=None, candidate=None)
        for _ in range(5):
            world.period(100)
            assert (world.step, world.state) == ("five", "Progressing")
        world.pass_until("Holding", periods=30)
        assert world.step == "half"

    def test_a_stable_revision_without_ids_is_told(self):
        world = RoutedSimulation(rollout_spec())
        world.settle_routed()
        first = world.stable
        world.edit(monitoring__quality=QUALITY, rollout={"steps": [HALF], "checks": [RIGHT]})
        world.settle_routed()
        for _ in range(20):
            world.period(50)
        assert (world.state, world.reason) == ("Holding", "NoLabels")
        assert f"revision {first} was made without monitoring.quality" in world.status.rollout.message
        assert f"modelway.dev/promote or modelway.dev/abort: {world.candidate}" in world.status.rollout.message

    def test_pods_that_do_not_tell_hold_everything_and_nothing_is_lost(self):
        world = judged()
        world.period(100)
        world.labels_failure = "connection refused"
        for _ in range(20):
            world.period(100)
        assert (world.state, world.reason) == ("Holding", "SourceDown")
        assert "connection refused" in world.status.rollout.message
        before = world.ledger.counted
        world.period(100)
        assert world.ledger.counted == before, "it does not count towards maxDuration"
        world.labels_failure = ""
        world.period(100)
        assert counted(world.ledger, "candidate") > 500, "they were counted meanwhile"
        world.pass_until("Stable", periods=200)


class TestWhatCounts:
    def test_every_label_once_whoever_is_killed(self):
        world = judged(candidate=0.12)
        first, second = world.stable, world.candidate
        for number in range(40):
            world.restart_operator()
            world.settle_routed()
            world.period(30)
            if number % 7 == 3:
                del world.pods[world.pods_of(second)[0]]
            if world.candidate is None:
                break
            assert counted(world.ledger, "candidate") <= world.labels_of(second)
            assert counted(world.ledger, "stable") <= world.labels_of(first)
        assert counted(world.ledger, "candidate") > 300

    def test_only_whole_windows_at_one_weight(self):
        world = judged(steps=[{"name": "five", "weight": 5, "minDuration": "2m"}, HALF])
        for _ in range(100):
            if world.step != "five":
                break
            world.period(100)
        changed_at = world.now
        for _ in range(12):
            world.period(100)
        ledger = world.ledger
        assert len(ledger.compared) == 2
        for first, last in ledger.compared:
            begin, end = first * 60.0, (last + 1) * 60.0
            assert not begin <= changed_at.timestamp() < end
            assert begin >= NOW.timestamp()
        whole = {window for first, last in ledger.compared for window in range(first, last + 1)}
        assert {int(name.partition(" ")[2]) for mark in ledger.labellers.values() for name in mark.counts} <= whole

    def test_labels_that_come_much_later_count_where_their_prediction_was_made(self):
        world = judged()
        world.labels_take = 600.0
        for _ in range(50):
            world.period(100)
        assert counted(world.ledger, "candidate") == 0 or world.now - NOW > timedelta(minutes=10)
        world.pass_until("Stable", periods=200)

    def test_with_a_delay_only_windows_that_are_old_enough(self):
        delayed = {"name": "right", "feedback": {"metric": "accuracy", "maxDecrease": "5%", "labelDelay": "5m"}}
        world = judged(delayed)
        for _ in range(60):
            world.period(20)
        first = world.ledger.compared[0][0]
        windows = {int(name.partition(" ")[2]) for mark in world.ledger.labellers.values() for name in mark.counts}
        assert min(windows) == first
        assert (max(windows) + 1) * 60.0 + 300.0 <= world.now.timestamp()

    def test_what_is_written_reads_as_it_was(self):
        world = judged()
        for _ in range(15):
            world.period(50)
        content = content_of(world.ledger)
        assert world.ledger.labellers
        assert world.ledger.compared
        assert content_of(ledger_from(content)) == content


class TestAfterwards:
    def promoted(self, candidate, check=RIGHT, **more):
        """Promoted by a human before any label came; then labels say how often each was wrong."""
        world = judged(check, candidate=candidate, watchAfter="2h", **more)
        world.labels_take = 1800.0
        first, second = world.stable, world.candidate
        for _ in range(30):
            world.period(60)
        world.annotate(promote=second)
        world.pass_until("Stable", periods=20)
        assert world.stable == second
        return world, first, second

    def test_labels_that_show_harm_bring_the_old_revision_back(self):
        world, first, second = self.promoted(0.5)
        for _ in range(400):
            world.period(10)
            if world.stable == first and world.state == "Rejected":
                break
        assert world.stable == first
        assert world.status.history[0].result == "Promoted"
        rejected = world.status.history[1]
        assert (rejected.revision, rejected.result) == (second, "Rejected")
        assert "labelled rows" in rejected.reason
        for _ in range(10):
            world.period(10)
        assert world.stable == first, "the annotation that promoted it was acted on once"
        assert f"set modelway.dev/retry: {second}#1" in world.condition("InvalidAnnotation").message
        world.annotate(retry=f"{second}#1")
        world.settle_routed()
        assert second in (world.candidate, world.stable), "a human who means it anew says so"

    def test_labels_that_show_none_change_nothing(self):
        world, _, second = self.promoted(0.1)
        for _ in range(300):
            world.period(10)
        assert (world.stable, world.state) == (second, "Stable")
        assert counted(world.ledger, "candidate") > 500, "they were counted all the same"

    def test_predictions_of_the_time_after_do_not_count(self):
        world, _, _ = self.promoted(0.1)
        before = world.ledger.compared
        for _ in range(40):
            world.period(10)
        assert world.ledger.compared == before

    def test_a_check_that_only_holds_does_not_take_it_back(self):
        world, _, second = self.promoted(0.5, {**RIGHT, "onHarm": "Hold"})
        for _ in range(300):
            world.period(10)
        assert world.stable == second
        assert world.ledger.verdicts["right"] is Verdict.HARMFUL

    def test_nobody_is_asked_once_the_watch_is_over(self):
        world, _, _ = self.promoted(0.1)
        assert world.last.measuring.labelling is not None
        world.tick(3 * 3600)
        world.settle_routed()
        assert world.last.measuring.labelling is None


CONFUSION = Labelled(
    rows=100, right=70, pairs={("a", "a"): 40, ("a", "b"): 10, ("b", "a"): 15, ("b", "b"): 30, ("c", mark_of("a")): 5}
)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"metric": "accuracy"}, (100, 30)),
        ({"metric": "recall", "label": "a"}, (50, 10)),
        ({"metric": "precision", "label": "a"}, (60, 20)),
        ({"metric": "recall", "label": "c"}, (5, 5)),
        ({"metric": "precision", "label": "c"}, (0, 0)),
    ],
    ids=lambda value: "/".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_what_is_counted_and_what_of_it_is_wrong(asked, expected):
    feedback = Feedback.model_validate({"maxDecrease": "1%", **asked})
    assert bad_in(CONFUSION, feedback) == expected


def test_at_the_margin_wrong_decisions_are_as_rare_as_promised():
    """Some labels come late, and every look counts: at rates of 1 % and 5 %, of 40 runs."""
    random = np.random.default_rng(11)
    verdicts = Counter(run_at_the_margin(random, of_stable=0.1) for _ in range(40))
    assert verdicts[Verdict.HARMFUL] <= 2
    assert verdicts[Verdict.SAFE] <= 6


def run_at_the_margin(random, *, of_stable):
    """The first verdict of a rollout whose candidate is worse by just the margin; Continue where there is none."""
    ledger = Ledger(stable="aaaaaaaa", candidate="bbbbbbbb", rollout=RULES, floor=2, seen_at=NOW)
    first = int(NOW.timestamp() // 60)
    ledger = replace(ledger, compared=((first, first + 60),))
    told = {}
    for look in range(40):
        for window in (first + look, max(first, first + look - 3)):
            for revision, wrong in ((ledger.candidate, of_stable + 0.05), (ledger.stable, of_stable)):
                rows = int(random.poisson(30.0))
                place, new = Place(revision, window, 0), Labelled(rows, rows - int(random.binomial(rows, wrong)))
                told[place] = told.get(place, Labelled()) + new
        at = timedelta(seconds=31.0 * look)
        measured = Measured(labels=(LabelReading(POD, NOW + at, "e1", 60.0, dict(told)),))
        ledger = gather_labels(ledger, measured, Windows(60.0, 60.0), now=NOW + at)
        if (verdict := ledger.verdicts.get("right")) in {Verdict.HARMFUL, Verdict.SAFE}:
            return verdict
    return Verdict.CONTINUE


class TestReadings:
    """What single readings add, with the pods' own words."""

    def ledger(self):
        world = judged()
        world.period(10)
        first = int(NOW.timestamp() // 60) + 60
        bare = replace(world.ledger, pending={}, labellers={}, evidence={}, certain_at=None)
        return replace(bare, compared=((first, first + 500),), labels_from=0), first

    def told(self, ledger, window, *, rows, wrong=0, at=0.0, epoch="e1", width=60.0):
        arms = {
            Place(revision, window, 0): Labelled(rows, rows - wrong) for revision in (ledger.candidate, ledger.stable)
        }
        return LabelReading(POD, NOW + timedelta(seconds=at), epoch, width, arms)

    def after(self, ledger, reading, at=0.0):
        measured = Measured(labels=(reading,))
        return gather_labels(ledger, measured, Windows(60.0, 60.0), now=NOW + timedelta(seconds=at))

    def test_a_worker_that_heard_less_of_the_others_adds_nothing_twice(self):
        ledger, first = self.ledger()
        for at, rows in ((0, 100), (10, 97), (20, 103)):
            ledger = self.after(ledger, self.told(ledger, first, rows=rows, wrong=rows // 10, at=at), at)
        assert counted(ledger, "candidate") == 103

    def test_the_same_reading_counts_once(self):
        ledger, first = self.ledger()
        reading = self.told(ledger, first, rows=50)
        for at in (0, 40, 80):
            ledger = self.after(ledger, reading, at)
        assert counted(ledger, "candidate") == 50

    def test_a_process_that_began_anew_is_counted_from_nothing(self):
        ledger, first = self.ledger()
        ledger = self.after(ledger, self.told(ledger, first, rows=50))
        ledger = self.after(ledger, self.told(ledger, first, rows=20, at=10, epoch="e2"), 10)
        assert counted(ledger, "candidate") == 70

    def test_labels_that_came_later_than_the_delay_do_not_count(self):
        ledger, first = self.ledger()
        check = {"name": "right", "feedback": {"metric": "accuracy", "maxDecrease": "5%", "labelDelay": "4m"}}
        rules = Rollout.model_validate({"steps": [HALF], "checks": [check]})
        ledger, later = replace(ledger, rollout=rules), 60.0 * (first + 100) - NOW.timestamp()
        arms = {
            Place(revision, first, age): Labelled(10, 10)
            for revision in (ledger.candidate, ledger.stable)
            for age in range(5)
        }
        reading = LabelReading(POD, NOW + timedelta(seconds=later), "e1", 60.0, arms)
        assert counted(self.after(ledger, reading, later), "candidate") == 30, "up to 2² windows: ages 0 to 2"

    def test_labels_counted_by_other_windows_do_not_count(self):
        ledger, first = self.ledger()
        reading = self.told(ledger, first, rows=50, width=3600.0)
        assert counted(self.after(ledger, reading), "candidate") == 0
        assert (
            "by windows of 3600 s, not of 60 s"
            in labels.troubles_of(Measured(labels=(reading,)), Windows(60.0, 60.0))[0]
        )

    def test_a_window_is_a_tick_of_its_own_and_a_heap_of_labels_decides_nothing_alone(self):
        """One file with the labels of one window may be anything; it takes several."""
        ledger, first = self.ledger()
        for number in range(2):
            ledger = self.after(ledger, self.arms(ledger, first + number, at=100.0 * number), 100.0 * number)
            ledger = self.after(ledger, self.arms(ledger, first + number, at=100.0 * number), 100.0 * number + 50)
        assert ledger.verdicts["right"] is Verdict.CONTINUE
        for number in range(2, 8):
            ledger = self.after(ledger, self.arms(ledger, first + number, at=100.0 * number), 100.0 * number)
            ledger = self.after(ledger, self.arms(ledger, first + number, at=100.0 * number), 100.0 * number + 50)
        assert ledger.verdicts["right"] is Verdict.HARMFUL

    def arms(self, ledger, window, *, at):
        """All of the candidate's are wrong, and none of the stable revision's; with what was told before."""
        found = {}
        for one in range(ledger.compared[0][0], window + 1):
            found[Place(ledger.candidate, one, 0)] = Labelled(1000, 0)
            found[Place(ledger.stable, one, 0)] = Labelled(1000, 1000)
        return LabelReading(POD, NOW + timedelta(seconds=at), "e1", 60.0, found)

    def test_marks_are_bounded_and_windows_that_went_never_come_again(self, monkeypatch):
        monkeypatch.setattr(labels, "MOST_MARKS", 10)
        ledger, first = self.ledger()
        for number in range(30):
            ledger = self.after(ledger, self.told(ledger, first + number, rows=5, at=number), number)
        assert sum(len(mark.counts) for mark in ledger.labellers.values()) <= 10
        total = counted(ledger, "candidate")
        again = self.after(ledger, self.told(ledger, first, rows=5, at=60), 60)
        assert counted(again, "candidate") == total
