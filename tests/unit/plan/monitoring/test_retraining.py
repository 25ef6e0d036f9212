"""When a Job is made to train a better model: once for each cause, and never more often than was asked for."""

from datetime import datetime, timedelta
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.plan import Refusal
from modelway.plan.monitoring.retraining_job import job_of
from modelway.plan.types import JobOrder
from support.builders import DIGEST, NAME, OTHER_DIGEST, UID, stamp
from support.retraining import CRON_JOB, HOUR, Upkeep, cron_job

DAY = timedelta(days=1)


def annotation(job):
    return orjson.loads(job["metadata"]["annotations"]["modelway.dev/retraining"])


def variables(job, container=0):
    inside = job["spec"]["template"]["spec"]["containers"][container]
    return {one["name"]: one.get("value") for one in inside["env"]}


def test_a_healthy_model_gets_no_job():
    upkeep = Upkeep()
    upkeep.window(times=5)
    assert upkeep.made == []
    assert upkeep.said() == ("False", "AsExpected")
    assert upkeep.world.status.retraining is None


def test_a_job_is_made_when_a_condition_turns_true_and_the_status_tells_of_it():
    upkeep = Upkeep()
    upkeep.drift()
    (name,) = upkeep.made
    told = upkeep.world.status.retraining
    assert (told.job, told.condition, told.result, told.jobs) == (name, "DataDrift", "Running", 1)
    assert told.model == DIGEST
    assert upkeep.told() == ["RetrainingStarted"]
    assert upkeep.said() == ("False", "AsExpected")


def test_a_condition_that_stays_true_asks_for_no_second_job():
    upkeep = Upkeep(cooldown="1h")
    upkeep.drift()
    upkeep.end()
    upkeep.window(shift=8.0, times=30)
    assert len(upkeep.made) == 1
    assert upkeep.told() == ["RetrainingStarted", "RetrainingEnded"]


def test_one_that_was_true_before_a_job_was_asked_for_counts():
    upkeep = Upkeep()
    upkeep.world.edit(monitoring__onDegraded=None)
    upkeep.drift()
    assert upkeep.made == []
    upkeep.world.edit(monitoring__onDegraded={"jobFrom": CRON_JOB})
    upkeep.look()
    assert len(upkeep.made) == 1


@pytest.mark.parametrize(("asked", "made"), [([], 1), (["DataDrift"], 1), (["ModelStale", "PerformanceDegraded"], 0)])
def test_only_conditions_that_were_named_ask_for_a_job(asked, made):
    upkeep = Upkeep(conditions=asked)
    upkeep.drift()
    assert len(upkeep.made) == made


def test_an_old_model_asks_for_one():
    upkeep = Upkeep()
    upkeep.age(days=31)
    assert upkeep.said("ModelStale")[0] == "True"
    assert variables(upkeep.world.jobs[0])["MODELWAY_REASON"] == "ModelStale"


def test_the_age_is_that_of_the_model_that_serves_and_not_of_a_candidate_that_was_rejected():
    upkeep = Upkeep()
    served = upkeep.world.resource["spec"]["model"]["trainingTime"]
    stable, newer = upkeep.world.stable, {"trainingTime": "2026-11-21T10:00:00Z", "digest": OTHER_DIGEST}
    upkeep.world.edit(model=upkeep.world.resource["spec"]["model"] | {"uri": "s3://models/fraud/2/"} | newer)
    upkeep.settle()
    upkeep.wait(HOUR)
    assert (upkeep.world.stable, upkeep.world.candidate) == (stable, None)
    upkeep.wait(31 * DAY)
    (job,) = upkeep.world.jobs
    assert variables(job)["MODELWAY_REASON"] == "ModelStale"
    assert variables(job)["MODELWAY_WINDOW_START"] == served


def test_the_second_time_waits_for_the_end_of_the_cooldown():
    upkeep = Upkeep(cooldown="10h")
    upkeep.drift()
    upkeep.end()
    upkeep.calm()
    upkeep.drift()
    assert len(upkeep.made) == 1
    began = upkeep.world.status.retraining.started_at
    pause = upkeep.world.plan().look_again_after
    assert upkeep.world.now + timedelta(seconds=pause) == began + 10 * HOUR
    upkeep.wait(timedelta(seconds=pause) - timedelta(seconds=1))
    assert len(upkeep.made) == 1
    upkeep.wait(timedelta(seconds=1))
    assert len(upkeep.made) == 2


def test_what_was_over_before_the_cooldown_asks_for_nothing():
    upkeep = Upkeep(cooldown="10h")
    upkeep.drift()
    upkeep.end()
    upkeep.calm()
    upkeep.drift()
    upkeep.calm()
    upkeep.wait(DAY)
    assert len(upkeep.made) == 1


def test_a_second_one_waits_until_the_first_has_ended():
    upkeep = Upkeep(cooldown="1m")
    upkeep.drift()
    upkeep.age(days=31)
    upkeep.wait(HOUR)
    assert len(upkeep.made) == 1
    upkeep.end()
    assert len(upkeep.made) == 2
    assert annotation(upkeep.world.jobs[1])["condition"] == "ModelStale"


