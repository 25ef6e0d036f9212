"""Events of batch runs: one when a run has ended, and one when a run that was due has not begun. Pure."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from modelway.api.batch_status import BatchJobStatus, BatchRun
from modelway.plan.batch.inputs import what_is_unusual
from modelway.plan.types import Happening, Object

_ACTION = "Score"


def finished(run: BatchRun) -> tuple[datetime, str]:
    """What runs are ordered by: when they ended, and their Jobs' names."""
    return run.completion_time or datetime.min.replace(tzinfo=UTC), run.job


def what_is_missed(entry: BatchJobStatus) -> str:
    """Which run has not begun, and what may be in its way."""
    if entry.active_run is not None:
        why = f"{entry.active_run.job} still goes on, and concurrencyPolicy may forbid another beside it"
    else:
        why = f"look at the CronJob: kubectl describe cronjob {entry.cron_job}"
    return f"{entry.name}: the run of {entry.missed_run:%Y-%m-%d %H:%M} UTC has not begun; {why}"


def happenings(
    before: BatchJobStatus | None, after: BatchJobStatus, *, ended: Iterable[BatchRun], there: Iterable[Object]
) -> tuple[Happening, ...]:
    """What is to be told when `after` is written in place of `before`.

    Args:
        before: what was told of the entry; None: nothing.
        after: what is told now.
        ended: its runs that have ended, as far as their Jobs are there.
        there: all Jobs.
    """
    names = {job["metadata"]["name"] for job in there if not job["metadata"].get("deletionTimestamp")}
    return (*_of_ends(before, after, ended), *_of_cancelled(before, after, names), *_of_missed(before, after))


def _of_ends(before: BatchJobStatus | None, after: BatchJobStatus, ended: Iterable[BatchRun]) -> Iterator[Happening]:
    """Each run that has ended since the one that was told last."""
    known = before.last_run if before is not None else None
    for run in sorted(ended, key=finished):
        if known is None or finished(run) > finished(known):
            yield _of_run(after.name, run)
            if run.inputs is not None and (told := what_is_unusual(run.inputs)):
                message = f"{after.name}, {run.job}: {told}"
                yield Happening(type="Warning", reason="BatchInputDrift", message=message, action=_ACTION)


def _of_cancelled(before: BatchJobStatus | None, after: BatchJobStatus, there: set[str]) -> Iterator[Happening]:
    going = before.active_run if before is not None else None
    last = after.last_run
    if going is not None and going.job not in there and (last is None or last.job != going.job):
        done = f"{going.succeeded_shards} of {going.shards} shards"
        message = f"{after.name}, {going.job}: its Job was deleted after {done}"
        yield Happening(type="Normal", reason="BatchCancelled", message=message, action=_ACTION)


def _of_missed(before: BatchJobStatus | None, after: BatchJobStatus) -> Iterator[Happening]:
    if after.missed_run is not None and (before is None or before.missed_run != after.missed_run):
        yield Happening(type="Warning", reason="BatchRunMissed", message=what_is_missed(after), action=_ACTION)


def _of_run(name: str, run: BatchRun) -> Happening:
    took = f" in {run.duration_seconds} s" if run.duration_seconds is not None else ""
    if run.result == "Failed":
        done = f"{run.succeeded_shards} of {run.shards} shards are done"
        message = f"{name}, {run.job}: {run.reason}: {run.message}; {done}"
        return Happening(type="Warning", reason="BatchFailed", message=message, action=_ACTION)
    counted = (
        f"{run.rows:,} rows, {run.failed_rows or 0:,} of them without an answer" if run.rows is not None else "done"
    )
    where = f"; {run.output}" if run.output else ""
    message = f"{name}, {run.job}: {counted}{took}{where}"
    return Happening(type="Normal", reason="BatchSucceeded", message=message, action=_ACTION)
