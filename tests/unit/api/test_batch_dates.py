"""The day of a run: over changes of the clocks, from the names of Jobs, and in URIs."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.api.batch_dates import Moment, fill, has_placeholder, of_schedule, parse, scheduled_time, zone_of

DAY_BEFORE = timedelta(hours=-24)
LORD_HOWE = "Australia/Lord_Howe"  # its clocks change by half an hour


@pytest.mark.parametrize(
    ("zone", "local", "offset", "expected"),
    [
        ("Europe/Madrid", "2026-11-21T02:15", DAY_BEFORE, "2026-11-20T0215"),
        ("Europe/Madrid", "2026-03-30T00:15", DAY_BEFORE, "2026-03-29T0015"),  # the 29th had 23 hours
        ("Europe/Madrid", "2026-10-26T00:15", DAY_BEFORE, "2026-10-25T0015"),  # the 25th had 25 hours
        ("Europe/Madrid", "2026-10-26T23:45", DAY_BEFORE, "2026-10-25T2345"),
        ("America/New_York", "2026-03-09T00:05", DAY_BEFORE, "2026-03-08T0005"),
        (LORD_HOWE, "2026-10-05T00:15", DAY_BEFORE, "2026-10-04T0015"),
        ("Asia/Kathmandu", "2026-11-21T00:00", timedelta(minutes=-1), "2026-11-20T2359"),
        ("Etc/UTC", "2028-03-01T00:00", DAY_BEFORE, "2028-02-29T0000"),
        ("Etc/UTC", "2026-11-21T02:15", timedelta(0), "2026-11-21T0215"),
        ("Etc/UTC", "2026-11-21T02:15", timedelta(hours=36), "2026-11-22T1415"),
    ],
)
def test_the_day_before_is_the_day_before_by_the_clocks_on_the_wall(zone, local, offset, expected):
    scheduled = datetime.fromisoformat(local).replace(tzinfo=zone_of(zone)).astimezone(UTC)
    assert str(of_schedule(scheduled, zone=zone_of(zone), offset=offset)) == expected


@given(
    st.dates(date(2024, 1, 1), date(2030, 1, 1)),
    st.sampled_from(["Europe/Madrid", "America/Santiago", LORD_HOWE, "Africa/Cairo"]),
)
def test_runs_of_two_days_in_a_row_are_about_two_days_in_a_row(day, zone):
    """Whatever the clocks do between them: no day is left out, none is done twice."""
    first, second = (
        of_schedule(datetime.combine(one, time(4, 15), zone_of(zone)), zone=zone_of(zone), offset=DAY_BEFORE)
        for one in (day, day + timedelta(days=1))
    )
    assert second.day - first.day == timedelta(days=1)


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "../etc/passwd", "Europe", "/etc/localtime", "a\0b"])
def test_what_is_no_time_zone_is_named(name):
    with pytest.raises(ValueError, match="no time zone"):
        zone_of(name)


@given(st.integers(15_778_080, 68_374_080))  # from 2000 to 2100
def test_a_jobs_name_tells_when_it_was_due(minutes):
    assert scheduled_time(f"fraud-nightly-{minutes}", "fraud-nightly") == datetime.fromtimestamp(60 * minutes, UTC)


@pytest.mark.parametrize(
    "job", ["fraud-nightly-test", "fraud-nightly-7", "fraud-nightly-29734455x", "other-29734455", "fraud-nightly", ""]
)
def test_a_name_that_no_cron_job_gives_tells_nothing(job):
    assert scheduled_time(job, "fraud-nightly") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20", Moment(date(2026, 11, 20))),
        ("2026-11-20T1430", Moment(date(2026, 11, 20), time(14, 30))),
        ("2026-11-20T14:30", Moment(date(2026, 11, 20), time(14, 30))),
    ],
)
def test_a_date_is_read_with_and_without_a_time(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["", "20.11.2026", "2026-02-30", "2026-11-20T2500", "2026-11-20T14", "yesterday"])
def test_what_is_no_date_says_how_to_write_one(text):
    with pytest.raises(ValueError, match="write for example 2026-11-20"):
        parse(text)


def test_placeholders_are_filled_wherever_they_are():
    uri = "s3://lake/{date}/dt={date}/{time}.parquet"
    assert fill(uri, parse("2026-11-20T0905")) == "s3://lake/2026-11-20/dt=2026-11-20/0905.parquet"
    assert has_placeholder("s3://lake/", uri)


def test_without_placeholders_no_day_is_needed():
    assert fill("s3://lake/all/", None) == "s3://lake/all/"
    assert not has_placeholder("s3://lake/all/", "s3://out/")


@pytest.mark.parametrize(("uri", "moment"), [("{date}", None), ("{time}", parse("2026-11-20"))])
def test_a_day_or_time_that_is_not_known_is_refused(uri, moment):
    with pytest.raises(ValueError, match="needs a"):
        fill(uri, moment)
