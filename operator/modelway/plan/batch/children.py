"""The CronJob of an entry of `spec.batchJobs`. Pure.

Its Jobs are Indexed: a pod for each shard. The pod failure policy is the contract with the runner's exit codes: 42
gives a shard up, 43 the run, and an eviction counts for nothing.
"""

from typing import Final

import orjson

from modelway.api.batch import BatchJob
from modelway.api.batch_dates import UTC_NAME
from modelway.api.batch_times import offset_seconds
from modelway.api.kinds import CRON_JOB
from modelway.api.names import (
    ANNOTATION_RUN,
    COMPONENT_BATCH,
    CONTAINER_BATCH,
    CONTAINER_RESOLVE,
    LABEL_BATCH_JOB,
    LABEL_COMPONENT,
    cron_job_name,
)
from modelway.api.resource import ModelDeployment
from modelway.plan.batch.pods import template
from modelway.plan.canonical import given
from modelway.plan.children import owned
from modelway.plan.revisions import Revision
from modelway.plan.types import Child, Object, Settings

NEVER: Final = "@yearly"
"""The schedule of a CronJob that is suspended for want of one: Kubernetes demands some."""
_QUEUE: Final = "kueue.x-k8s.io/queue-name"
_DEFAULT_PODS: Final = 10
_KEPT_JOBS: Final = 3
_FAILED_SHARD, _FAILED_RUN, _WRONG_COMMAND = 42, 43, 2


def cron_job(
    resource: ModelDeployment, job: BatchJob, revision: Revision, *, can_fire: bool, settings: Settings
) -> Child:
    """The CronJob of an entry.

    Args:
        resource: its owner.
        job: the entry.
        revision: whose model scores.
        can_fire: whether schedule and time zone are such that Kubernetes takes them; else it is suspended.
        settings: of this installation.
    """
    name = cron_job_name(resource.metadata.name, job.name)
    body = owned(resource, CRON_JOB, name, revision=revision.hash)
    labels = body["metadata"]["labels"] | {LABEL_COMPONENT: COMPONENT_BATCH, LABEL_BATCH_JOB: job.name}
    body["metadata"]["labels"] = labels
    fires = can_fire and job.schedule is not None
    queue = {_QUEUE: job.queue_name} if job.queue_name else {}
    return Child(
        CRON_JOB,
        body
        | {
            "spec": given(
                schedule=job.schedule if fires else NEVER,
                timeZone=(job.time_zone or UTC_NAME) if can_fire else UTC_NAME,
                suspend=bool(job.suspend) or not fires,
                concurrencyPolicy=job.concurrency_policy or "Forbid",
                startingDeadlineSeconds=job.starting_deadline_seconds,
                successfulJobsHistoryLimit=_or(job.successful_jobs_history_limit, _KEPT_JOBS),
                failedJobsHistoryLimit=_or(job.failed_jobs_history_limit, _KEPT_JOBS),
                jobTemplate={
                    "metadata": {"labels": labels | queue, "annotations": {ANNOTATION_RUN: _told(job)}},
                    "spec": _job(resource, job, revision, name, labels, settings),
                },
            )
        },
    )


def _told(job: BatchJob) -> str:
    """What tells of a Job, when the spec may have changed, what it is about."""
    run = {
        "input": job.input.uri,
        "output": job.output.uri,
        "timeZone": job.time_zone or UTC_NAME,
        "dateOffset": round(offset_seconds(job.date_offset or "0s")),
    }
    return orjson.dumps(run, option=orjson.OPT_SORT_KEYS).decode()


def _job(
    resource: ModelDeployment, job: BatchJob, revision: Revision, cron_job: str, labels: Object, settings: Settings
) -> Object:
    shards = job.shards or 1
    return given(
        completionMode="Indexed",
        completions=shards,
        parallelism=job.parallelism or min(shards, _DEFAULT_PODS),
        backoffLimitPerIndex=_or(job.backoff_limit_per_index, 3),
        maxFailedIndexes=job.max_failed_indexes,
        activeDeadlineSeconds=job.active_deadline_seconds,
        podFailurePolicy={"rules": _rules(job)},
        podReplacementPolicy="Failed",
        template=template(resource, job, revision, cron_job=cron_job, labels=labels, settings=settings),
    )


def _rules(job: BatchJob) -> list[Object]:
    """The first that fits a failed pod counts; where none does, the shard is tried again, so many times."""
    # A pod that is taken away may end with any code: this rule comes first.
    disrupted = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    if job.container:
        fatal = [
            _on_exit("FailJob", CONTAINER_RESOLVE, [_WRONG_COMMAND, _FAILED_RUN]),
            _on_exit("FailJob", CONTAINER_BATCH, [_FAILED_RUN]),
        ]
    else:
        fatal = [_on_exit("FailJob", CONTAINER_BATCH, [_WRONG_COMMAND, _FAILED_RUN])]
    return [disrupted, *fatal, _on_exit("FailIndex", CONTAINER_BATCH, [_FAILED_SHARD])]


def _on_exit(action: str, container: str, codes: list[int]) -> Object:
    return {"action": action, "onExitCodes": {"containerName": container, "operator": "In", "values": codes}}


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
