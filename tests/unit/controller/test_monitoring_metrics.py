"""What the metrics of monitored models say."""

from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from modelway.api.resource import ModelDeployment
from modelway.controller.monitoring_metrics import MOST_FEATURES, MonitoringMetrics
from modelway.kube.store import Owner
from modelway.plan.monitoring.family import Family, Standing
from modelway.plan.monitoring.quality_state import QualityState
from modelway.plan.monitoring.readings import Collected, Layout, Served
from modelway.plan.monitoring.watch import Watch
from modelway.stats.drift import Streak
from modelway.stats.drift_cells import Cells
from modelway.stats.drift_reference import Feature
from support.batch_jobs import compared
from support.builders import NAME, NAMESPACE, NOW, model_deployment, spec
from support.rollouts import condition

OWNER = Owner(NAMESPACE, NAME)
FIRST, LAST = f'name="{NAME}",namespace="{NAMESPACE}"', 'revision="6f1c2a9b"'
LABELS = f'name="{NAME}",namespace="{NAMESPACE}",revision="6f1c2a9b"'
AGE = Feature("age", Cells(edges=(1.0,), lowest=0, highest=2), (5, 5))
WATCH = Watch(
    of="model",
    began_at=NOW,
    closed_at=NOW,
    layout="l1",
    inputs=Family((AGE,), (Standing(Streak(alarm=True), 0, 0.5),)),
    served=(Served(1000, 20, ((250, 900),)),),
    rows=700,
    skipped=30,
    refused=5,
    gaps=2,
    trained_at=NOW - timedelta(days=1),
)
COLLECTED = Collected(NOW, (), {"l1": Layout("l1", ("age",), (AGE,))})


