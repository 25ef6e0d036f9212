"""Batch jobs on a real API server, with the CronJob and Job controllers of Kubernetes; pods are simulated."""

import json
from datetime import UTC, datetime

import pytest

from modelway.api.batch_dates import parse
from modelway.api.kinds import CRON_JOB, DEPLOYMENT, EVENT, JOB, MODEL_DEPLOYMENT, POD
from modelway.api.names import cron_job_name
from modelway.cli.batch import manual
from support.batch_jobs import entry
from support.builders import stamp
from support.cluster import Refused, spec_of

COLUMN = "the input has no column amount; it has id, day"


def given(**fields):
    """The usual spec with one batch job, which is due once a year."""
    usual = entry(schedule="15 2 1 1 *", shards=2, resources={"requests": {"cpu": "10m", "memory": "16Mi"}})
    asked = {key: value for key, value in (usual | fields).items() if value is not None}
    return spec_of(batchJobs=[asked])


def batch_only(**fields):
    spec = given(**fields)
    del spec["serving"]
    return spec


def cron_job(namespace, name="fraud-nightly"):
    return namespace.wait_for(lambda: namespace.get(CRON_JOB, name), what=f"the CronJob {name} is there")


def run(namespace, *, date="2026-11-20", **spec):
    """A run as `modelway batch run` makes it."""
    made = cron_job(namespace)
    name = next(manual.names(made["metadata"]["name"], parse(date), 0))
    job = manual.job_of(made, name, parse(date))
    # Simulated pods end when they are told to; the annotation is that of the tests' kubelet.
    template = job["spec"]["template"]["metadata"]
    template["annotations"] = template.get("annotations", {}) | {"test.modelway.dev/status": "by-hand"}
    return namespace.create(job | {"spec": job["spec"] | spec})


def pods_of(namespace, job):
    selector = f"batch.kubernetes.io/job-name={job['metadata']['name']}"
    count = job["spec"]["parallelism"]
    return namespace.wait_for(
        lambda: found if len(found := namespace.find(POD, selector=selector)) >= count else None,
        what=f"{count} pods of the run are there",
    )


def end(namespace, pod, code, **words):
    """What a kubelet would say of a pod whose container has ended."""
    now = stamp(datetime.now(UTC))
    ended = {"exitCode": code, "reason": "Completed" if code == 0 else "Error", "startedAt": now, "finishedAt": now}
    state = {"terminated": ended | ({"message": json.dumps(words)} if words else {})}
    told = {"name": "batch", "state": state, "image": "a", "imageID": "a", "restartCount": 0, "ready": False}
    status = {"phase": "Succeeded" if code == 0 else "Failed", "containerStatuses": [told]}
    namespace.patch(POD, pod["metadata"]["name"], {"status": status}, subresource="status")


def entry_of(status):
    return next(iter(status.get("batchJobs", ())), {})


def events(namespace, reason):
    return [one for one in namespace.find(EVENT) if one["reason"] == reason]


