"""The metrics of rollouts: there while a rollout is, with its numbers, and gone with it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from modelway.api.rollout import Check, ErrorRate, Rollout
from modelway.api.status import CheckCounts, CheckStatus, HistoryEntry, LiveWeight, RolloutStatus
from modelway.controller.rollout_metrics import RolloutMetrics
from modelway.kube.store import Owner
from modelway.plan.rollout.ledger import Ledger
from modelway.plan.rollout.pairing import Answer, Paired, with_pairs
from modelway.stats import Counts, Evidence, Tick, update
from support.builders import NOW

OWNER = Owner("ml", "fraud")
NAMED = {"namespace": "ml", "name": "fraud"}
STATUS = RolloutStatus(
    state="Progressing",
    step="half",
    weight=50,
    live_weight=LiveWeight(min=20, max=50),
    started_at=NOW,
    checks=(
        CheckStatus(
            name="errors",
            verdict="Continue",
            candidate=CheckCounts(requests=400, bad=5),
            stable=CheckCounts(requests=500, bad=1),
        ),
    ),
)


def evidence():
    known = Evidence.begin(0.01)
    for _ in range(20):
        known = update(known, Tick(Counts(100, 0), Counts(100, 0)))
    return known


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def metrics(registry):
    return RolloutMetrics(registry)


def ledger():
    rules = Rollout(checks=(Check(name="errors", error_rate=ErrorRate(max_increase="1%")),))
    return Ledger(
        stable="6f1c2a9b", candidate="0b77d1ce", rollout=rules, floor=2, seen_at=NOW, evidence={"errors": evidence()}
    )


def test_a_rollout_shows_its_state_weights_and_counts(registry, metrics):
    metrics.saw(OWNER, STATUS, ledger())

    def value(name, **labels):
        return registry.get_sample_value(f"modelway_rollout_{name}", NAMED | labels)

    assert value("state", state="Progressing") == 1
    assert value("weight") == 50
    assert (value("live_weight", bound="min"), value("live_weight", bound="max")) == (20, 50)
    assert value("requests", check="errors", arm="candidate") == 400
    assert value("bad_requests", check="errors", arm="stable") == 1


def test_evidence_is_told_as_the_statistics_have_it(registry, metrics):
    metrics.saw(OWNER, STATUS, ledger())
    for hypothesis, expected in (("harm", evidence().log_harm), ("safe", evidence().log_safe)):
        labels = NAMED | {"check": "errors", "hypothesis": hypothesis}
        assert registry.get_sample_value("modelway_rollout_log_e_value", labels) == pytest.approx(float(expected))
    assert float(evidence().log_safe) > 3


def test_another_state_replaces_the_one_before(registry, metrics):
    metrics.saw(OWNER, STATUS, None)
    metrics.saw(OWNER, STATUS.model_copy(update={"state": "Holding"}), None)
    states = [
        sample.labels["state"] for family in registry.collect() for sample in family.samples if "state" in sample.labels
    ]
    assert states == ["Holding"]


@pytest.mark.parametrize("end", [lambda metrics: metrics.forget(OWNER), lambda metrics: metrics.saw(OWNER, None, None)])
def test_nothing_is_left_of_a_rollout_that_is_gone(registry, metrics, end):
    metrics.saw(OWNER, STATUS, ledger())
    end(metrics)
    assert not [sample for family in registry.collect() for sample in family.samples if "namespace" in sample.labels]


def test_decisions_are_counted_with_the_time_that_they_took(registry, metrics):
    entry = HistoryEntry(revision="0b77d1ce", result="Rejected", time=NOW + timedelta(minutes=4), reason="errors")
    metrics.decided(entry, NOW)
    metrics.decided(entry, None)
    assert registry.get_sample_value("modelway_rollout_decisions_total", {"result": "Rejected"}) == 2
    assert registry.get_sample_value("modelway_rollout_decisions_total", {"result": "Promoted"}) == 0
    assert registry.get_sample_value("modelway_rollout_duration_seconds_sum", {"result": "Rejected"}) == 240
    assert registry.get_sample_value("modelway_rollout_duration_seconds_count", {"result": "Rejected"}) == 1


def test_evidence_of_pairs_is_told_where_it_comes_to_a_decision_first(registry, metrics):
    pairs = [(Answer("yes", None), Answer("yes", None))] * 40
    paired = Paired.begin(0.1)
    for _ in range(12):
        paired = with_pairs(paired, pairs, None)
    metrics.saw(OWNER, STATUS, replace(ledger(), paired={"errors": paired, "answers": paired}))
    safe = float(paired.disagreement.log_safe)
    assert safe > float(evidence().log_safe)
    for check in ("errors", "answers"):
        labels = NAMED | {"check": check, "hypothesis": "safe"}
        assert registry.get_sample_value("modelway_rollout_log_e_value", labels) == pytest.approx(safe)