@pytest.fixture
def told():
    """The series after a look at a model, by what stands before their value."""

    def tell(watch=WATCH, collected=COLLECTED, **monitoring):
        registry = CollectorRegistry()
        metrics = MonitoringMetrics(registry, clock=lambda: NOW)
        status = {
            "stable": {"revision": "6f1c2a9b"},
            "conditions": [
                condition("DataDrift", "True"),
                condition("Degraded", "Unknown"),
                condition("Ready", "True"),
            ],
        }
        raw = model_deployment(spec(monitoring=monitoring), status=status)
        resource = ModelDeployment.parse(raw)
        metrics.saw(OWNER, resource.spec, resource.status, watch, collected)
        lines = generate_latest(registry).decode().splitlines()
        return {key: float(value) for key, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    return tell


def test_conditions_are_numbers(told):
    series = told()
    assert series[f'modelway_monitoring_condition{{condition="DataDrift",{LABELS}}}'] == 1
    assert series[f'modelway_monitoring_condition{{condition="Degraded",{LABELS}}}'] == -1
    assert not any("Ready" in key for key in series)


def test_what_was_counted_is_told(told):
    series = told()
    assert series[f"modelway_monitoring_model_age_seconds{{{LABELS}}}"] == 86_400
    assert series[f"modelway_monitoring_drifted_features{{{LABELS}}}"] == 1
    assert series[f'modelway_monitoring_drift_psi{{feature="age",{LABELS}}}'] == 0.5
    assert series[f'modelway_monitoring_rows_total{{{FIRST},result="counted",{LAST}}}'] == 700
    assert series[f'modelway_monitoring_rows_total{{{FIRST},result="skipped",{LAST}}}'] == 30
    assert series[f"modelway_monitoring_gaps_total{{{LABELS}}}"] == 2


def test_budgets_are_told_where_there_are_objectives(told):
    series = told(slo={"errorRate": "1%", "latency": {"threshold": "250ms", "percent": "90%"}})
    assert series[f'modelway_monitoring_slo_burn_rate{{{FIRST},objective="errorRate",{LAST},window="long"}}'] == 2
    assert series[
        f'modelway_monitoring_slo_burn_rate{{{FIRST},objective="latency",{LAST},window="short"}}'
    ] == pytest.approx(1)
    assert not any("burn" in key for key in told())


def test_slices_with_labels_enough_are_told_and_hidden_where_features_are(told):
    window = int(NOW.timestamp() // 3600) - 2
    state = QualityState("of", 3600.0, {window: (0, 0, 0, 0, 70, 100)})
    few = QualityState("of", 3600.0, {window: (0, 0, 0, 0, 7, 10)})
    watch = replace(WATCH, quality=replace(state, slices={(0, 0): state, (0, 1): few}))
    asked = {"metric": "accuracy", "min": 0.9, "minLabels": 100, "slices": [{"name": "country", "values": ["DE"]}]}
    series = {key: value for key, value in told(watch, quality=asked).items() if "slice_quality" in key}
    (key,) = series
    assert series[key] == 0.7
    assert all(part in key for part in ('metric="accuracy"', 'slice="country"', 'value="DE"'))
    (key,) = (key for key in told(watch, quality=asked, features="Hide") if "slice_quality" in key)
    assert all(part in key for part in ('slice="slice 1"', 'value="value 1"'))


def test_hidden_features_are_hidden_here_too(told):
    assert f'modelway_monitoring_drift_psi{{feature="feature 1",{LABELS}}}' in told(features="Hide")


def test_of_many_features_those_that_moved_most_are_told(told):
    many = Family((AGE,) * 100, tuple(Standing(psi=place / 100) for place in range(100)))
    series = told(replace(WATCH, inputs=many))
    found = sorted(value for key, value in series.items() if "drift_psi" in key)
    assert found == [pytest.approx(place / 100) for place in range(100 - MOST_FEATURES, 100)]


def test_a_model_that_is_gone_leaves_nothing():
    registry = CollectorRegistry()
    metrics = MonitoringMetrics(registry)
    resource = ModelDeployment.parse(model_deployment(spec(monitoring={}), status={"stable": {"revision": "6f1c2a9b"}}))
    metrics.saw(OWNER, resource.spec, resource.status, WATCH, COLLECTED)
    metrics.forget(OWNER)
    assert b"6f1c2a9b" not in generate_latest(registry)


def test_nothing_is_told_of_a_model_that_is_not_monitored():
    registry = CollectorRegistry()
    metrics = MonitoringMetrics(registry)
    resource = ModelDeployment.parse(model_deployment(status={"stable": {"revision": "6f1c2a9b"}}))
    metrics.saw(OWNER, resource.spec, resource.status, None, Collected())
    assert b"namespace=" not in generate_latest(registry)


def test_batch_runs_are_told_of_where_nothing_is_monitored():
    registry = CollectorRegistry()
    metrics = MonitoringMetrics(registry, clock=lambda: NOW)
    status = {
        "stable": {"revision": "6f1c2a9b"},
        "conditions": [condition("BatchInputDrift", "True"), condition("BatchFailed", "False")],
        "batchJobs": [compared("nightly", income="0.83", age="0.02"), compared("weekly", income="0.01")],
    }
    given = spec(model__trainingTime="2026-01-01T00:00:00Z")
    resource = ModelDeployment.parse(model_deployment(given, status=status))
    metrics.saw(OWNER, resource.spec, resource.status, None, Collected())
    lines = [line for line in generate_latest(registry).decode().splitlines() if line[0] != "#"]
    assert lines == [
        f'modelway_monitoring_condition{{condition="BatchInputDrift",{LABELS}}} 1.0',
        f'modelway_monitoring_condition{{condition="BatchFailed",{LABELS}}} 0.0',
        f'modelway_monitoring_batch_drift_psi{{batch_job="nightly",feature="income",{LABELS}}} 0.83',
        f'modelway_monitoring_batch_drift_psi{{batch_job="nightly",feature="age",{LABELS}}} 0.02',
        f'modelway_monitoring_batch_drift_psi{{batch_job="weekly",feature="income",{LABELS}}} 0.01',
    ]


def test_an_age_is_told_before_the_first_window(told):
    watch = replace(WATCH, inputs=None, answers=None)
    assert f"modelway_monitoring_model_age_seconds{{{LABELS}}}" in told(watch, Collected())