REFUSED = {
    "a malformed schedule": ({"schedule": "15 2 * *"}, "batchJobs[0].schedule", "minute, hour, day of the month"),
    "an hour that is none": ({"schedule": "0 24 * * *"}, "batchJobs[0].schedule", "minute, hour"),
    "no shards": ({"shards": 0}, "batchJobs[0].shards", "greater than or equal to 1"),
    "too many shards": ({"shards": 10_001}, "batchJobs[0].shards", "less than or equal to 10000"),
    "parallelism over shards": ({"parallelism": 3}, "batchJobs[0].parallelism", "must not be more than shards"),
    "more failed indexes than shards": ({"maxFailedIndexes": 3}, "batchJobs[0].maxFailedIndexes", "more than shards"),
    "output equal to input": (
        {"output": {"uri": "s3://lake/dt={date}"}},
        "batchJobs[0].output.uri",
        "must not be the input",
    ),
    "output in the input": (
        {"output": {"uri": "s3://lake/dt={date}/scores/"}},
        "batchJobs[0].output.uri",
        "nor lie in it",
    ),
    "input in the output": ({"output": {"uri": "s3://lake/"}}, "batchJobs[0].output.uri", "nor hold it"),
    "an unknown format": (
        {"input": {"uri": "s3://lake/", "format": "orc"}},
        "batchJobs[0].input.format",
        "Unsupported value",
    ),
    "a table that is none": (
        {"input": {"uri": "postgresql://db/shop", "key": "id"}},
        "batchJobs[0].input.uri",
        "host, database and table",
    ),
    "a table with a password": (
        {"output": {"uri": "postgresql://a:b@db/shop/tx"}},
        "batchJobs[0].output.uri",
        "no user or password",
    ),
    "a table without a key": (
        {"input": {"uri": "postgresql://db:5432/shop/lake.tx/dt={date}"}},
        "batchJobs[0].input.key",
        "needed where the input is a table",
    ),
    "files with a key": ({"input": {"uri": "s3://lake/x/", "key": "id"}}, "batchJobs[0].input.key", "only there"),
    "a table with a format": (
        {"output": {"uri": "postgresql://db/shop/scores.tx", "format": "csv"}},
        "batchJobs[0].output.format",
        "is of files",
    ),
    "a key for a container": (
        {
            "input": {"uri": "postgresql://db/shop/tx", "key": "id"},
            "container": {"image": "a"},
        },
        "batchJobs[0].input.key",
        "built-in runner",
    ),
    "an unknown store": ({"input": {"uri": "gs://lake/x/"}}, "batchJobs[0].input.uri", "s3://, pvc://"),
    "a password": ({"input": {"uri": "s3://me:word@lake/x/"}}, "batchJobs[0].input.uri", "no user or password"),
    "unknown braces": ({"input": {"uri": "s3://lake/{day}/"}}, "batchJobs[0].input.uri", "no other braces"),
    "an unknown offset": ({"dateOffset": "-1d"}, "batchJobs[0].dateOffset", "must be a duration such as -24h"),
    "an offset of years": ({"dateOffset": "-9000h"}, "batchJobs[0].dateOffset", "no more than a year"),
    "a container and options of the runner": (
        {"container": {"image": "a"}, "rowsPerBatch": 10},
        "batchJobs[0].rowsPerBatch",
        "only of the built-in runner",
    ),
    "a container and a mapping": (
        {"container": {"image": "a"}, "columnMap": {"a": "b"}},
        "batchJobs[0].columnMap",
        "only of the built-in runner",
    ),
    "a column with a comma": (
        {"output": {"uri": "s3://scores/", "columns": ["a,b"]}},
        "batchJobs[0].output.columns[0]",
        "should match",
    ),
    "a name that is none": ({"name": "Nightly"}, "batchJobs[0].name", "should match"),
    "a wrong policy": ({"concurrencyPolicy": "Queue"}, "batchJobs[0].concurrencyPolicy", "Unsupported value"),
    "an unknown field": ({"shardCount": 3}, "batchJobs[0].shardCount", "unknown field"),
    "no output": ({"output": None}, "batchJobs[0].output", "Required value"),
}


@pytest.mark.parametrize(("fields", "field", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_refused_with_its_field(namespace, fields, field, words):
    spec = given(**fields)
    with pytest.raises(Refused) as refused:
        namespace.deploy(spec)
    assert f"spec.{field}" in refused.value.message
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"batchJobs": []}, "spec.serving", "something must be done with the model"),
        ({"model": None}, "spec.model", "required"),
        ({"rollout": {"steps": [{"name": "half", "weight": 50}]}}, "spec.rollout", "only of serving"),
        ({"traffic": {"router": "Service"}}, "spec.traffic", "only of serving"),
    ],
    ids=["nothing to do", "no model", "a rollout of nothing", "traffic to nothing"],
)
def test_without_serving_what_belongs_to_it_is_refused(namespace, change, field, words):
    spec = {key: value for key, value in (batch_only() | change).items() if value is not None}
    with pytest.raises(Refused) as refused:
        namespace.deploy(spec)
    assert f"{field}: " in refused.value.message
    assert words in refused.value.message


def test_two_entries_of_one_name_are_refused(namespace):
    with pytest.raises(Refused, match="Duplicate value"):
        namespace.deploy(spec_of(batchJobs=[entry(), entry()]))