def test_for_one_model_no_more_jobs_are_made_than_was_said_and_that_is_told():
    upkeep = Upkeep(cooldown="1m", maxJobs=2)
    for _ in range(2):
        upkeep.drift()
        upkeep.end()
        upkeep.calm()
    upkeep.drift()
    assert len(upkeep.made) == 2
    assert upkeep.said() == ("True", "MostJobsMade")
    assert "MostJobsMade" in upkeep.told()
    upkeep.world.edit(monitoring__onDegraded__maxJobs=3)
    upkeep.look()
    assert len(upkeep.made) == 3
    assert upkeep.said() == ("False", "AsExpected")


def test_another_model_begins_anew():
    upkeep = Upkeep(cooldown="1m", maxJobs=1)
    upkeep.drift()
    upkeep.end()
    upkeep.replace()
    assert upkeep.world.status.retraining.jobs == 1
    upkeep.drift()
    assert len(upkeep.made) == 2
    assert upkeep.world.status.retraining.jobs == 1
    assert upkeep.world.status.retraining.model != DIGEST


def test_while_another_model_is_on_its_way_none_is_trained():
    upkeep = Upkeep()
    upkeep.world.edit(model__uri="s3://models/fraud/2/", model__version="2", model__digest=f"sha256:{'3' * 64}")
    upkeep.look()
    upkeep.drift()
    assert upkeep.made == []


def test_nor_while_nothing_is_acted_on():
    upkeep = Upkeep()
    upkeep.world.edit(paused=True)
    upkeep.drift()
    assert upkeep.made == []
    upkeep.world.edit(paused=None)
    upkeep.look()
    assert len(upkeep.made) == 1


def test_a_job_that_failed_is_told_until_another_begins():
    upkeep = Upkeep(cooldown="1m")
    upkeep.drift()
    upkeep.end("Failed")
    assert upkeep.said() == ("True", "JobFailed")
    assert upkeep.told() == ["RetrainingStarted", "JobFailed"]
    upkeep.calm()
    assert upkeep.said() == ("True", "JobFailed")
    upkeep.drift()
    assert upkeep.said() == ("False", "AsExpected")


def test_a_job_that_is_deleted_is_not_made_again():
    upkeep = Upkeep(cooldown="1m")
    upkeep.drift()
    upkeep.world.jobs.clear()
    upkeep.window(shift=8.0, times=3)
    assert upkeep.world.status.retraining.result == "Gone"
    assert len(upkeep.made) == 1
    upkeep.calm()
    upkeep.drift()
    assert len(upkeep.made) == 2, "and stands in the way of nothing"


def test_where_the_status_is_lost_the_job_tells():
    upkeep = Upkeep(cooldown="10h")
    upkeep.drift()
    upkeep.end()
    upkeep.world.resource = {key: value for key, value in upkeep.world.resource.items() if key != "status"}
    upkeep.settle()
    assert upkeep.world.status.retraining.job == upkeep.made[0]
    upkeep.window(shift=8.0, times=3)
    assert len(upkeep.made) == 1


