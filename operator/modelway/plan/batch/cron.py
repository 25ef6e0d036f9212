"""When a schedule fires next, as Kubernetes will see it.

Status tells when the next run is due, so this has to agree with what fires it: github.com/robfig/cron/v3, whose rules
differ from those of the Python libraries. A day matches either of day of month and day of week unless one of them is a
star; 7 is no day; a time that the clocks leave out does not fire, and one that they show twice fires twice. Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_YEARS: Final = 5
"""How far Kubernetes looks ahead before it gives a schedule up."""

_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True, slots=True)
class _Field:
    """The values of a field that fire, and whether it is a star, which leaves the other field of days alone."""

    values: frozenset[int]
    is_star: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule in a time zone; made by `parse`."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: _Field
    months: frozenset[int]
    weekdays: _Field
    zone: ZoneInfo

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time after `moment` that fires, in UTC; None where there is none in the next five years."""
        day = moment.astimezone(self.zone).date()
        last = date(day.year + _YEARS, 12, 31)
        while day <= last:
            if day.month not in self.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
                continue
            if self._is_on(day):
                for fires in self._times(day, moment):
                    return fires
            day += timedelta(days=1)
        return None

    def _is_on(self, day: date) -> bool:
        of_month, of_week = day.day in self.days.values, day.isoweekday() % 7 in self.weekdays.values
        if self.days.is_star or self.weekdays.is_star:
            return of_month and of_week
        return of_month or of_week

    def _times(self, day: date, after: datetime) -> Iterator[datetime]:
        """The times of a day that fire, later than `after`, in order."""
        if self._has_a_change_of_clocks(day):
            found = {moment for at in self._clock_times() for moment in self._moments(day, at)}
            yield from (moment for moment in sorted(found) if moment > after)
            return
        local = after.astimezone(self.zone)
        earliest = local.time() if local.date() == day else time.min
        for at in self._clock_times():
            if at >= earliest.replace(second=0, microsecond=0):
                moment = datetime.combine(day, at, self.zone).astimezone(UTC)
                if moment > after:
                    yield moment

    def _clock_times(self) -> Iterator[time]:
        return (time(hour, minute) for hour in self.hours for minute in self.minutes)

    def _has_a_change_of_clocks(self, day: date) -> bool:
        begin, end = (datetime.combine(one, time.min, self.zone) for one in (day, day + timedelta(days=1)))
        return begin.utcoffset() != end.utcoffset()

    def _moments(self, day: date, at: time) -> Iterator[datetime]:
        """The moments at which the clocks show `at`: none, one or two."""
        shown = datetime.combine(day, at)
        for fold in (0, 1):
            moment = shown.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)
            if moment.astimezone(self.zone).replace(tzinfo=None, fold=0) == shown:
                yield moment


def parse(text: str, zone: ZoneInfo) -> Schedule:
    """A schedule from its text.

    Raises:
        ValueError: it is none; the message names the field.
    """
    fields = _MACROS.get(text, text).split()
    if len(fields) != 5:
        raise ValueError(f'"{text}" has {len(fields)} fields; a schedule has 5, such as 15 2 * * *')
    minutes = _field(fields[0], 0, 59)
    hours = _field(fields[1], 0, 23)
    return Schedule(
        minutes=tuple(sorted(minutes.values)),
        hours=tuple(sorted(hours.values)),
        days=_field(fields[2], 1, 31),
        months=_field(fields[3], 1, 12, _MONTHS).values,
        weekdays=_field(fields[4], 0, 6, _DAYS),
        zone=zone,
    )


def _field(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> _Field:
    parts = [_part(part, low, high, names) for part in text.split(",")]
    values = frozenset[int]().union(*(values for values, _ in parts))
    return _Field(values, is_star=any(star for _, star in parts))


def _part(text: str, low: int, high: int, names: tuple[str, ...]) -> tuple[frozenset[int], bool]:
    span, slash, step_text = text.partition("/")
    first, dash, last = span.partition("-")
    step = _number(step_text, 1, 10_000, ()) if slash else 1
    if first in {"*", "?"} and not dash:
        return frozenset(range(low, high + 1, step)), step == 1
    begin = _number(first, low, high, names)
    end = _number(last, low, high, names) if dash else high if slash else begin
    if begin > end:
        raise ValueError(f'"{text}" runs backwards: {begin} is after {end}')
    return frozenset(range(begin, end + 1, step)), False


def _number(text: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + low
    if not text.isdecimal() or not low <= int(text) <= high:
        raise ValueError(f'"{text}" is no number from {low} to {high}')
    return int(text)
