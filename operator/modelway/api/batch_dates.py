"""Which day a batch run is about, and what `{date}` and `{time}` in its URIs become.

The one place where that is decided, for three who must agree: the runner in a pod, `plan`, which tells it in status,
and `modelway batch run` and `backfill`. Standard library only: the runner's image has no pydantic. Pure.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DATE: Final = "{date}"
TIME: Final = "{time}"
UTC_NAME: Final = "Etc/UTC"
"""The time zone where none is given: that of kube-controller-manager is nobody's choice."""

_TEXT: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2}):?([0-9]{2}))?")
_MINUTES: Final = re.compile(r"[1-9][0-9]{7,8}")
"""Minutes since 1970, as a CronJob writes them at the end of its Jobs' names: from 1989 to 3871."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A day, and the time of day where it is known: what the data of a run is of, by the clocks of its time zone."""

    day: date
    at: time | None = None

    def __str__(self) -> str:
        return f"{self.day}T{self.at:%H%M}" if self.at is not None else str(self.day)


def parse(text: str) -> Moment:
    """`2026-11-20`, or with a time of day `2026-11-20T1430`.

    Raises:
        ValueError: it is neither, or no day of the calendar.
    """
    match = _TEXT.fullmatch(text)
    try:
        if match is not None:
            at = time(int(match[2]), int(match[3])) if match[2] else None
            return Moment(date.fromisoformat(match[1]), at)
    except ValueError:
        pass
    raise ValueError(f'"{text}" is no date; write for example 2026-11-20, or 2026-11-20T1430')


def zone_of(name: str) -> ZoneInfo:
    """The time zone called `name`.

    Raises:
        ValueError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f'"{name}" is no time zone; write a name of the IANA database, such as Europe/Madrid or Etc/UTC'
        ) from None


def of_schedule(scheduled: datetime, *, zone: ZoneInfo, offset: timedelta) -> Moment:
    """What a run that was due at `scheduled` is about.

    The offset is taken by the clock on the wall: `-24h` is the same time on the day before also when a change of the
    clocks made that day 23 or 25 hours long. By elapsed hours, a run at 00:15 after the change in spring would be about
    the day before the last.
    """
    local = scheduled.astimezone(zone).replace(tzinfo=None) + offset
    return Moment(local.date(), local.time().replace(second=0, microsecond=0))


def scheduled_time(job: str, cron_job: str) -> datetime | None:
    """When a Job of `cron_job` was due, read off its name; None where the name is none that a CronJob gives.

    kube-controller-manager names a Job `<cron job>-<minutes since 1970>` (pkg/controller/cronjob, `getJobName`). Its
    annotation with the scheduled time is on the Job, where no pod can read it.
    """
    prefix = f"{cron_job}-"
    rest = job.removeprefix(prefix)
    if not job.startswith(prefix) or not _MINUTES.fullmatch(rest):
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=int(rest))


def has_placeholder(*uris: str) -> bool:
    """Whether any of the URIs depends on the day."""
    return any(word in uri for uri in uris for word in (DATE, TIME))


def fill(uri: str, moment: Moment | None) -> str:
    """`uri` with the day, `2026-11-20`, in place of `{date}`, and the time, `1430`, in place of `{time}`.

    Raises:
        ValueError: the URI needs what is not known.
    """
    if not has_placeholder(uri):
        return uri
    if moment is None:
        raise ValueError(f"{uri} needs a date, and none is known")
    if TIME in uri and moment.at is None:
        raise ValueError(f"{uri} needs a time of day, and {moment} has none; write {moment}T1430")
    told = f"{moment.at:%H%M}" if moment.at is not None else ""
    return uri.replace(DATE, str(moment.day)).replace(TIME, told)
