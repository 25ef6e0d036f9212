"""Jobs that are asked for by hand: the CronJob's own, and the day said."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.api.batch_dates import parse
from modelway.api.kinds import CRON_JOB
from modelway.api.names import LABEL_BATCH_JOB, LABEL_NAME, MAX_CRON_JOB
from modelway.cli.batch import manual
from modelway.cli.errors import Refused
from modelway.plan import ChildKey
from support.batch_jobs import entry, scoring
from support.builders import NAME

DAY = parse("2026-11-20")


def cron_job(**fields):
    """A CronJob as the operator makes it."""
    return scoring(entry(**fields)).children[ChildKey(CRON_JOB, f"{NAME}-nightly")]


def environment(job, kind="containers", number=0):
    container = job["spec"]["template"]["spec"][kind][number]
    return {one["name"]: one.get("value") for one in container["env"]}


def test_the_day_is_said_to_the_container_that_scores_and_on_the_job():
    job = manual.job_of(cron_job(), "again", DAY)
    assert environment(job)["MODELWAY_DATE"] == "2026-11-20"
    assert job["metadata"]["annotations"]["modelway.dev/date"] == "2026-11-20"


def test_the_day_is_said_to_the_container_that_resolves_for_an_image_of_ones_own():
    job = manual.job_of(cron_job(container={"image": "a"}), "again", DAY)
    assert environment(job, "initContainers", -1)["MODELWAY_DATE"] == "2026-11-20"


def test_all_else_is_what_the_cron_job_makes():
    made = cron_job()
    job = manual.job_of(made, "again", None)
    template = made["spec"]["jobTemplate"]
    assert {key: job["spec"][key] for key in template["spec"]} == template["spec"]
    assert job["metadata"]["labels"] == template["metadata"]["labels"]


def test_the_cron_jobs_own_template_stays_as_it_was():
    made = cron_job()
    before = repr(made)
    manual.job_of(made, "again", DAY)
    assert repr(made) == before


def test_it_goes_with_the_model_deployment_and_is_none_of_the_operators_children():
    (owner,) = manual.job_of(cron_job(), "again", None)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("ModelDeployment", NAME)
    assert "controller" not in owner


def test_the_operator_finds_it_by_its_labels():
    labels = manual.job_of(cron_job(), "again", None)["metadata"]["labels"]
    assert (labels[LABEL_NAME], labels[LABEL_BATCH_JOB]) == (NAME, "nightly")


@given(st.text("abc-", min_size=1, max_size=MAX_CRON_JOB), st.booleans())
def test_every_name_leaves_room_for_the_pods_of_ten_thousand_shards(name, with_time):
    moment = parse("2026-11-20T1430") if with_time else DAY
    names = [*manual.names(name, moment, 0)]
    assert len(set(names)) == manual.MOST_TRIES
    assert all(len(f"{one}-9999") <= 63 for one in names)


def test_the_same_day_has_the_same_name():
    assert next(manual.names("fraud-nightly", DAY, 1)) == next(manual.names("fraud-nightly", DAY, 2))


def test_a_month_is_its_days():
    days = manual.days("2026-02-01", "2026-02-28", None)
    assert [str(day) for day in (days[0], days[-1])] == ["2026-02-01", "2026-02-28"]
    assert len(days) == 28


def test_each_day_may_have_a_time():
    assert [str(day) for day in manual.days("2026-02-28", "2026-03-01", "1430")] == [
        "2026-02-28T1430",
        "2026-03-01T1430",
    ]


@pytest.mark.parametrize(
    ("first", "last", "at", "said"),
    [
        ("2026-02-30", "2026-03-01", None, '"2026-02-30" is no date'),
        ("2026-03-02", "2026-03-01", None, "--from 2026-03-02 is after --to 2026-03-01"),
        ("2020-01-01", "2026-03-01", None, "at most 1000 at once"),
        ("2026-03-01T0100", "2026-03-02", None, "are days"),
        ("2026-03-01", "2026-03-02", "25", "no date"),
    ],
)
def test_a_span_that_makes_no_sense_is_refused(first, last, at, said):
    with pytest.raises(Refused, match=re.escape(said)):
        manual.days(first, last, at)


@pytest.mark.parametrize(
    ("output", "date", "said"),
    [
        ("s3://scores/{date}/", None, "say --date"),
        ("s3://scores/{date}/{time}/", "2026-11-20", "needs a time of day"),
        ("s3://scores/{date}/", "20.11.2026", "is no date"),
    ],
)
def test_a_day_that_the_uris_need_is_asked_for(output, date, said):
    with pytest.raises(Refused, match=said):
        manual.moment_of(cron_job(output={"uri": output}), date)


def test_no_day_is_asked_for_where_none_is_needed():
    made = cron_job(input={"uri": "s3://lake/all/"}, output={"uri": "s3://scores/all/"})
    assert manual.moment_of(made, None) is None


def mdep(*names, looked_at=True):
    entries = [{"name": name} for name in names]
    return {
        "metadata": {"name": NAME},
        "spec": {"batchJobs": entries},
        "status": {"batchJobs": [one | {"cronJob": f"{NAME}-{one['name']}"} for one in entries]} if looked_at else {},
    }


def test_the_only_entry_need_not_be_named():
    assert manual.entry_of(mdep("nightly"), None)["cronJob"] == "fraud-nightly"


@pytest.mark.parametrize(
    ("obj", "wanted", "said"),
    [
        (mdep(), None, "has no batchJobs"),
        (mdep("nightly", "weekly"), None, "say which with --job: nightly, weekly"),
        (mdep("nightly"), "weekly", "has no batch job weekly; it has nightly"),
        (mdep("nightly", looked_at=False), None, "has not looked at nightly yet"),
    ],
)
def test_an_entry_that_is_not_clear_is_asked_for(obj, wanted, said):
    with pytest.raises(Refused, match=said):
        manual.entry_of(obj, wanted)