class TestRefused:
    def test_a_cron_job_that_is_missing_is_told_on_a_quiet_day(self):
        upkeep = Upkeep(jobFrom="trian")
        assert upkeep.said() == ("True", "CronJobMissing")
        assert "trian" in upkeep.world.condition("RetrainingFailed").message
        assert upkeep.said("Ready")[0] == "True"

    def test_what_it_was_to_see_to_is_not_lost(self):
        upkeep = Upkeep(jobFrom="later")
        upkeep.drift()
        assert upkeep.made == []
        upkeep.world.cron_jobs["later"] = cron_job("later")
        upkeep.wait(timedelta(minutes=1))
        assert len(upkeep.made) == 1
        assert upkeep.said() == ("False", "AsExpected")

    def test_one_that_runs_by_itself_is_refused(self):
        upkeep = Upkeep()
        upkeep.world.cron_jobs[CRON_JOB] = cron_job(suspend=False)
        upkeep.drift()
        assert upkeep.made == []
        assert upkeep.said() == ("True", "CronJobUnfit")

    def test_modelways_own_are_refused(self):
        upkeep = Upkeep()
        own = cron_job()
        own["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "modelway"}
        upkeep.world.cron_jobs[CRON_JOB] = own
        upkeep.drift()
        assert upkeep.made == []
        assert upkeep.said() == ("True", "CronJobUnfit")

    def test_it_stops_nothing_else(self):
        upkeep = Upkeep()
        upkeep.world.job_refusal = Refusal("QuotaExceeded", "exceeded quota: jobs")
        decision = upkeep.world.plan()
        assert decision.status.failure is None
        verdict = next(one for one in decision.status.conditions if one.type == "RetrainingFailed")
        assert (verdict.status, verdict.reason, verdict.message) == ("True", "QuotaExceeded", "exceeded quota: jobs")


@pytest.fixture(scope="module")
def upkeep():
    upkeep = Upkeep(monitoring={"features": "Hide"})
    upkeep.drift()
    return upkeep


@pytest.fixture(scope="module")
def job(upkeep):
    return upkeep.world.jobs[0]


class TestTheJob:
    def test_it_is_that_of_the_cron_job(self, job):
        assert job["spec"]["backoffLimit"] == 1
        assert job["spec"]["template"]["metadata"]["labels"] == {"app": "train"}
        assert job["metadata"]["labels"]["team"] == "risk"
        assert job["metadata"]["annotations"]["note"] == "hello"

    def test_it_belongs_to_the_model_deployment_which_does_not_control_it(self, job):
        (owner,) = job["metadata"]["ownerReferences"]
        assert (owner["name"], owner["uid"]) == (NAME, UID)
        assert "controller" not in owner

    def test_it_is_told_why_it_runs(self, upkeep, job):
        told = variables(job)
        since = upkeep.world.condition("DataDrift").last_transition_time
        assert told["MODELWAY_REASON"] == "DataDrift", "ours wins over the template's"
        assert told["MODELWAY_MESSAGE"].startswith("1 of 3 features have drifted: feature 1 (PSI")
        assert (told["MODELWAY_MODEL"], told["MODELWAY_NAMESPACE"]) == (NAME, "ml")
        assert (told["MODELWAY_MODEL_URI"], told["MODELWAY_MODEL_VERSION"]) == ("s3://models/fraud/1/", "1")
        assert told["MODELWAY_MODEL_DIGEST"] == DIGEST
        assert told["MODELWAY_SINCE"] == stamp(since)
        assert told["MODELWAY_WINDOW_START"] == stamp(since - timedelta(minutes=15))
        assert told["MODELWAY_WINDOW_END"] >= told["MODELWAY_SINCE"]
        assert told["AWS_REGION"] == "eu"

    def test_its_own_variables_may_refer_to_ours(self, job):
        names = [one["name"] for one in job["spec"]["template"]["spec"]["containers"][0]["env"]]
        assert names[-1] == "AWS_REGION"
        assert len(names) == len(set(names))

    def test_it_stays_for_a_week(self, job):
        assert job["spec"]["ttlSecondsAfterFinished"] == 7 * 86400

    def test_its_name_fits_where_the_models_is_long(self):
        upkeep = Upkeep()
        upkeep.world.resource["metadata"]["name"] = "x" * 63
        upkeep.drift()
        assert len(upkeep.made[0]) <= 63


def test_a_job_stays_for_an_hour_at_least():
    upkeep = Upkeep()
    upkeep.world.cron_jobs[CRON_JOB] = cron_job(ttlSecondsAfterFinished=0)
    upkeep.drift()
    assert upkeep.world.jobs[0]["spec"]["ttlSecondsAfterFinished"] == 3600


def test_no_variable_of_the_container_can_be_read_by_the_name_of_a_feature():
    order = JobOrder(CRON_JOB, "job", "{}", {"MODELWAY_MESSAGE": "$(AWS_SECRET_ACCESS_KEY) has drifted"})
    job = job_of(cron_job(), order, owner=NAME, owner_uid=UID)
    assert variables(job)["MODELWAY_MESSAGE"] == "$$(AWS_SECRET_ACCESS_KEY) has drifted"


ACTS = st.sampled_from(["drift", "calm", "stale", "young", "end", "fail", "delete", "restart", "kill", "wait"])


@given(acts=st.lists(ACTS, max_size=12), cooldown=st.sampled_from([1, 5, 24]), most=st.integers(1, 3))
def test_there_are_never_two_jobs_for_one_cause_nor_more_or_sooner_than_was_asked_for(acts, cooldown, most):
    upkeep = Upkeep(cooldown=f"{cooldown}h", maxJobs=most)
    world = upkeep.world
    began: list = []
    causes: set = set()

    def seen():
        for job in world.jobs:
            told = annotation(job)
            if told not in began:
                began.append(told)
        standing = (one for one in world.status.conditions if one.type in {"DataDrift", "ModelStale"})
        causes.update((one.type, one.last_transition_time) for one in standing if one.status == "True")

    for act in acts:
        if act == "drift":
            upkeep.window(shift=8.0, times=3)
        elif act == "calm":
            upkeep.window(times=3)
        elif act in {"stale", "young"}:
            upkeep.age(days=31 if act == "stale" else 0)
        elif act in {"end", "fail"} and world.jobs:
            upkeep.end("Complete" if act == "end" else "Failed")
        elif act == "delete":
            seen()
            world.jobs.clear()
            upkeep.look()
        elif act == "restart":
            world.forget()
            upkeep.look()
        elif act == "kill":
            world.now += timedelta(minutes=10)
            for writes in (0, 1, 2):
                world.look(writes=writes)
            upkeep.look()
        else:
            upkeep.wait(2 * HOUR)
        seen()
    moments = sorted(told["startedAt"] for told in began)
    assert len(upkeep.made) == len(set(upkeep.made)) == len(began) <= min(most, len(causes))
    assert all(_hours(first, second) >= cooldown for first, second in pairwise(moments))


def _hours(first, second):
    return (datetime.fromisoformat(second) - datetime.fromisoformat(first)) / HOUR
