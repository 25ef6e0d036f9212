"""What status tells of runs, and what is told as an Event."""

from datetime import timedelta

import pytest

from modelway.api.kinds import CRON_JOB
from modelway.api.names import ANNOTATION_DATE
from modelway.plan import ChildKey
from support.batch_jobs import batch_pod, complete, entry, failed, job, scoring
from support.builders import NAME, NOW, container, spec, waiting
from support.simulation import Simulation

DUE = NOW.replace(hour=2, minute=15)
RUN = "fraud-nightly-29738175"
MISSED = "the run of 2026-11-22 02:15 UTC has not begun"
TOTALS = {"rows": 500, "run": {"rows": 2000, "failedRows": 3, "rowsPerCoreSecond": 900, "output": "s3://x/"}}


@pytest.fixture
def world():
    """A model that serves, with a batch job each night at 02:15; it is noon."""
    return scoring(entry())


def told(world):
    world.look()
    (one,) = world.resource["status"]["batchJobs"]
    return one


def batch_failed(world):
    found = {one["type"]: one for one in world.resource["status"]["conditions"]}["BatchFailed"]
    return found["status"], found["reason"], found["message"]


def events(world, *reasons):
    return [(one.type, one.reason, one.message) for one in world.happenings if one.reason in reasons]


def at(minutes):
    return DUE + timedelta(minutes=minutes)


def test_before_the_first_run_it_says_when_that_is(world):
    assert told(world) == {"name": "nightly", "cronJob": "fraud-nightly", "nextRun": "2026-11-22T02:15:00Z"}
    assert batch_failed(world)[:2] == ("False", "AsExpected")


def test_a_suspended_job_is_never_due(world):
    world.edit(batchJobs=[entry(suspend=True)])
    assert "nextRun" not in told(world)


def test_a_run_that_goes_on_is_told_with_the_day_that_it_is_about(world):
    world.jobs = [job(RUN, created=DUE, due=DUE, active=2, ready=2, succeeded=1)]
    run = told(world)["activeRun"]
    assert (run["job"], run["result"], run["succeededShards"], run["shards"]) == (RUN, "Running", 1, 4)
    assert (run["date"], run["output"]) == ("2026-11-20T0215", "s3://scores/dt=2026-11-20/")


def test_a_run_that_went_well_is_told_with_its_counts_and_once(world):
    world.jobs = [job(RUN, created=DUE, due=DUE, **complete(at(3)))]
    world.batch_pods = [batch_pod(RUN, 0, 0, rows=500), batch_pod(RUN, 1, 0, **TOTALS)]
    run = told(world)["lastRun"]
    assert run["result"] == "Succeeded"
    assert (run["rows"], run["failedRows"], run["rowsPerCoreSecond"], run["durationSeconds"]) == (2000, 3, 900, 180)
    world.look()
    (event,) = events(world, "BatchSucceeded")
    assert event[0] == "Normal"
    assert "2,000 rows, 3 of them without an answer in 180 s; s3://scores/dt=2026-11-20/" in event[2]
    assert batch_failed(world)[0] == "False"


def test_the_end_is_told_when_the_pods_have_been_heard_or_after_a_while(world):
    world.now = at(3)
    world.jobs = [job(RUN, created=DUE, due=DUE, **complete(at(3)))]
    assert "lastRun" not in told(world)
    assert world.last.look_again_after <= 1
    world.tick(6)
    run = told(world)["lastRun"]
    assert run["result"] == "Succeeded"
    assert "rows" not in run


def test_pods_that_are_not_seen_to_have_ended_are_waited_for_longer(world):
    world.jobs = [job(RUN, created=DUE, due=DUE, **complete(at(3)))]
    world.batch_pods = [batch_pod(RUN, 0, 0, rows=500), batch_pod(RUN, 1)]
    world.now = at(3)
    world.tick(30)
    assert "lastRun" not in told(world)
    world.batch_pods = [world.batch_pods[0], batch_pod(RUN, 1, 0, **TOTALS)]
    world.tick(1)
    assert told(world)["lastRun"]["rows"] == 2000


@pytest.mark.parametrize("said", [{}, {"rows": "many"}], ids=["nothing", "no numbers"])
def test_a_run_that_tells_nothing_that_counts_has_not_been_heard(world, said):
    world.jobs = [job(RUN, created=DUE, due=DUE, **complete(at(3)))]
    world.batch_pods = [batch_pod(RUN, 0, 0, run=said)]
    world.now = at(3)
    assert "lastRun" not in told(world)
    assert world.last.look_again_after <= 1


