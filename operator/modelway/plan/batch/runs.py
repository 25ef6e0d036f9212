"""What became of the runs of an entry, from its Jobs and what their pods said last. Pure.

A pod ends with the words of `modelway batch score` (docs/batch.md); the one that completes a run tells its totals.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from modelway.api.batch_dates import Moment, fill, of_schedule, parse, zone_of
from modelway.api.batch_status import BatchRun
from modelway.api.conditions import Reason
from modelway.api.names import ANNOTATION_DATE, ANNOTATION_RUN, LABEL_REVISION, VARIABLE_DATE
from modelway.api.units import time_of
from modelway.plan.batch.inputs import inputs_of
from modelway.plan.failures import digests, troubles, words_of
from modelway.plan.jobs import LABEL_INDEX, LABEL_JOB, end_of, indexes
from modelway.plan.types import Object

SCHEDULED: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"
"""Kubernetes' own annotation of the Jobs that a CronJob makes."""
PATIENCE_SECONDS: Final = 5
"""How long a Job may have ended before its pods' last words are seen; they come by another watch."""
_LAG_SECONDS: Final = 60
"""The same, where that watch is seen to be behind: pods of the Job are shown as if they still went on."""
_FATAL: Final = 43


@dataclass(frozen=True, slots=True)
class Seen:
    """A Job with its pods.

    Attributes:
        run: what is told of it.
        has_ended: whether the Job has.
        is_settled: whether nothing more is to be expected: it has ended, and its pods have been heard.
        is_heard: whether pods of it are there that say what became of it; with a node that is taken away they go too.
    """

    run: BatchRun
    has_ended: bool
    is_settled: bool
    is_heard: bool = False


def seen(job: Object, pods: Iterable[Object], *, now: datetime) -> Seen:
    """What is to be told of a Job, given its pods."""
    mine = sorted((pod for pod in pods if _label(pod, LABEL_JOB) == job["metadata"]["name"]), key=_index)
    ended = end_of(job)
    if ended is None:
        reason, message = _stuck(job, mine)
        return Seen(_run(job, "Running", reason=reason, message=message), has_ended=False, is_settled=False)
    result, condition = ended
    ended_at = time_of(job["status"].get("completionTime") or condition["lastTransitionTime"])
    duration = max(0, round((ended_at - _created(job)).total_seconds()))
    if result == "Failed":
        reason, message = _cause(job, condition, mine)
        run = _run(job, result, reason=reason, message=message, completion_time=ended_at, duration_seconds=duration)
        return Seen(run, has_ended=True, is_settled=True, is_heard=bool(mine))
    totals = _totals(job, mine)
    digest = next((digest for digest, _ in digests(mine, _label(job, LABEL_REVISION) or "").values()), None)
    patience = _LAG_SECONDS if any(_goes_on(pod) for pod in mine) else PATIENCE_SECONDS
    if not totals and (now - ended_at).total_seconds() <= patience:
        return Seen(_run(job, "Running"), has_ended=True, is_settled=False)
    run = _run(job, result, completion_time=ended_at, duration_seconds=duration, digest=digest, **totals)
    return Seen(run, has_ended=True, is_settled=True, is_heard=bool(totals))


def scheduled(job: Object) -> datetime | None:
    """When a Job was due; None where nobody but a human made it."""
    text = job["metadata"].get("annotations", {}).get(SCHEDULED)
    return time_of(text) if text else None


def _run(job: Object, result: Literal["Running", "Succeeded", "Failed"], **fields: Any) -> BatchRun:
    metadata, status = job["metadata"], job.get("status", {})
    date, output = _date_and_output(job)
    failed = sum(1 for _ in indexes(status.get("failedIndexes", "")))
    return BatchRun(
        job=metadata["name"],
        date=date,
        start_time=_created(job),
        result=result,
        shards=job["spec"].get("completions", 1),
        succeeded_shards=status.get("succeeded", 0),
        failed_shards=failed or None,
        output=output,
        revision=_label(job, LABEL_REVISION),
        **fields,
    )


def _date_and_output(job: Object) -> tuple[str | None, str | None]:
    """What the run is about, and where it writes; by what stands on the Job, for the spec may have changed since."""
    annotations = job["metadata"].get("annotations", {})
    told = words_of(annotations.get(ANNOTATION_RUN, ""))
    try:
        moment = _about(job, annotations, told)
        output = fill(told["output"], moment) if "output" in told else None
    except (KeyError, TypeError, ValueError):
        return None, None  # somebody has written on it; the run's pods say what is wrong
    return (str(moment) if moment is not None else None), output