def test_a_run_is_told_from_its_beginning_to_its_end_and_then_nothing_is_written(namespace, operator):
    deployed = namespace.deploy(given())
    deployed.wait_until_served()
    job = run(namespace)
    active = deployed.wait(lambda status: entry_of(status).get("activeRun"), what="the run is told")
    assert entry_of(active)["activeRun"]["date"] == "2026-11-20"
    first, second = pods_of(namespace, job)
    end(namespace, first, 0, shard=0, rows=500)
    deployed.wait(lambda status: entry_of(status)["activeRun"]["succeededShards"] == 1, what="one shard is done")
    income = {"name": "income", "psi": "0.83", "drifted": True}
    issue = {"name": "income", "kind": "Missing"}
    inputs = {"features": 6, "driftedFeatures": 1, "worst": [income], "issues": [issue]}
    totals = {"rows": 1000, "failedRows": 2, "rowsPerCoreSecond": 70, "output": "s3://scores/", "inputs": inputs}
    end(namespace, second, 0, shard=1, rows=500, complete=True, run=totals)
    last = entry_of(deployed.wait(lambda status: entry_of(status).get("lastRun"), what="it has ended"))["lastRun"]
    assert (last["result"], last["rows"], last["failedRows"]) == ("Succeeded", 1000, 2)
    assert last["output"] == "s3://scores/dt=2026-11-20/"
    assert last["inputs"] == inputs
    assert deployed.condition("BatchFailed") == ("False", "AsExpected")
    assert deployed.condition("BatchInputDrift") == ("True", "InputsDrifted")
    mark = namespace.rest(seconds=3)
    assert namespace.writes(mark) == []
    assert len(events(namespace, "BatchSucceeded")) == 1


def test_a_run_that_cannot_be_done_ends_at_once_with_the_runners_words(namespace, operator):
    deployed = namespace.deploy(given(schedule=None))
    deployed.wait_until_served()
    job = run(namespace)
    pod = pods_of(namespace, job)[0]
    end(namespace, pod, 43, reason="ColumnMissing", message=COLUMN)
    deployed.wait(lambda _: deployed.condition("BatchFailed") == ("True", "ColumnMissing"), what="it has failed")
    last = entry_of(deployed.status)["lastRun"]
    assert (last["result"], last["message"]) == ("Failed", COLUMN)
    assert deployed.condition("Ready")[0] == "True"
    namespace.wait_for(lambda: events(namespace, "BatchFailed"), what="it is told as an Event")


def test_a_model_that_only_scores_has_nothing_that_answers_and_its_runs_are_cancelled_with_it(namespace, operator):
    deployed = namespace.deploy(batch_only())
    deployed.wait(lambda _: deployed.condition("Ready") == ("True", "BatchOnly"), what="it is ready")
    run(namespace)
    assert namespace.find(DEPLOYMENT) == []
    namespace.rest()
    deployed.delete()
    for kind in (CRON_JOB, JOB):
        namespace.wait_for(lambda kind=kind: namespace.find(kind) == [], what=f"no {kind.name} is left")


def test_a_cron_job_that_somebody_deleted_or_edited_is_back(namespace, operator):
    deployed = namespace.deploy(batch_only())
    made = cron_job(namespace)
    deployed.namespace.rest()
    namespace.patch(CRON_JOB, "fraud-nightly", {"spec": {"suspend": True}})
    namespace.wait_for(lambda: cron_job(namespace)["spec"]["suspend"] is False, what="it fires again")
    namespace.delete(CRON_JOB, "fraud-nightly")
    uid = made["metadata"]["uid"]
    namespace.wait_for(
        lambda: (found := namespace.get(CRON_JOB, "fraud-nightly")) and found["metadata"]["uid"] != uid,
        what="it is back",
    )


def test_what_can_never_begin_is_told_and_nothing_is_made_of_it(namespace, operator):
    deployed = namespace.deploy(batch_only(schedule="0 0 30 2 *"))
    deployed.wait(lambda _: deployed.condition("BatchFailed") == ("True", "ScheduleNeverFires"), what="it is told")
    namespace.patch(MODEL_DEPLOYMENT, "fraud", {"spec": {"batchJobs": [entry(timeZone="Europe/Atlantis")]}})
    deployed.wait(lambda _: deployed.condition("BatchFailed") == ("True", "UnknownTimeZone"), what="it is told")
    assert cron_job(namespace)["spec"]["suspend"] is True


def test_long_names_make_runs_with_all_their_pods(namespace, operator):
    name, job_name = "f" * 63, "n" * 63
    deployed = namespace.deploy(batch_only(name=job_name, shards=10_000, parallelism=1), name=name)
    deployed.wait(lambda status: entry_of(status).get("cronJob"), what="the entry is looked at")
    made = cron_job(namespace, cron_job_name(name, job_name))
    moment = parse("2026-11-20T1430")
    names = [*manual.names(made["metadata"]["name"], moment, 0)]
    job = namespace.create(manual.job_of(made, names[-1], moment))
    namespace.wait_for(
        lambda: namespace.find(POD, selector=f"batch.kubernetes.io/job-name={job['metadata']['name']}"),
        what="the first pod is there",
    )
