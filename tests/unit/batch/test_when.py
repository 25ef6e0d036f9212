"""Which day a process scores: what it was told, else what its Job's name tells, else none."""

from datetime import timedelta

import pytest

from modelway.batch.errors import BatchError, ExitCode, Reason
from modelway.batch.when import Told, resolve

IN, OUT = "s3://lake/dt={date}/", "s3://scores/dt={date}/"
NAMED = "fraud-nightly-29738175"
"""2026-07-17 12:15 UTC"""


def told(**given):
    usual = {"date": None, "job": NAMED, "cron_job": "fraud-nightly", "time_zone": "Etc/UTC", "offset": timedelta()}
    return Told(**usual | given)


def test_a_scheduled_run_is_about_the_day_of_its_name():
    found = resolve(IN, OUT, told(offset=timedelta(hours=-24)))
    assert (found.input, found.output) == ("s3://lake/dt=2026-07-16/", "s3://scores/dt=2026-07-16/")


def test_the_time_zone_says_which_day_it_is():
    found = resolve(IN, OUT, told(job="fraud-nightly-29739050", time_zone="Pacific/Auckland"))
    assert str(found.date) == "2026-07-18T1450"


def test_a_day_that_is_said_counts_before_the_name():
    assert resolve(IN, OUT, told(date="2026-01-05")).output == "s3://scores/dt=2026-01-05/"


@pytest.mark.parametrize("job", ["fraud-nightly-test", "fraud-nightly-manual-1", "fraud-nightly-12345678"])
def test_a_job_made_by_hand_is_refused_with_what_to_do(job):
    with pytest.raises(BatchError, match="made by hand") as caught:
        resolve(IN, OUT, told(job=job))
    assert (caught.value.reason, caught.value.code) == (Reason.DATE_UNKNOWN, ExitCode.RUN)
    assert "modelway batch run" in caught.value.message
    assert "MODELWAY_DATE" in caught.value.message


def test_outside_of_a_cluster_the_date_is_asked_for():
    with pytest.raises(BatchError, match="say --date"):
        resolve(IN, OUT, told(job=None, cron_job=None))


def test_a_job_made_by_hand_is_welcome_where_no_day_is_needed():
    found = resolve("s3://lake/all/", "s3://scores/all/", told(job="fraud-nightly-test"))
    assert found.date is None


@pytest.mark.parametrize(("given", "said"), [({"date": "today"}, "no date"), ({"time_zone": "Mars/Base"}, "time zone")])
def test_what_makes_no_sense_is_told(given, said):
    with pytest.raises(BatchError, match=said) as caught:
        resolve(IN, OUT, told(**given))
    assert caught.value.reason == Reason.SETTINGS_INVALID
