"""The chart's alerts and dashboard, asked of a real Prometheus that has scraped the operator's own metrics."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from modelway.api.conditions import MODEL_HEALTH
from modelway.api.resource import ModelDeployment
from modelway.controller.monitoring_metrics import MonitoringMetrics
from modelway.kube.store import Owner
from modelway.plan.monitoring.family import Family, Standing
from modelway.plan.monitoring.readings import Collected, Served
from modelway.plan.monitoring.watch import Watch
from modelway.stats.drift import Streak
from modelway.stats.drift_cells import Cells
from modelway.stats.drift_reference import Feature
from support.batch_jobs import compared
from support.builders import NAMESPACE, model_deployment, spec
from support.prometheus import RunningPrometheus, prometheus, scraped_process
from support.rollouts import condition

FILES = Path(__file__).resolve().parents[2] / "charts" / "modelway" / "files"
ALERTS = {
    one["alert"]: one["expr"] for one in yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"][0]["rules"]
}
PANELS = {
    one["title"]: one["targets"][0]["expr"] for one in json.loads((FILES / "dashboard.json").read_text())["panels"]
}
SLO = {"errorRate": "1%"}
AGE = Feature("age", Cells(edges=(1.0,), lowest=0, highest=2), (5, 5))
NOW = datetime.now(UTC)
WELL = Watch(
    of="model",
    began_at=NOW,
    closed_at=NOW,
    inputs=Family((AGE,), (Standing(Streak(), 0, 0.01),)),
    served=(Served(1000, 2, ()),),
    rows=700,
    trained_at=NOW,
)
ILL = replace(
    WELL,
    closed_at=NOW - timedelta(hours=1),
    inputs=Family((AGE,), (Standing(Streak(alarm=True), 0, 0.5),)),
    served=(Served(1000, 300, ()),),
)


def told() -> bytes:
    registry = CollectorRegistry()
    metrics = MonitoringMetrics(registry)
    for name, watch, status in (("well", WELL, "False"), ("ill", ILL, "True")):
        raw = model_deployment(
            spec(monitoring={"slo": SLO}),
            status={
                "stable": {"revision": "6f1c2a9b"},
                "conditions": [condition(kind, status) for kind in sorted(MODEL_HEALTH)],
                "batchJobs": [compared("nightly", income="0.83")],
            },
        )
        resource = ModelDeployment.parse(raw)
        metrics.saw(Owner(NAMESPACE, name), resource.spec, resource.status, watch, Collected())
    return generate_latest(registry)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPrometheus]:
    with (
        scraped_process() as process,
        prometheus(tmp_path_factory.mktemp("prometheus"), process) as running,
    ):
        metrics = told()
        process.exposition = lambda: metrics  # type: ignore[method-assign]
        running.wait_for('modelway_monitoring_condition{name="ill"}')
        running.wait_for('count_over_time(modelway_monitoring_rows_total{name="ill"}[1m]) > 2')
        yield running


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_it_is_told_of_the_model_that_is_ill_and_of_no_other(asked: RunningPrometheus, alert: str) -> None:
    found: list[dict[str, Any]] = asked.ask(ALERTS[alert])
    assert [(one["metric"]["namespace"], one["metric"]["name"]) for one in found] == [(NAMESPACE, "ill")]


@pytest.mark.parametrize("panel", sorted(PANELS))
def test_a_panel_of_the_dashboard_shows_both(asked: RunningPrometheus, panel: str) -> None:
    query = PANELS[panel].replace("$namespace", ".*").replace("$name", ".*").replace("$__rate_interval", "1m")
    assert {one["metric"]["name"] for one in asked.ask(query)} == {"ill", "well"}
