"""What a Job that makes a better model is told: environment variables, docs/monitoring.md explains each. Pure."""

from datetime import datetime, timedelta

from modelway.api.conditions import Condition
from modelway.api.monitoring import DEFAULT_WINDOW, Monitoring
from modelway.api.monitoring_quality import DEFAULT_QUALITY_WINDOW, DEFAULT_QUALITY_WINDOWS, Quality
from modelway.api.resource import ModelDeployment
from modelway.api.status import StatusCondition
from modelway.api.units import rfc3339, seconds
from modelway.plan.monitoring.watch import rule_of
from modelway.plan.revisions import Revision


def variables(
    resource: ModelDeployment, stable: Revision, cause: StatusCondition, *, trained_at: datetime | None, at: datetime
) -> dict[str, str]:
    """The variables.

    Args:
        resource: whose model it is.
        stable: the revision that serves.
        cause: the condition that asks for the Job, as it was written.
        trained_at: when the model that serves was trained, where that is known.
        at: when the Job is asked for.
    """
    model = stable.spec.get("model") or {}
    return {
        "MODELWAY_REASON": cause.type,
        "MODELWAY_MESSAGE": cause.message,
        "MODELWAY_MODEL": resource.metadata.name,
        "MODELWAY_NAMESPACE": resource.metadata.namespace,
        "MODELWAY_REVISION": stable.hash,
        "MODELWAY_MODEL_URI": model.get("uri", ""),
        "MODELWAY_MODEL_VERSION": stable.version or "",
        "MODELWAY_MODEL_DIGEST": stable.digest or "",
        "MODELWAY_SINCE": rfc3339(cause.last_transition_time),
        "MODELWAY_WINDOW_START": rfc3339(_start(resource, cause, trained_at)),
        "MODELWAY_WINDOW_END": rfc3339(at),
    }


def _start(resource: ModelDeployment, cause: StatusCondition, trained_at: datetime | None) -> datetime:
    """From when on there are rows that the model was not made for: what it took to turn true lies before `since`."""
    given = resource.spec.monitoring or Monitoring()
    if cause.type == Condition.MODEL_STALE:
        return trained_at or cause.last_transition_time
    if cause.type == Condition.PERFORMANCE_DEGRADED and given.quality is not None:
        return cause.last_transition_time - _judged_in(given.quality)
    shown = rule_of(given).windows * seconds(given.window or DEFAULT_WINDOW)
    return cause.last_transition_time - timedelta(seconds=shown)


def _judged_in(quality: Quality) -> timedelta:
    windows = DEFAULT_QUALITY_WINDOWS if quality.windows is None else quality.windows
    waited = seconds(quality.label_delay) if quality.label_delay is not None else 0.0
    return timedelta(seconds=windows * seconds(quality.window or DEFAULT_QUALITY_WINDOW) + waited)
