"""The story of a monitored model, as `plan` tells it: quiet, drifted, broken, old, and well again."""

import re
from datetime import timedelta

import numpy as np
import pytest

from modelway.api.kinds import CONFIG_MAP, DEPLOYMENT
from modelway.api.names import child_name
from modelway.plan import ChildKey
from modelway.plan.monitoring.readings import Collected
from modelway.stats.drift_spread import LEAST_WINDOWS
from support.builders import NAME, changed, spec
from support.monitored import LEARNING, NAMES, Server, collected, layout_of_model, pod, usual_rows
from support.simulation import Simulation

LAYOUT = layout_of_model()
WINDOW = timedelta(minutes=5)
WATCH = ChildKey(CONFIG_MAP, child_name(NAME, "monitoring"))


class Story:
    """A model with two pods that is monitored; rounds come when the test says so."""

    def __init__(self, layout=LAYOUT, **monitoring) -> None:
        self.rng = np.random.default_rng(1)
        self.world = Simulation(spec(monitoring={"minRows": 500, **monitoring}, model__version="1"))
        self.world.settle()
        made_at = self.world.now - timedelta(hours=1)
        self.servers = [Server(pod(f"pod-{n}", self.world.stable, made_at), layout) for n in range(2)]
        for one in self.servers:
            name = one.pod.pod.name
            self.world.pods[name] = next(iter(self.world.pods.values())) | {
                "metadata": {
                    **next(iter(self.world.pods.values()))["metadata"],
                    "name": name,
                    "uid": one.pod.pod.uid,
                }
            }
        self.scores = False
        self.round()

    def round(self):
        """Everybody is read."""
        self.world.now += WINDOW
        self.world.collected = collected(self.world.now, *self.servers)
        self.world.look()

    def window(self, rows=1000, *, shift=0.0, times=1):
        """Windows of rows as usual, but for the age; from each pod as many."""
        for _ in range(times):
            for one in self.servers:
                columns = usual_rows(self.rng, rows // 2)
                columns["age"] = columns["age"] + shift
                self.asked(one, columns)
            self.round()

    def asked(self, server, columns):
        server.ask(columns, self.rng.beta(2, 5, len(columns["age"])))

    def said(self, kind="DataDrift"):
        condition = self.world.condition(kind)
        return condition.status, condition.reason


def test_before_the_first_window_nothing_is_known():
    story = Story()
    assert story.said() == ("Unknown", "NotYetMeasured")
    assert story.said("DataQualityIssue") == ("Unknown", "NotYetMeasured")
    assert story.said("PredictionDrift") == ("Unknown", "NotYetMeasured")


def test_steady_traffic_is_quiet_and_costs_no_write_of_the_status():
    story = Story()
    story.window(times=2)
    assert story.said() == ("False", "AsExpected")
    before = story.world.writes.count("status")
    story.window(times=20)
    assert story.said() == ("False", "AsExpected")
    assert story.world.writes.count("status") == before


def test_while_hours_of_the_week_are_learnt_the_status_says_until_when_and_is_written_once():
    story = Story(reference={"seasonality": "HourOfWeek"})
    begun = story.world.now
    story.window(times=2)
    until = (begun + timedelta(weeks=2)).replace(minute=0, second=0, microsecond=0)
    reference = story.world.status.monitoring.reference
    assert (reference.source, reference.seasonality.state, reference.seasonality.until) == ("Model", "Learning", until)
    for kind in ("DataDrift", "PredictionDrift"):
        assert story.said(kind) in {("False", "AsExpected"), ("Unknown", "Learning")}
    assert story.world.condition("DataDrift").message == (
        "the inputs are distributed as usual; what is usual in each hour of the week is being learnt until"
        f" {until:%Y-%m-%d %H:%M} UTC at least"
    )
    before = story.world.writes.count("status")
    story.window(times=10)
    assert story.world.writes.count("status") == before


def test_a_shifted_feature_is_named_by_the_third_full_window():
    story = Story()
    story.window(times=3)
    story.window(shift=8.0, times=2)
    assert story.said() == ("False", "AsExpected")
    story.window(shift=8.0)
    assert story.said() == ("True", "InputsDrifted")
    assert "1 of 3 features have drifted: age (PSI 0." in story.world.condition("DataDrift").message
    assert story.world.condition("Ready").status == "True"
    assert [one.name for one in story.world.status.monitoring.drifted] == ["age"]


def test_a_drift_is_over_after_three_quiet_windows():
    story = Story()
    story.window(shift=8.0, times=3)
    story.window(times=2)
    assert story.said() == ("True", "InputsDrifted")
    story.window()
    assert story.said() == ("False", "AsExpected")


def test_drift_is_told_by_an_event_when_it_begins_and_when_it_ends():
    story = Story()
    story.window(shift=8.0, times=5)
    story.window(times=5)
    told = [(one.type, one.reason) for one in story.world.happenings if one.action == "Watch"]
    assert told == [("Warning", "InputsDrifted"), ("Normal", "AsExpected")]


def test_a_figure_that_hardly_moves_costs_no_write():
    story = Story()
    story.window(shift=8.0, times=LEAST_WINDOWS + 2)  # until then it is learnt how much windows differ anyway
    before = story.world.writes.count("status")
    story.window(shift=8.0, times=20)
    assert story.world.writes.count("status") == before


def test_a_feature_gone_null_is_told_in_the_next_window():
    story = Story()
    story.window()
    for one in story.servers:
        story.asked(one, usual_rows(story.rng, 500) | {"amount": np.full(500, np.nan)})
    story.round()
    assert story.said("DataQualityIssue") == ("True", "InputsBroken")
    assert story.world.condition("DataQualityIssue").message == (
        "amount: 100.0% of the rows have no value, usually 0.0%"
    )
    assert [(one.name, one.kind) for one in story.world.status.monitoring.issues] == [("amount", "Missing")]
    story.window(times=3)
    assert story.said("DataQualityIssue") == ("False", "AsExpected")


def test_requests_that_are_refused_are_an_issue():
    story = Story()
    story.window()
    story.servers[0].refused += 300
    story.window()
    assert story.said("DataQualityIssue") == ("True", "InputsBroken")
    assert "23% of the requests are not what the model takes" in story.world.condition("DataQualityIssue").message


def test_hidden_features_have_numbers_and_no_names():
    story = Story(features="Hide")
    story.window(shift=8.0, times=4)
    assert "feature 1 (PSI" in story.world.condition("DataDrift").message
    told = str(story.world.resource["status"]) + str(story.world.children[WATCH]) + str(story.world.happenings)
    assert not any(re.search(rf"\b{name}\b", told) for name in NAMES)


def test_with_fewer_rows_than_asked_for_nothing_is_said():
    story = Story()
    story.window(rows=100, times=3)
    assert story.said() == ("Unknown", "TooFewRows")
    story.window()
    assert story.said() == ("False", "AsExpected")
    story.window(rows=100, times=2)
    assert story.said() == ("False", "AsExpected")
    story.window(rows=100)
    assert story.said() == ("Unknown", "TooFewRows")


def test_a_drift_does_not_end_because_nobody_asks():
    story = Story()
    story.window(shift=8.0, times=3)
    story.window(rows=100, times=5)
    assert story.said() == ("True", "InputsDrifted")


def test_what_is_usual_is_learnt_where_the_model_does_not_say_it():
    story = Story(LEARNING, reference={"learnFor": "50m"})
    story.window(rows=2000, times=9)
    assert story.said() == ("Unknown", "Learning")
    assert story.world.status.monitoring.reference.source == "Learning"
    story.window(rows=2000, times=2)
    assert story.said() == ("False", "AsExpected")
    assert story.world.status.monitoring.reference.source == "Learnt"
    story.window(rows=2000, shift=15.0, times=3)
    assert story.said() == ("True", "InputsDrifted")


def test_answers_that_have_moved_are_told_once_it_is_known_what_is_usual():
    story = Story(reference={"learnFor": "50m"})
    story.window(rows=2000, times=9)
    assert story.said("PredictionDrift") == ("Unknown", "Learning")
    story.window(rows=2000, times=3)
    assert story.said("PredictionDrift") == ("False", "AsExpected")
    for _ in range(3):
        for one in story.servers:
            one.ask(usual_rows(story.rng, 1000), story.rng.beta(5, 2, 1000))
        story.round()
    assert story.said("PredictionDrift") == ("True", "AnswersDrifted")
    assert "score (PSI" in story.world.condition("PredictionDrift").message


@pytest.mark.parametrize("restart_at", range(6))
def test_a_restart_of_the_operator_changes_nothing_that_is_told(restart_at):
    story, twin = Story(), Story()
    for at, shift in enumerate((0.0, 8.0, 8.0, 8.0, 0.0, 0.0)):
        if at == restart_at:
            before, writes = story.world.resource["status"], len(story.world.writes)
            story.world.forget()
            story.world.look()
            assert story.world.resource["status"] == before
            assert len(story.world.writes) == writes
        story.window(shift=shift)
        twin.window(shift=shift)
        assert story.world.resource["status"] == twin.world.resource["status"]
        assert story.world.watch.rows == twin.world.watch.rows


def test_pods_that_are_not_reached_after_a_restart_change_nothing_that_is_said_of_features_at_first():
    story = Story()
    story.window(shift=8.0, times=3)
    before = story.world.resource["status"]
    story.world.forget()
    for _ in range(2):
        story.world.now += WINDOW
        story.world.collected = Collected(at=story.world.now, unreachable=("pod pod-0: refused",))
        story.world.look()
        assert story.world.resource["status"] == before
    story.world.now += WINDOW
    story.world.collected = Collected(at=story.world.now, unreachable=("pod pod-0: refused",))
    story.world.look()
    assert story.said() == ("Unknown", "SourceDown")
    assert [one.name for one in story.world.status.monitoring.drifted] == ["age"]
    story.window(shift=8.0)
    assert story.said() == ("True", "InputsDrifted")


def test_an_old_model_is_stale_from_the_moment_that_was_given():
    story = Story(maxModelAge="720h")
    assert story.said("ModelStale") == ("Unknown", "TrainingTimeMissing")
    story.world.edit(model__trainingTime=(story.world.now - timedelta(hours=719)).isoformat())
    decision = story.world.look()
    assert story.said("ModelStale") == ("False", "AsExpected")
    assert decision.look_again_after <= 3600
    story.world.tick(3600)
    story.world.look()
    assert story.said("ModelStale") == ("True", "TooOld")
    assert story.world.condition("Ready").status == "True"


def test_when_the_model_was_trained_is_told_in_utc_whatever_its_offset():
    story = Story(maxModelAge="720h")
    story.world.edit(model__trainingTime="2026-11-20T01:30:00+05:00")
    story.world.look()
    told = story.world.condition("ModelStale").message
    assert told == "trained at 2026-11-19 20:30 UTC; maxModelAge is 720h"


def test_too_many_failures_degrade_the_model_until_they_end():
    story = Story(slo={"errorRate": "1%", "latency": {"threshold": "250ms", "percent": "99%"}})
    story.window()
    assert story.said("Degraded") == ("False", "AsExpected")
    story.servers[0].failed += 200
    story.window()
    assert story.said("Degraded") == ("True", "ObjectiveMissed")
    assert story.world.condition("Degraded").message.startswith("errorRate: more than 1% of the requests fail, ")
    story.window()
    assert story.said("Degraded") == ("False", "AsExpected")
    story.servers[0].slow += 100
    story.window()
    assert story.world.condition("Degraded").message.startswith("latency: more than 1% of the requests are too slow")


def test_pods_that_cannot_be_read_make_it_unknown_after_three_rounds():
    story = Story()
    story.window()
    for round_ in range(3):
        assert story.said() == ("False", "AsExpected"), round_
        story.world.now += WINDOW
        story.world.collected = Collected(at=story.world.now, unreachable=("pod pod-0: refused",))
        story.world.look()
    assert story.said() == ("Unknown", "SourceDown")
    writes = story.world.writes.count("status")
    story.world.now += WINDOW
    story.world.collected = Collected(at=story.world.now, unreachable=("pod pod-1: no answer",))
    story.world.look()
    assert story.world.writes.count("status") == writes


def test_an_image_of_the_users_own_is_not_observed():
    given = {"serving": {"container": {"image": "own:1", "port": 8080}}, "monitoring": {"slo": {"errorRate": "1%"}}}
    world = Simulation(given)
    world.settle()
    for kind in ("DataDrift", "PredictionDrift", "DataQualityIssue", "Degraded"):
        condition = world.condition(kind)
        assert (condition.status, condition.reason) == ("Unknown", "NotObserved")
    assert world.last.watching is None


def test_monitoring_changes_no_pod_template_and_no_revision():
    plain = Simulation(spec())
    plain.settle()
    before = {key: obj["spec"]["template"] for key, obj in plain.children.items() if key.kind == DEPLOYMENT}
    revision, writes = plain.stable, len(plain.writes)
    plain.edit(monitoring={"slo": {"errorRate": "1%"}, "maxModelAge": "1h", "features": "Hide"})
    plain.settle()
    after = {key: obj["spec"]["template"] for key, obj in plain.children.items() if key.kind == DEPLOYMENT}
    assert (after, plain.stable) == (before, revision)
    assert {write for write in plain.writes[writes:] if write != "status"} == set()


def test_without_monitoring_there_is_nothing_of_it():
    story = Story()
    story.window(shift=8.0, times=3)
    story.world.edit(monitoring=None)
    story.world.look()
    assert story.world.condition("DataDrift") is None
    assert story.world.status.monitoring is None
    assert WATCH not in story.world.children
    assert story.world.last.watching is None


def test_another_model_begins_anew():
    story = Story()
    story.window(shift=8.0, times=3)
    story.world.artifacts["s3://models/fraud/2/"] = "sha256:" + "3" * 64
    story.world.edit(model__uri="s3://models/fraud/2/", model__digest="sha256:" + "3" * 64)
    story.world.settle()
    assert story.said() == ("Unknown", "NotYetMeasured")


def test_an_idle_model_writes_its_counts_once():
    story = Story()
    story.window(rows=2)
    before = list(story.world.writes)
    for _ in range(10):
        story.round()
    changed_maps = [write for write in story.world.writes[len(before) :] if "ConfigMap" in write]
    assert changed_maps == []
    assert changed(story.world.resource, {}) == story.world.resource
