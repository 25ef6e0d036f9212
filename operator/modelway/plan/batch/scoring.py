"""What batch jobs there should be now, and what is to be said of them. Called by `plan.plan`. Pure.

Invariant: a CronJob's template names the revision that serves (or, where nothing is served, the one that the spec asks
for), and none is made before there is one; a Job that has begun is never touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from modelway.api.batch import BatchJob
from modelway.api.batch_dates import UTC_NAME, zone_of
from modelway.api.batch_status import BatchJobStatus, BatchRun
from modelway.api.conditions import Reason
from modelway.api.kinds import CRON_JOB
from modelway.api.names import LABEL_BATCH_JOB, LABEL_REVISION, cron_job_name
from modelway.api.units import time_of
from modelway.plan.batch.children import cron_job
from modelway.plan.batch.cron import Schedule, parse
from modelway.plan.batch.runs import Seen, seen
from modelway.plan.batch.telling import finished, happenings, what_is_missed
from modelway.plan.revisions import Revision
from modelway.plan.types import Child, ChildKey, Happening, Object, Observed, Settings

MISSED_SECONDS = 60.0
"""How late a run may begin before it is told as missed."""
_LATE_SECONDS = 15.0
_SOON_SECONDS = 1.0
_HARMLESS = {Reason.UNSCHEDULABLE, Reason.SUSPENDED}
"""Why a run that waits may wait: for nodes, for its turn."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """What there is to do and to say.

    Attributes:
        children: the CronJobs.
        entries: for `status.batchJobs`.
        trouble: a reason and a message for `BatchFailed`; None where nothing is wrong.
        happenings: Events for what has changed.
        look_again_after: seconds until something may be told though nothing has changed.
    """

    children: tuple[Child, ...] = ()
    entries: tuple[BatchJobStatus, ...] = ()
    trouble: tuple[str, str] | None = None
    happenings: tuple[Happening, ...] = ()
    look_again_after: float | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry, looked at."""

    status: BatchJobStatus
    trouble: tuple[str, str] | None
    happenings: tuple[Happening, ...]
    look_again_after: float | None
    can_fire: bool


def scoring(observed: Observed, stable: Revision | None, *, settings: Settings, now: datetime) -> Scoring:
    """The batch jobs of a ModelDeployment.

    Args:
        observed: the picture.
        stable: the revision that serves; None where none does yet.
        settings: of this installation.
        now: the moment, in UTC.
    """
    resource = observed.resource
    looked = [(job, _look(observed, job, stable is not None, now)) for job in resource.spec.batch_jobs]
    children = [
        cron_job(resource, job, stable, can_fire=entry.can_fire, settings=settings)
        for job, entry in looked
        if stable is not None
    ]
    entries = [entry for _, entry in looked]
    pauses = [entry.look_again_after for entry in entries if entry.look_again_after is not None]
    statuses = tuple(entry.status for entry in entries)
    return Scoring(
        children=tuple(children),
        entries=statuses,
        trouble=next((entry.trouble for entry in entries if entry.trouble), None),
        happenings=tuple(one for entry in entries for one in entry.happenings),
        look_again_after=max(0.0, min(pauses)) if pauses else None,
    )


def scoring_revision(observed: Observed, stable: Revision | None, known: Mapping[str, Revision]) -> Revision | None:
    """The stable revision; while there is none, the one that the CronJobs have."""
    if stable is not None:
        return stable
    live = (obj for key, obj in observed.children.items() if key.kind == CRON_JOB)
    labels = (obj["metadata"].get("labels", {}).get(LABEL_REVISION) for obj in live)
    return next((known[name] for name in labels if name in known), None)


def _look(observed: Observed, job: BatchJob, has_revision: bool, now: datetime) -> _Entry:
    name = observed.resource.metadata.name
    before = next((one for one in observed.resource.status.batch_jobs if one.name == job.name), None)
    schedule, problem = _schedule(job, now)
    runs = [seen(one, observed.batch_pods, now=now) for one in observed.jobs if _is_of(one, job)]
    active, last = _active(runs), _last(runs, before)
    waits = schedule if problem is None and has_revision and not job.suspend else None
    live = observed.children.get(ChildKey(CRON_JOB, cron_job_name(name, job.name)))
    began = _last_scheduled(live)
    due, missed, pause = _times(waits, before, began, now)
    status = BatchJobStatus(
        name=job.name,
        cron_job=cron_job_name(name, job.name),
        next_run=due,
        missed_run=_still(missed, began, last),
        active_run=active,
        last_run=last,
    )
    if any(run.has_ended and not run.is_settled for run in runs):
        pause = _SOON_SECONDS
    return _Entry(
        status=status,
        trouble=_trouble(status, problem, is_held=_is_held(missed, waits, began, live)),
        happenings=happenings(before, status, ended=[one.run for one in runs if one.is_settled], there=observed.jobs),
        look_again_after=pause,
        can_fire=problem is None,
    )


