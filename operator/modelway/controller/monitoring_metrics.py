"""Health of models, as metrics: what drifts, online and in batch runs, how old a model is, how fast a budget is spent.

Told by the reconciler after each look, asked by `/metrics`; as for rollouts, series are made when somebody asks. Of a
model at most `MOST_FEATURES` features have a series of their own, those that have moved most.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from modelway.api.batch_status import BatchJobStatus
from modelway.api.conditions import MODEL_HEALTH
from modelway.api.monitoring import DEFAULT_WINDOW, Monitoring
from modelway.api.spec import Spec
from modelway.api.status import Status
from modelway.api.units import seconds
from modelway.kube.store import Owner
from modelway.plan.monitoring import quality_slices
from modelway.plan.monitoring.level import burns
from modelway.plan.monitoring.readings import Collected
from modelway.plan.monitoring.telling import feature_name
from modelway.plan.monitoring.watch import Watch

MOST_FEATURES: Final = 20
_OWNER: Final = ("namespace", "name", "revision")
_STATUS: Final = {"True": 1.0, "False": 0.0, "Unknown": -1.0}


@dataclass(frozen=True, slots=True)
class _Told:
    revision: str
    given: Monitoring
    conditions: Mapping[str, str]
    batches: tuple[BatchJobStatus, ...]
    watch: Watch | None
    names: tuple[str, ...]
    trained_at: datetime | None


class MonitoringMetrics(Collector):
    """The metrics of all models that this process leads."""

    def __init__(
        self, registry: CollectorRegistry, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._told: dict[Owner, _Told] = {}
        self._clock = clock
        registry.register(self)

    def saw(self, owner: Owner, spec: Spec, status: Status, watch: Watch | None, collected: Collected) -> None:
        """Take in how a model is. Batch runs are told of where nothing is monitored, too."""
        conditions = {one.type: one.status for one in status.conditions if one.type in MODEL_HEALTH}
        if status.stable is None or (spec.monitoring is None and not conditions):
            self.forget(owner)
            return
        layout = collected.layouts.get(watch.layout) if watch is not None else None
        self._told[owner] = _Told(
            status.stable.revision,
            spec.monitoring or Monitoring(),
            conditions,
            status.batch_jobs,
            watch,
            layout.names if layout is not None else (),
            watch.trained_at if watch is not None else _trained_at(spec),
        )

    def forget(self, owner: Owner) -> None:
        """The ModelDeployment is gone, or there is nothing to tell of it."""
        self._told.pop(owner, None)

    def collect(self) -> Iterator[Metric]:
        """All series as they are now."""
        age = _gauge("model_age_seconds", "Seconds since the model that serves was trained.")
        state = _gauge("condition", "1: the condition is true; 0: false; -1: unknown.", "condition")
        drift = _gauge("drift_psi", f"Corrected PSI of the last window; the {MOST_FEATURES} largest.", "feature")
        drifted = _gauge("drifted_features", "Features that have drifted.")
        burn = _gauge("slo_burn_rate", "Share of bad requests by the share that is allowed.", "objective", "window")
        closed = _gauge("last_window_timestamp_seconds", "When the last window ended.")
        window = _gauge("window_seconds", "Seconds that are looked at together.")
        rows = _counter("rows", "Rows of inputs, by what became of them.", "result")
        slices = _gauge("slice_quality", "The metric of each slice with labels enough.", "metric", "slice", "value")
        gaps = _counter("gaps", "Processes that ended without having been read to the end.")
        for owner, told in self._told.items():
            labels = [*owner, told.revision]
            for kind, status in told.conditions.items():
                state.add_metric([*labels, kind], _STATUS[status])
            if told.trained_at is not None:
                age.add_metric(labels, (self._clock() - told.trained_at).total_seconds())
            if (watch := told.watch) is None:
                continue
            for name, psi in _moved(told, watch):
                drift.add_metric([*labels, name], psi)
            if watch.inputs is not None:
                drifted.add_metric(labels, len(watch.inputs.drifted()))
            for one in burns(told.given.slo, watch.served) if told.given.slo is not None else ():
                burn.add_metric([*labels, one.name, "long"], one.long)
                burn.add_metric([*labels, one.name, "short"], one.short)
            closed.add_metric(labels, watch.closed_at.timestamp())
            window.add_metric(labels, seconds(told.given.window or DEFAULT_WINDOW))
            for result, count in (("counted", watch.rows), ("skipped", watch.skipped), ("refused", watch.refused)):
                rows.add_metric([*labels, result], count)
            gaps.add_metric(labels, watch.gaps)
            for metric, name, value, figure in _sliced(told, watch, self._clock()):
                slices.add_metric([*labels, metric, name, value], figure)
        yield from (age, state, drift, drifted, self._batch_drift(), burn, closed, window, rows, slices, gaps)

    def _batch_drift(self) -> Metric:
        """Of the inputs that status names; it has numbers in their place where names are to be hidden."""
        psi = _gauge(
            "batch_drift_psi", "Corrected PSI of the last run of a batch job; the 5 largest.", "batch_job", "feature"
        )
        for owner, told in self._told.items():
            for job in told.batches:
                inputs = job.last_run.inputs if job.last_run is not None else None
                for one in inputs.worst if inputs is not None else ():
                    psi.add_metric([*owner, told.revision, job.name, one.name], float(one.psi))
        return psi


def _trained_at(spec: Spec) -> datetime | None:
    return spec.model.training_time if spec.monitoring is not None and spec.model is not None else None


def _moved(told: _Told, watch: Watch) -> list[tuple[str, float]]:
    """Features and outputs with their PSI, the largest first."""
    families = ((watch.inputs, "feature"), (watch.answers, "answer"))
    found = [
        (f"answer {place + 1}" if what == "answer" else feature_name(told.given, told.names, place), one.psi)
        for family, what in families
        if family is not None
        for place, one in enumerate(family.standings)
        if one.psi is not None
    ]
    return sorted(found, key=lambda one: -one[1])[:MOST_FEATURES]


def _sliced(told: _Told, watch: Watch, now: datetime) -> Iterator[tuple[str, str, str, float]]:
    """Metric, name, value and figure of slices: at most 84, as the schema bounds names and values."""
    asked, state = told.given.quality, watch.quality
    if asked is None or state is None:
        return
    for one in quality_slices.sliced(state.slices, asked, now):
        if one.figure is not None:
            name, value = quality_slices.shown(one, asked, hide=told.given.hides)
            yield asked.metric, name, value, one.figure.value


def _gauge(name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"modelway_monitoring_{name}", documentation, labels=(*_OWNER, *labels))


def _counter(name: str, documentation: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"modelway_monitoring_{name}", documentation, labels=(*_OWNER, *labels))
