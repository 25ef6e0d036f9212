"""Jobs of batch runs and their pods, as Kubernetes would have them."""

from datetime import datetime
from typing import Any

import orjson

from modelway.api.names import (
    ANNOTATION_RUN,
    COMPONENT_BATCH,
    CONTAINER_BATCH,
    LABEL_BATCH_JOB,
    LABEL_COMPONENT,
    child_labels,
)
from modelway.plan import Object, Settings
from support.builders import NAME, NAMESPACE, SETTINGS, container, ended, stamp
from support.simulation import Simulation

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
RUN = {"input": "s3://lake/dt={date}/", "output": "s3://scores/dt={date}/", "timeZone": "Etc/UTC", "dateOffset": -86400}


def entry(**fields: Any) -> Object:
    """An entry of `spec.batchJobs`."""
    return {
        "name": "nightly",
        "schedule": "15 2 * * *",
        "input": {"uri": "s3://lake/dt={date}/"},
        "output": {"uri": "s3://scores/dt={date}/"},
        "shards": 4,
    } | fields


def compared(entry: str, **psi: str) -> Object:
    """An entry of `status.batchJobs` whose last run has compared these features, the worst first."""
    worst = [{"name": name, "psi": figure, "drifted": float(figure) > 0.1} for name, figure in psi.items()]
    inputs = {"features": len(worst), "driftedFeatures": sum(one["drifted"] for one in worst), "worst": worst}
    run = {"job": f"{NAME}-{entry}-1", "result": "Succeeded", "shards": 1, "inputs": inputs}
    return {"name": entry, "cronJob": f"{NAME}-{entry}", "lastRun": run}


def scoring(*entries: Object, settings: Settings = SETTINGS) -> Simulation:
    """A model that serves and has settled, and has now been given batch jobs."""
    world = Simulation(settings=settings)
    world.settle()
    world.edit(batchJobs=list(entries))
    world.look()
    return world


def job(
    name: str,
    *,
    created: datetime,
    revision: str = "0b77d1ce",
    due: datetime | None = None,
    entry: str = "nightly",
    shards: int = 4,
    annotations: Object | None = None,
    **status: Any,
) -> Object:
    """A Job; `due` is its scheduled time."""
    told = {ANNOTATION_RUN: orjson.dumps(RUN).decode()} | (annotations or {})
    if due is not None:
        told[SCHEDULED] = stamp(due)
    return {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-of-{name}",
            "creationTimestamp": stamp(created),
            "labels": labels(revision, entry),
            "annotations": told,
        },
        "spec": {"completions": shards, "activeDeadlineSeconds": 3600},
        "status": status,
    }


def labels(revision: str, entry: str = "nightly") -> dict[str, str]:
    return child_labels(NAME, revision) | {LABEL_COMPONENT: COMPONENT_BATCH, LABEL_BATCH_JOB: entry}


def complete(at: datetime, shards: int = 4) -> Object:
    """The status of a Job that has succeeded."""
    return {
        "succeeded": shards,
        "completionTime": stamp(at),
        "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": stamp(at)}],
    }


def failed(
    at: datetime, reason: str = "FailedIndexes", message: str = "Job has failed indexes", **status: Any
) -> Object:
    """The status of a Job that has failed."""
    condition = {"type": "Failed", "status": "True", "reason": reason, "message": message}
    return {"conditions": [condition | {"lastTransitionTime": stamp(at)}]} | status


def batch_pod(
    job: str, shard: int, code: int | None = None, *, revision: str = "0b77d1ce", containers: Any = None, **said: Any
) -> Object:
    """A pod of a Job, slim as the store holds it; `code` is what its container ended with, and `said` its last words."""
    state = {"running": {}} if code is None else ended(code, message=orjson.dumps(said).decode() if said else "")
    told = containers if containers is not None else [container(CONTAINER_BATCH, state)]
    name = f"{job}-{shard}-abcde"
    phase = "Running" if code is None else "Succeeded" if code == 0 else "Failed"
    return {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-of-{name}",
            "labels": labels(revision)
            | {"batch.kubernetes.io/job-name": job, "batch.kubernetes.io/job-completion-index": str(shard)},
        },
        "status": {"phase": phase, "containerStatuses": told},
    }