def test_an_image_of_ones_own_may_tell_its_rows_shard_by_shard(world):
    world.jobs = [job(RUN, created=DUE, due=DUE, shards=2, **complete(at(3), 2))]
    world.batch_pods = [batch_pod(RUN, shard, 0, rows=10 + shard, failedRows=shard) for shard in (0, 1)]
    run = told(world)["lastRun"]
    assert (run["rows"], run["failedRows"]) == (21, 1)


FAILURES = {
    "a column that is missing, in the runner's words": (
        failed(at(1), "PodFailurePolicy"),
        [batch_pod(RUN, 2, 1, reason="StoreFailed", message="away"),
         batch_pod(RUN, 3, 43, reason="ColumnMissing", message="the input has no column amount")],
        ("ColumnMissing", "the input has no column amount"),
    ),
    "a shard that was given up, with its number": (
        failed(at(1), failedIndexes="1,3"),
        [batch_pod(RUN, 1, 42, reason="InputUnreadable", message="7.parquet is broken")],
        ("InputUnreadable", "shard 1: 7.parquet is broken"),
    ),
    "a container that says nothing": (
        failed(at(1), failedIndexes="0"),
        [batch_pod(RUN, 0, 1)],
        ("ShardsFailed", "shard 0: batch: ended with exit code 1"),
    ),
    "memory": (
        failed(at(1), failedIndexes="0"),
        [batch_pod(RUN, 0, containers=[container("batch", {"terminated": {"exitCode": 137, "reason": "OOMKilled"}})])],
        ("OOMKilled", "raise resources.limits.memory"),
    ),
    "the deadline": (failed(at(60), "DeadlineExceeded"), [], ("DeadlineExceeded", "longer than 3600 s")),
    "pods that are gone": (failed(at(1), failedIndexes="0-2"), [], ("ShardsFailed", "Job has failed indexes")),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
def test_a_run_that_failed_is_told_by_its_cause(world, name):
    status, pods, (reason, words) = FAILURES[name]
    world.jobs, world.batch_pods = [job(RUN, created=DUE, due=DUE, **status)], pods
    run = told(world)["lastRun"]
    assert (run["result"], run["reason"]) == ("Failed", reason)
    assert words in run["message"]
    assert batch_failed(world)[:2] == ("True", reason)
    (event,) = events(world, "BatchFailed")
    assert event[0] == "Warning"
    assert words in event[2]


def test_a_day_that_was_said_to_the_containers_is_the_day_that_is_told(world):
    """As docs/batch.md shows for `kubectl create job --from`."""
    one = job("again", created=DUE, **complete(at(3)))
    said = {"name": "batch", "env": [{"name": "MODELWAY_DATE", "value": "2026-11-19"}]}
    world.jobs = [one | {"spec": one["spec"] | {"template": {"spec": {"containers": [said]}}}}]
    run = told(world)["lastRun"]
    assert (run["date"], run["output"]) == ("2026-11-19", "s3://scores/dt=2026-11-19/")


def test_a_job_that_says_no_day_is_told_without_one(world):
    world.jobs = [job("again", created=DUE, **complete(at(3)))]
    run = told(world)["lastRun"]
    assert run.keys().isdisjoint({"date", "output"})
    assert events(world, "BatchSucceeded")[0][2] == "nightly, again: done in 180 s"


def test_a_shard_that_came_through_in_the_end_is_not_blamed(world):
    first = batch_pod(RUN, 0, 1, reason="StoreFailed", message="the store was away")
    world.jobs = [job(RUN, created=DUE, due=DUE, **failed(at(1), failedIndexes="2"))]
    world.batch_pods = [first, batch_pod(RUN, 2, 42, reason="InputUnreadable", message="7.parquet is broken")]
    assert told(world)["lastRun"]["reason"] == "InputUnreadable"


def test_two_runs_that_end_between_two_looks_are_both_told_once(world):
    """As those of a backfill do."""
    one, other = (f"fraud-nightly-d2026110{day}" for day in (1, 2))
    world.jobs = [job(one, created=DUE, **complete(at(3))), job(other, created=DUE, **failed(at(3)))]
    world.tick(3600)
    told(world)
    world.edit(batchJobs=[entry(), entry(name="weekly")])
    told_again = told_all(world)
    assert told_again["nightly"]["lastRun"]["job"] == other
    assert [len(events(world, reason)) for reason in ("BatchSucceeded", "BatchFailed")] == [1, 1]


def told_all(world):
    world.look()
    return {one["name"]: one for one in world.resource["status"]["batchJobs"]}


def test_before_a_revision_serves_no_run_is_due_and_none_is_missed():
    world = Simulation(spec(batchJobs=[entry()]))
    assert "nextRun" not in told(world)
    world.tick(86_400)
    assert "missedRun" not in told(world)


def test_the_next_run_that_goes_well_ends_the_failure(world):
    later = "fraud-nightly-29739615"
    world.jobs = [job(RUN, created=DUE, due=DUE, **failed(at(1)))]
    told(world)
    world.jobs.append(job(later, created=at(30), annotations={ANNOTATION_DATE: "2026-11-20"}, active=1, ready=1))
    assert told(world)["activeRun"]["date"] == "2026-11-20"
    assert batch_failed(world)[0] == "True"
    world.jobs[1] = job(later, created=at(30), **complete(at(31)))
    assert told(world)["lastRun"]["job"] == later
    assert batch_failed(world)[0] == "False"


def test_what_became_of_a_run_is_remembered_when_its_job_is_cleaned_up(world):
    world.jobs = [job(RUN, created=DUE, due=DUE, **complete(at(3)))]
    before = told(world)
    world.jobs = []
    assert told(world) == before
    assert len(events(world, "BatchSucceeded")) == 1


@pytest.mark.parametrize("how", ["well", "badly"])
def test_what_became_of_a_run_is_remembered_when_its_pods_go_before_their_job(world, how):
    """As they do with a spot node that is taken away."""
    ended = complete(at(3)) if how == "well" else failed(at(3), failedIndexes="1")
    said = TOTALS if how == "well" else {"reason": "InputUnreadable", "message": "7.parquet is broken"}
    world.jobs = [job(RUN, created=DUE, due=DUE, **ended)]
    world.batch_pods = [batch_pod(RUN, 1, 0 if how == "well" else 42, **said)]
    before, failure = told(world), batch_failed(world)
    world.batch_pods = []
    assert told(world) == before
    assert batch_failed(world) == failure
    assert len(events(world, "BatchSucceeded", "BatchFailed")) == 1


INCOME = {"name": "income", "psi": "0.83", "drifted": True}
AGE = {"name": "age", "psi": "0.02", "drifted": False}


class TestInputs:
    """How the rows of a run differ from what is usual for the model, in the runner's words."""

    def ends(self, world, run=RUN, since=0, entry="nightly", **inputs):
        words = {"run": {"rows": 2000, "failedRows": 0, "inputs": inputs} if inputs else {"rows": 2000}}
        world.jobs.append(job(run, created=at(since), due=DUE, entry=entry, **complete(at(since + 3))))
        world.batch_pods.append(batch_pod(run, 1, 0, **words))
        world.look()
        return {one["name"]: one for one in world.resource["status"]["batchJobs"]}[entry]["lastRun"]

    def told(self, world):
        found = {one["type"]: one for one in world.resource["status"]["conditions"]}.get("BatchInputDrift")
        return found and (found["status"], found["reason"], found["message"])

    def test_a_drift_is_told_in_status_in_a_condition_and_in_an_event(self, world):
        run = self.ends(world, features=6, driftedFeatures=1, worst=[INCOME, AGE], issues=[])
        assert run["inputs"]["worst"] == [INCOME, AGE]
        said = f"nightly, {RUN}: 1 of 6 features have drifted: income (PSI 0.83)"
        assert self.told(world) == ("True", "InputsDrifted", said)
        assert events(world, "BatchInputDrift") == [("Warning", "BatchInputDrift", said)]
        world.look()
        assert len(events(world, "BatchInputDrift")) == 1
        assert batch_failed(world)[0] == "False"

    def test_of_more_than_are_named_the_others_are_counted(self, world):
        self.ends(world, features=40, driftedFeatures=7, worst=[INCOME])
        assert self.told(world)[2].endswith("7 of 40 features have drifted: income (PSI 0.83) and 6 more")

    def test_what_is_broken_is_told_where_nothing_has_drifted(self, world):
        """A column that is empty has no values that could."""
        self.ends(world, features=5, worst=[AGE], issues=[{"name": "debt", "kind": "Missing"}])
        said = f"nightly, {RUN}: something is wrong with debt (Missing)"
        assert self.told(world) == ("True", "InputsBroken", said)
        assert events(world, "BatchInputDrift") == [("Warning", "BatchInputDrift", said)]

    def test_the_next_run_that_is_as_usual_ends_it(self, world):
        self.ends(world, features=6, driftedFeatures=1, worst=[INCOME])
        self.ends(world, "fraud-nightly-29739615", since=1440, features=6, worst=[AGE])
        assert self.told(world)[:2] == ("False", "AsExpected")
        assert len(events(world, "BatchInputDrift")) == 1

    def test_one_entry_that_has_drifted_is_enough(self, world):
        world.edit(batchJobs=[entry(), entry(name="weekly")])
        self.ends(world, features=6, driftedFeatures=1, worst=[INCOME])
        self.ends(world, "fraud-weekly-29739615", since=9, entry="weekly", features=6, worst=[AGE])
        assert self.told(world)[0] == "True"
        assert "weekly" not in self.told(world)[2]

    def test_too_few_rows_are_no_all_clear(self, world):
        self.ends(world, features=0)
        assert self.told(world)[:2] == ("Unknown", "TooFewRows")

    def test_where_nothing_was_compared_there_is_no_condition(self, world):
        assert "inputs" not in self.ends(world)
        assert self.told(world) is None

    @pytest.mark.parametrize("worst", [{"name": "income"}, INCOME | {"psi": "much"}], ids=["no figure", "no number"])
    def test_words_of_another_form_are_left_out_and_the_counts_kept(self, world, worst):
        run = self.ends(world, features=6, worst=[worst])
        assert "inputs" not in run
        assert run["rows"] == 2000

    def test_a_model_that_answers_nobody_is_told_the_same(self):
        world = Simulation(spec(serving=None, batchJobs=[entry()]))
        world.look()
        self.ends(world, features=6, driftedFeatures=1, worst=[INCOME])
        assert self.told(world)[0] == "True"


def test_a_run_that_was_cancelled_is_told(world):
    world.jobs = [job(RUN, created=DUE, due=DUE, active=1, ready=1, succeeded=3)]
    told(world)
    world.jobs = []
    assert "activeRun" not in told(world)
    assert "after 3 of 4 shards" in events(world, "BatchCancelled")[0][2]


def test_a_run_that_cannot_begin_is_told_before_it_has_failed(world):
    pod = batch_pod(RUN, 0, containers=[container("batch", waiting("ImagePullBackOff", "no such image"))])
    pod["status"]["phase"] = "Pending"
    world.jobs, world.batch_pods = [job(RUN, created=DUE, due=DUE, active=1)], [pod]
    assert told(world)["activeRun"]["reason"] == "ImagePullBackOff"
    assert batch_failed(world)[:2] == ("True", "ImagePullBackOff")


def test_waiting_for_a_node_is_no_failure(world):
    pod = batch_pod(RUN, 0, containers=[])
    pod["status"] |= {"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "Unschedulable"}]}
    world.jobs, world.batch_pods = [job(RUN, created=DUE, due=DUE, active=1)], [pod]
    assert told(world)["activeRun"]["reason"] == "Unschedulable"
    assert batch_failed(world)[0] == "False"


@pytest.mark.parametrize(
    ("wrong", "reason", "words"),
    [
        ({"timeZone": "Europe/Atlantis"}, "UnknownTimeZone", '"Europe/Atlantis" is no time zone'),
        ({"schedule": "0 0 30 2 *"}, "ScheduleNeverFires", "there is no such date"),
        ({"schedule": "0 9-5 * * *"}, "InvalidSchedule", "runs backwards"),
    ],
)
def test_one_that_can_never_begin_says_why(world, wrong, reason, words):
    world.edit(batchJobs=[entry(**wrong)])
    assert "nextRun" not in told(world)
    status, found, message = batch_failed(world)
    assert (status, found) == ("True", reason)
    assert words in message
    assert message.startswith("nightly: ")


class TestARunThatWasDue:
    @pytest.fixture
    def due(self, world):
        """It is ten seconds past the time, and nothing has begun."""
        told(world)
        world.now = NOW.replace(day=22, hour=2, minute=15, second=10)
        return world

    def test_it_is_given_a_minute(self, due):
        assert told(due)["nextRun"] == "2026-11-22T02:15:00Z"
        assert due.last.look_again_after == pytest.approx(51)
        assert events(due, "BatchRunMissed") == []

    def test_then_it_is_told_as_missed_once(self, due):
        due.tick(60)
        one = told(due)
        assert (one["missedRun"], one["nextRun"]) == ("2026-11-22T02:15:00Z", "2026-11-23T02:15:00Z")
        due.look()
        assert len(events(due, "BatchRunMissed")) == 1

    def test_where_the_last_one_still_goes_on_that_is_named(self, due):
        due.jobs = [job(RUN, created=DUE, due=DUE, active=1, ready=1)]
        due.tick(60)
        told(due)
        assert f"{RUN} still goes on" in events(due, "BatchRunMissed")[0][2]

    def test_one_that_begins_late_ends_that(self, due):
        due.tick(60)
        told(due)
        assert batch_failed(due)[:2] == ("True", "RunMissed")
        began(due, "2026-11-22T02:15:00Z")
        assert "missedRun" not in told(due)
        assert batch_failed(due)[0] == "False"

    def test_one_that_is_asked_for_later_and_ends_well_ends_that(self, due):
        due.tick(60)
        told(due)
        due.jobs = [job(RUN, created=due.now, annotations={ANNOTATION_DATE: "2026-11-21"}, active=1, ready=1)]
        told(due)
        assert batch_failed(due)[:2] == ("True", "RunMissed")
        due.jobs = [job(RUN, created=due.now, **complete(due.now))]
        due.tick(60)
        assert "missedRun" not in told(due)
        assert batch_failed(due)[0] == "False"

    def test_it_is_a_failure_where_the_last_one_went_well_before_it_was_due(self, due):
        due.jobs = [job(RUN, created=DUE, due=DUE, **complete(at(3)))]
        due.tick(60)
        told(due)
        assert batch_failed(due) == (
            "True",
            "RunMissed",
            f"nightly: {MISSED}; look at the CronJob: kubectl describe cronjob fraud-nightly",
        )

    def test_behind_one_that_goes_on_the_first_only_waits_and_the_second_is_lost(self, due):
        due.jobs = [job(RUN, created=DUE, due=DUE, active=1, ready=1)]
        began(due, "2026-11-21T02:15:00Z", active=[{"name": RUN}])
        due.tick(60)
        assert told(due)["missedRun"] == "2026-11-22T02:15:00Z"
        assert batch_failed(due)[0] == "False"
        due.tick(86_400)
        assert told(due)["missedRun"] == "2026-11-23T02:15:00Z"
        status, reason, message = batch_failed(due)
        assert (status, reason) == ("True", "RunMissed")
        assert f"{RUN} still goes on" in message

    def test_it_waits_no_longer_where_the_one_before_has_ended_without_it(self, due):
        began(due, "2026-11-21T02:15:00Z", active=[{"name": RUN}])
        due.tick(60)
        told(due)
        began(due, "2026-11-21T02:15:00Z")
        told(due)
        assert batch_failed(due)[:2] == ("True", "RunMissed")

    def test_one_that_may_run_beside_another_does_not_wait_for_it(self, due):
        due.edit(batchJobs=[entry(concurrencyPolicy="Allow")])
        told(due)
        began(due, "2026-11-21T02:15:00Z", active=[{"name": RUN}])
        due.tick(60)
        told(due)
        assert batch_failed(due)[:2] == ("True", "RunMissed")

    def test_one_that_has_begun_is_not_missed(self, due):
        began(due, "2026-11-22T02:15:00Z")
        due.tick(600)
        one = told(due)
        assert "missedRun" not in one
        assert one["nextRun"] == "2026-11-23T02:15:00Z"


def began(world, when, active=()):
    """Kubernetes says on the CronJob when it last made a Job, and which of its Jobs go on."""
    key = ChildKey(CRON_JOB, "fraud-nightly")
    world.children[key] = world.children[key] | {"status": {"lastScheduleTime": when, "active": active}}


def test_at_rest_nothing_is_written(world):
    world.jobs = [job(RUN, created=DUE, due=DUE, **complete(at(3)))]
    world.batch_pods = [batch_pod(RUN, 0, 0, **TOTALS)]
    told(world)
    writes = len(world.writes)
    for _ in range(3):
        world.tick(3600)
        world.look()
    assert world.writes[writes:] == []


def test_an_entry_that_is_taken_out_takes_its_cron_job_and_status_with_it(world):
    told(world)
    world.edit(batchJobs=[entry(name="weekly")])
    world.look()
    assert world.names(CRON_JOB) == [f"{NAME}-weekly"]
    assert [one["name"] for one in world.resource["status"]["batchJobs"]] == ["weekly"]


def test_pods_of_runs_say_nothing_about_serving(world):
    world.jobs = [job(RUN, created=DUE, due=DUE, revision=world.stable, **failed(at(1)))]
    world.batch_pods = [batch_pod(RUN, 0, 43, revision=world.stable, reason="ColumnMissing", message="no column")]
    told(world)
    assert "failure" not in world.resource["status"]