def _schedule(job: BatchJob, now: datetime) -> tuple[Schedule | None, tuple[str, str] | None]:
    """When the entry fires, or what is wrong with that."""
    try:
        zone = zone_of(job.time_zone or UTC_NAME)
    except ValueError as error:
        return None, (Reason.UNKNOWN_TIME_ZONE, f"timeZone: {error}")
    if job.schedule is None:
        return None, None
    try:
        schedule = parse(job.schedule, zone)
    except ValueError as error:
        return None, (Reason.INVALID_SCHEDULE, f"schedule: {error}")
    if schedule.next_after(now) is None:
        told = f'schedule: "{job.schedule}" matches no day of the next five years; there is no such date'
        return None, (Reason.SCHEDULE_NEVER_FIRES, told)
    return schedule, None


def _times(
    schedule: Schedule | None, before: BatchJobStatus | None, began: datetime | None, now: datetime
) -> tuple[datetime | None, datetime | None, float | None]:
    """The next run, the one that was missed, and the seconds until that is to be looked at again."""
    if schedule is None:
        return None, None, None
    due = before.next_run if before is not None else None
    missed = before.missed_run if before is not None else None
    if due is not None and due <= now and (began is None or began < due):
        late = (now - due).total_seconds()
        if late < MISSED_SECONDS:
            return due, missed, MISSED_SECONDS - late + _SOON_SECONDS
        missed = due
    upcoming = schedule.next_after(now)
    pause = (upcoming - now).total_seconds() + _LATE_SECONDS if upcoming is not None else None
    return upcoming, missed, pause


def _still(missed: datetime | None, began: datetime | None, last: BatchRun | None) -> datetime | None:
    """A missed run, until one that was due then or later has begun, or one that began later has ended well."""
    if missed is None or (began is not None and began >= missed):
        return None
    is_made_up = last is not None and last.result == "Succeeded" and _began(last)[0] >= missed
    return None if is_made_up else missed


def _is_held(missed: datetime | None, schedule: Schedule | None, began: datetime | None, live: Object | None) -> bool:
    """Whether a missed run only waits for the end of the one before.

    With `Forbid`, Kubernetes then begins the run that was due last: the first behind another waits, the second is lost.
    """
    if missed is None or schedule is None or began is None or live is None:
        return False
    is_forbidden = live["spec"].get("concurrencyPolicy") == "Forbid" and bool(live["status"].get("active"))
    return is_forbidden and missed == schedule.next_after(began)


def _last_scheduled(live: Object | None) -> datetime | None:
    text = live.get("status", {}).get("lastScheduleTime") if live is not None else None
    return time_of(text) if text else None


def _active(runs: Sequence[Seen]) -> BatchRun | None:
    going = [one.run for one in runs if not one.is_settled]
    return max(going, key=_began, default=None)


def _last(runs: Sequence[Seen], before: BatchJobStatus | None) -> BatchRun | None:
    """The run that ended last; Jobs and their pods are cleaned up, so what status tells of one counts as well."""
    known = before.last_run if before is not None else None
    ended = [one.run for one in runs if one.is_settled and (one.is_heard or not _is_same(one.run, known))]
    if known is not None and known.job not in {run.job for run in ended}:
        ended.append(known)
    return max(ended, key=finished, default=None)


def _is_same(run: BatchRun, known: BatchRun | None) -> bool:
    return known is not None and (run.job, run.completion_time) == (known.job, known.completion_time)


def _began(run: BatchRun) -> tuple[datetime, str]:
    return run.start_time or datetime.min.replace(tzinfo=UTC), run.job


def _trouble(entry: BatchJobStatus, problem: tuple[str, str] | None, *, is_held: bool) -> tuple[str, str] | None:
    active, last = entry.active_run, entry.last_run
    if problem is not None:
        return problem[0], f"{entry.name}: {problem[1]}"
    if active is not None and active.reason is not None and active.reason not in _HARMLESS:
        return active.reason, f"{entry.name}, {active.job}: {active.message}"
    if entry.missed_run is not None and not is_held:
        return Reason.RUN_MISSED, what_is_missed(entry)
    if last is not None and last.result == "Failed":
        return last.reason or Reason.SHARDS_FAILED, f"{entry.name}, {last.job}: {last.message}"
    return None


def _is_of(job: Object, entry: BatchJob) -> bool:
    labels = job["metadata"].get("labels", {})
    return labels.get(LABEL_BATCH_JOB) == entry.name and not job["metadata"].get("deletionTimestamp")
