"""When a schedule fires: by the rules of github.com/robfig/cron/v3, which Kubernetes uses."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.api.batch_dates import zone_of
from modelway.api.batch_times import SCHEDULE
from modelway.plan.batch.cron import parse

MADRID, UTC_ZONE = zone_of("Europe/Madrid"), zone_of("Etc/UTC")


def local(text, zone=MADRID, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


def fired(schedule, after, count, zone=MADRID):
    """The next times, by the zone's clocks."""
    times, moment = [], local(after, zone)
    for _ in range(count):
        moment = parse(schedule, zone).next_after(moment)
        times.append(f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M %z}")
    return times


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("15 2 * * *", "2026-11-21T02:14", "Sat 2026-11-21 02:15 +0100"),
        ("15 2 * * *", "2026-11-21T02:15", "Sun 2026-11-22 02:15 +0100"),
        ("*/15 9-17 * * 1-5", "2026-11-20T17:50", "Mon 2026-11-23 09:00 +0100"),
        ("0 0 1 jan,JUL *", "2026-11-21T00:00", "Fri 2027-01-01 00:00 +0100"),
        ("0 0 29 2 *", "2026-11-21T00:00", "Tue 2028-02-29 00:00 +0100"),
        ("5/20 * * * *", "2026-11-21T10:26", "Sat 2026-11-21 10:45 +0100"),
        ("0 12 13 * FRI", "2026-11-21T00:00", "Fri 2026-11-27 12:00 +0100"),  # either of them: the next Friday
        ("0 12 13 * *", "2026-11-21T00:00", "Sun 2026-12-13 12:00 +0100"),
        ("0 12 */2 * 1", "2026-11-21T13:00", "Mon 2026-11-23 12:00 +0100"),  # */2 is no star: either of them
        ("0 12 ? * 0", "2026-11-21T00:00", "Sun 2026-11-22 12:00 +0100"),
        ("@monthly", "2026-11-21T00:00", "Tue 2026-12-01 00:00 +0100"),
        ("@weekly", "2026-11-21T00:00", "Sun 2026-11-22 00:00 +0100"),
    ],
)
def test_it_fires_next(schedule, after, expected):
    assert fired(schedule, after, 1) == [expected]


def test_a_time_that_the_clocks_leave_out_does_not_fire():
    assert fired("30 2 * * *", "2026-03-28T03:00", 2) == ["Mon 2026-03-30 02:30 +0200", "Tue 2026-03-31 02:30 +0200"]


def test_a_time_that_the_clocks_show_twice_fires_twice():
    expected = ["Sun 2026-10-25 02:30 +0200", "Sun 2026-10-25 02:30 +0100", "Mon 2026-10-26 02:30 +0100"]
    assert fired("30 2 * * *", "2026-10-25T00:00", 3) == expected


@pytest.mark.parametrize("schedule", ["0 0 30 2 *", "0 0 31 4,6,9,11 *"])
def test_a_day_that_is_in_no_calendar_never_fires(schedule):
    assert parse(schedule, MADRID).next_after(local("2026-11-21T00:00")) is None


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("* * * *", "has 4 fields"),
        ("60 * * * *", '"60" is no number from 0 to 59'),
        ("* * 0 * *", '"0" is no number from 1 to 31'),
        ("* * * * 7", '"7" is no number from 0 to 6'),
        ("* * * foo *", '"foo" is no number'),
        ("30-10 * * * *", "runs backwards"),
        ("*/0 * * * *", '"0" is no number'),
        ("1- * * * *", "is no number"),
    ],
)
def test_what_is_no_schedule_is_told_by_its_field(schedule, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        parse(schedule, UTC_ZONE)


@given(st.from_regex(re.compile(SCHEDULE, re.ASCII)))
def test_what_the_schema_lets_through_is_a_schedule_or_has_a_range_that_runs_backwards(text):
    problem = problem_of(text.rstrip("\n"))
    assert problem is None or "runs backwards" in problem


def problem_of(text):
    try:
        parse(text, UTC_ZONE)
    except ValueError as error:
        return str(error)
    return None


FIELDS = (
    st.sampled_from(["*", "0", "7,30", "*/20", "59", "10-50/7"]),
    st.sampled_from(["*", "2", "1-3", "*/6", "23"]),
    st.sampled_from(["*", "1", "29-31", "*/10"]),
    st.sampled_from(["*", "3", "10,3", "2-4"]),
    st.sampled_from(["*", "0", "mon-fri", "*/3"]),
)


@given(
    st.tuples(*FIELDS).map(" ".join),
    st.integers(0, 365 * 24 * 60).map(lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)),
    st.sampled_from(["Europe/Madrid", "Australia/Lord_Howe", "America/Havana"]),
)
def test_nothing_fires_between_now_and_the_next_time(schedule, now, zone_name):
    """Looked at minute by minute, as the library does it, over the two days after a moment."""
    zone = zone_of(zone_name)
    one = parse(schedule, zone)
    found = one.next_after(now)
    minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    end = min(minute + timedelta(days=2), found or datetime.max.replace(tzinfo=UTC))
    while minute < end:
        assert not _matches(one, minute.astimezone(zone))
        minute += timedelta(minutes=1)
    if found is not None:
        assert _matches(one, found.astimezone(zone))


def _matches(one, shown):
    of_month, of_week = shown.day in one.days.values, shown.isoweekday() % 7 in one.weekdays.values
    is_on = of_month and of_week if one.days.is_star or one.weekdays.is_star else of_month or of_week
    return is_on and shown.month in one.months and shown.hour in one.hours and shown.minute in one.minutes
