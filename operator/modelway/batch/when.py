"""What a run reads and writes when the day is filled in: from a date that was given, else from its Job's name.

A CronJob's Jobs are named after the minute that they were due at; all pods of a Job, whenever they begin, find the
same day there. A Job that somebody made by hand has no such name, and is refused where the URIs need a day: today's
would be a guess.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from modelway.api.batch_dates import Moment, fill, has_placeholder, of_schedule, parse, scheduled_time, zone_of
from modelway.batch.errors import BatchError, Reason

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""A number after the CronJob's name that would be an earlier time is somebody's own number."""


@dataclass(frozen=True, slots=True)
class Found:
    """Input and output as URIs without placeholders, and the day where one is known."""

    input: str
    output: str
    date: Moment | None


@dataclass(frozen=True, slots=True)
class Told:
    """What a process knows about the day.

    Args:
        date: as text, from whoever asked for the run; counts before all else.
        job: name of its Job.
        cron_job: name of the CronJob that the Job was made from.
        time_zone: IANA name.
        offset: from the scheduled time to the day.

    """

    date: str | None
    job: str | None
    cron_job: str | None
    time_zone: str
    offset: timedelta


def resolve(input_: str, output: str, told: Told) -> Found:
    """Fill the day in. Raises BatchError(DATE_UNKNOWN, SETTINGS_INVALID)."""
    try:
        moment = _moment(told)
        if moment is None and has_placeholder(input_, output):
            raise BatchError(Reason.DATE_UNKNOWN, _unknown(told))
        return Found(fill(input_, moment), fill(output, moment), moment)
    except ValueError as error:
        raise BatchError(Reason.SETTINGS_INVALID, str(error)) from error


def _moment(told: Told) -> Moment | None:
    if told.date:
        return parse(told.date)
    due = scheduled_time(told.job, told.cron_job) if told.job and told.cron_job else None
    if due is None or due < _EARLIEST:
        return None
    return of_schedule(due, zone=zone_of(told.time_zone), offset=told.offset)


def _unknown(told: Told) -> str:
    if told.job is None:
        return "input or output needs a date, and none is known; say --date 2026-11-20"
    return (
        f"the Job {told.job} was made by hand, so the day that it is for is not known; delete it and use modelway "
        "batch run with --date 2026-11-20, or set MODELWAY_DATE in its container batch"
    )
