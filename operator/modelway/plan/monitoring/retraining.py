"""When a Job is to make a better model (`spec.monitoring.onDegraded`), and what is told of it.

Called by `plan.plan` when the conditions are known. Pure. There is never a second Job for one cause: a cause is a
condition that stands true in the status that was *written*, with the time at which it turned so; the Job says when it
was asked for, and sees to all that had turned true by then. What is known of the last Job is taken from the Job itself
and kept in status, so that neither a restart nor a Job that is deleted makes it forgotten. The Job's name comes from
the model and from how many were made for it: whoever makes it again finds it there.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson
from pydantic import ValidationError

from modelway.api.conditions import Condition, Reason
from modelway.api.names import ANNOTATION_CAUSE, COMPONENT_RETRAINING, LABEL_COMPONENT, RETRAINING_SUFFIX, child_name
from modelway.api.retraining import DEFAULT_CAUSES, DEFAULT_COOLDOWN, DEFAULT_MAX_JOBS, OnDegraded, RetrainingStatus
from modelway.api.status import Status, StatusCondition
from modelway.api.units import rfc3339, seconds
from modelway.plan.jobs import end_of
from modelway.plan.monitoring.monitor import Monitored
from modelway.plan.monitoring.retraining_told import variables
from modelway.plan.revisions import Revision
from modelway.plan.roles import Roles
from modelway.plan.types import Happening, JobOrder, Object, Observed, Verdict

_ACTION: Final = "Retrain"
_FINE: Final = "no Job has failed, and the next one can be made"


@dataclass(frozen=True, slots=True)
class Retraining:
    """What follows.

    Attributes:
        status: `status.retraining`.
        verdict: of `RetrainingFailed`; None where no Job is asked for at all.
        order: what is to be done about a Job; None: nothing.
        look_again_after: seconds until a Job may be made though nothing else has changed; None: never.
        happenings: of Jobs that were made or have ended, and of what is in the way.
    """

    status: RetrainingStatus | None = None
    verdict: Verdict | None = None
    order: JobOrder | None = None
    look_again_after: float | None = None
    happenings: tuple[Happening, ...] = ()


def retraining(observed: Observed, roles: Roles, monitored: Monitored, *, now: datetime) -> Retraining:
    """What is to be done about a better model.

    Args:
        observed: what is seen.
        roles: who serves, and who is on its way.
        monitored: what monitoring says now.
        now: the moment.
    """
    spec, before, stable = observed.resource.spec, observed.resource.status, roles.stable
    if spec.monitoring is None:
        return Retraining()
    last = _last(observed)
    asked = spec.monitoring.on_degraded
    if asked is None:
        return Retraining(status=last)
    true = {kind for kind, (holds, *_) in monitored.verdicts.items() if holds and kind in _kinds(asked)}
    written = {one.type: one for one in before.conditions if one.status == "True" and one.type in true}
    causes = _fresh(written.values(), last)
    made = last.jobs if last is not None and stable is not None and last.model == _model(stable) else 0
    most = DEFAULT_MAX_JOBS if asked.max_jobs is None else asked.max_jobs
    # Another revision is on its way already, or none would be acted on.
    is_awaited = roles.candidate is not None or bool(spec.paused)
    is_free = not is_awaited and (last is None or last.result != "Running")
    left = _cooling(asked, last, now)
    order, is_spent = JobOrder(cron_job=asked.job_from), False
    if causes and stable is not None and is_free and left <= 0:
        is_spent = made >= most
        if not is_spent:
            order = _ordered(observed, stable, asked, causes, monitored.trained_at, number=made + 1, now=now)
    verdict = _spent(causes[0], most) if is_spent else _verdict(observed, last if made else None)
    return Retraining(
        status=last,
        verdict=verdict,
        order=order,
        look_again_after=0.0 if true - written.keys() else left if causes and is_free and left > 0 else None,
        happenings=(*_of_jobs(before.retraining, last), *_of_verdict(before, verdict)),
    )


def _last(observed: Observed) -> RetrainingStatus | None:
    """The last Job, as it is now: of those that are there, or the one that the status tells of."""
    uid, known = observed.resource.metadata.uid, observed.resource.status.retraining
    there = [one for job in observed.jobs if (one := _told(job, uid)) is not None]
    newest = max(there, key=lambda one: (one.started_at, one.jobs), default=None)
    if known is None or (newest is not None and newest.started_at >= known.started_at):
        return newest or known
    return known.model_copy(update={"result": "Gone"}) if known.result == "Running" else known


def _told(job: Object, uid: str) -> RetrainingStatus | None:
    """What a Job says of itself; None of one that is no Job of ours."""
    metadata = job["metadata"]
    if metadata.get("labels", {}).get(LABEL_COMPONENT) != COMPONENT_RETRAINING:
        return None
    if uid not in {one["uid"] for one in metadata.get("ownerReferences", ())}:
        return None
    try:
        said = orjson.loads(metadata["annotations"][ANNOTATION_CAUSE])
        ended = end_of(job)
        result = ended.result if ended is not None else "Running"
        return RetrainingStatus.model_validate(said | {"job": metadata["name"], "result": result})
    except (KeyError, TypeError, orjson.JSONDecodeError, ValidationError):
        return None  # somebody has written on it


def _kinds(asked: OnDegraded) -> set[str]:
    return set(asked.conditions or DEFAULT_CAUSES)


def _fresh(standing: Iterable[StatusCondition], last: RetrainingStatus | None) -> list[StatusCondition]:
    """What has turned true since the last Job was asked for; the first to come first."""
    fresh = [one for one in standing if last is None or one.last_transition_time > last.started_at]
    return sorted(fresh, key=lambda one: (one.last_transition_time, one.type))


def _model(stable: Revision) -> str:
    return stable.digest or stable.hash


def _cooling(asked: OnDegraded, last: RetrainingStatus | None, now: datetime) -> float:
    """Seconds until the next Job may begin; 0 or less: it may."""
    if last is None:
        return 0.0
    until = last.started_at + timedelta(seconds=seconds(asked.cooldown or DEFAULT_COOLDOWN))
    return (until - now).total_seconds()


def _ordered(
    observed: Observed,
    stable: Revision,
    asked: OnDegraded,
    causes: list[StatusCondition],
    trained_at: datetime | None,
    *,
    number: int,
    now: datetime,
) -> JobOrder:
    resource, first = observed.resource, causes[0]
    # Clocks of two operators may differ: what this Job sees to has turned true before it, whatever they say.
    at = max(now.replace(microsecond=0), *(one.last_transition_time for one in causes))
    mark = hashlib.sha256(f"{resource.metadata.uid}/{_model(stable)}".encode()).hexdigest()[:8]
    told = {"condition": first.type, "startedAt": rfc3339(at), "model": _model(stable), "jobs": number}
    return JobOrder(
        cron_job=asked.job_from,
        name=child_name(resource.metadata.name, f"{RETRAINING_SUFFIX}-{mark}-{number}"),
        annotation=orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode(),
        variables=variables(resource, stable, first, trained_at=trained_at, at=at),
    )


def _spent(cause: StatusCondition, most: int) -> Verdict:
    jobs = "1 Job was" if most == 1 else f"{most} Jobs were"
    message = (
        f"{cause.type} has turned true again, and {jobs} made for this model already, as many as maxJobs allows:"
        " deploy a better one, or raise maxJobs"
    )
    return True, Reason.MOST_JOBS_MADE, message


def _verdict(observed: Observed, last: RetrainingStatus | None) -> Verdict:
    if (refusal := observed.job_refusal) is not None:
        return True, refusal.reason, refusal.message
    if last is not None and last.result == "Failed":
        return True, Reason.JOB_FAILED, f"Job {last.job}, made because of {last.condition}, has failed: see its logs"
    return False, Reason.AS_EXPECTED, _FINE


def _of_jobs(before: RetrainingStatus | None, last: RetrainingStatus | None) -> Iterable[Happening]:
    if last is None:
        return
    if before is None or before.job != last.job:
        yield Happening("Normal", "RetrainingStarted", f"Job {last.job}, because of {last.condition}", _ACTION)
    if last.result == "Succeeded" and (before is None or before.result != "Succeeded" or before.job != last.job):
        yield Happening("Normal", "RetrainingEnded", f"Job {last.job} has ended well", _ACTION)


def _of_verdict(before: Status, verdict: Verdict) -> Iterable[Happening]:
    holds, reason, message = verdict
    was = next((one for one in before.conditions if one.type == Condition.RETRAINING_FAILED), None)
    if holds and (was is None or (was.status, was.reason) != ("True", reason)):
        yield Happening("Warning", str(reason), message, _ACTION)