def _about(job: Object, annotations: Object, told: Object) -> Moment | None:
    said = annotations.get(ANNOTATION_DATE) or _said(job)
    if said:
        return parse(said)
    due = scheduled(job)
    if due is None:
        return None
    return of_schedule(due, zone=zone_of(told["timeZone"]), offset=timedelta(seconds=told["dateOffset"]))


def _said(job: Object) -> str | None:
    """The day that somebody has told the containers of a Job of `kubectl create job`."""
    containers = job["spec"].get("template", {}).get("spec", {}).get("containers", ())
    variables = (one for container in containers for one in container.get("env", ()))
    return next((one.get("value") for one in variables if one["name"] == VARIABLE_DATE), None)


def _totals(job: Object, pods: Sequence[Object]) -> dict[str, Any]:
    """Counts of the whole run; empty while no pod has told them."""
    told = [words for pod in pods for words in _last_words(pod)]
    for words in told:
        run = words.get("run")
        if isinstance(run, dict):
            counts = {"rows": run.get("rows"), "failed_rows": run.get("failedRows")}
            counts["rows_per_core_second"] = run.get("rowsPerCoreSecond")
            known = {name: value for name, value in counts.items() if isinstance(value, int) and value >= 0}
            inputs = inputs_of(run.get("inputs"))
            return known | ({"inputs": inputs} if inputs is not None else {})
    counted = [words for words in told if isinstance(words.get("rows"), int)]
    if len(counted) < job["spec"].get("completions", 1):
        return {}
    failed = sum(words["failedRows"] for words in counted if isinstance(words.get("failedRows"), int))
    return {"rows": max(0, sum(words["rows"] for words in counted)), "failed_rows": max(0, failed)}


def _last_words(pod: Object) -> Iterator[dict[str, Any]]:
    for container in pod.get("status", {}).get("containerStatuses", ()):
        ended = container.get("state", {}).get("terminated") or {}
        if ended.get("exitCode") == 0 and (words := words_of(ended.get("message", ""))):
            yield words


def _cause(job: Object, condition: Mapping[str, Any], pods: Sequence[Object]) -> tuple[str, str]:
    """Why a run failed: what stopped all of it first, then the first shard that was given up."""
    if condition.get("reason") == "DeadlineExceeded":
        limit = job["spec"].get("activeDeadlineSeconds")
        return Reason.DEADLINE_EXCEEDED, (
            f"the run took longer than {limit} s and was ended; what is done is kept: raise activeDeadlineSeconds or "
            "parallelism, and run it again"
        )
    given_up = {*indexes(job["status"].get("failedIndexes", ""))}
    failed = [pod for pod in pods if _FATAL in _codes(pod) or not given_up or _index(pod) in given_up]
    for pod in sorted(failed, key=lambda pod: (_FATAL not in _codes(pod), _index(pod))):
        for reason, message in troubles(pod):
            if reason != Reason.CRASH_LOOP_BACK_OFF:
                return reason, message if _FATAL in _codes(pod) else f"shard {_index(pod)}: {message}"
            return Reason.SHARDS_FAILED, f"shard {_index(pod)}: {message}"
    return Reason.SHARDS_FAILED, f"{condition.get('reason', '')}: {condition.get('message', '')}"


def _stuck(job: Object, pods: Sequence[Object]) -> tuple[str | None, str | None]:
    """Why nothing of a run goes on."""
    status = job.get("status", {})
    if job["spec"].get("suspend"):
        return Reason.SUSPENDED, "the Job is suspended; the queue that it was given to lets it go on, or whoever did it"
    if status.get("ready") or status.get("succeeded"):
        return None, None
    for pod in pods:
        if pod.get("status", {}).get("phase") == "Pending":
            for reason, message in troubles(pod):
                return reason, message
    return None, None


def _codes(pod: Object) -> set[int]:
    status = pod.get("status", {})
    both = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    return {(container.get("state", {}).get("terminated") or {}).get("exitCode", 0) for container in both}


def _goes_on(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}


def _label(obj: Object, name: str) -> str | None:
    value: str | None = obj["metadata"].get("labels", {}).get(name)
    return value


def _index(pod: Object) -> int:
    return int(_label(pod, LABEL_INDEX) or 0)


def _created(job: Object) -> datetime:
    return time_of(job["metadata"]["creationTimestamp"])
