"""What is seen of batch runs, and how it is shown. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from modelway.api.names import ANNOTATION_DATE
from modelway.plan.batch.inputs import inputs_of, what_has_drifted
from modelway.plan.jobs import LABEL_INDEX, end_of, indexes

_BAR: Final = 24
_SHARE: Final = "modelway_batch_shard_done_ratio"
_ROWS: Final = "modelway_batch_rows_total"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a Job is.

    Attributes:
        job: its name.
        date: the day that it is for, where it was asked for by hand.
        state: Running, Waiting, Suspended, Succeeded or Failed.
        shards: of the run.
        done: shards that have succeeded.
        failed: shards that were given up.
        working: pods that are at work.
        under_way: how much of their shards these have done, in shards.
        rows: of shards that have ended and whose pods are still there, and of those under way.
        why: what its Job says of its failure.
    """

    job: str
    date: str | None
    state: str
    shards: int
    done: int
    failed: int
    working: int
    under_way: float
    rows: int
    why: str | None = None

    @property
    def has_ended(self) -> bool:
        return self.state in {"Succeeded", "Failed"}


def progress(job: Mapping[str, Any], pods: Iterable[Mapping[str, Any]] = (), metrics: Iterable[str] = ()) -> Progress:
    """How far a Job is, by its own status, by what its pods have said last, and by the metrics of those at work."""
    told = [_measured(text) for text in metrics]
    ended_rows = _rows_by_shard(pods)
    status, spec, metadata = job.get("status", {}), job["spec"], job["metadata"]
    ended = end_of(job)
    return Progress(
        job=metadata["name"],
        date=metadata.get("annotations", {}).get(ANNOTATION_DATE),
        state=ended.result if ended is not None else _state(job),
        shards=spec.get("completions", 1),
        # The Job counts a pod a moment after its end.
        done=max(status.get("succeeded", 0), len(ended_rows)),
        failed=sum(1 for _ in indexes(status.get("failedIndexes", ""))),
        working=status.get("ready", 0),
        under_way=sum(share for share, _ in told),
        rows=sum(ended_rows.values()) + sum(rows for _, rows in told),
        why=ended.condition.get("message") if ended is not None and ended.result == "Failed" else None,
    )


def bar(done: float, failed: int, total: int, width: int = _BAR) -> str:
    """`[#####!---]`: what is done of all shards, given up, and left."""
    good = int(width * min(done, total) // max(total, 1))
    bad = min(width - good, -(-width * failed // max(total, 1)))
    return f"[{'#' * good}{'!' * bad}{'-' * (width - good - bad)}]"


def line(one: Progress) -> str:
    """A run in one line."""
    parts = [f"{one.done}/{one.shards} shards"]
    if one.failed:
        parts.append(f"{one.failed} given up")
    if one.working and not one.has_ended:
        parts.append(f"{one.working} at work")
    if one.rows:
        parts.append(f"{one.rows:,} rows")
    why = f"; {one.why}" if one.why else ""
    done = min(one.done + one.under_way, one.shards)
    share = f"{100 * done / max(one.shards, 1):3.0f} %"
    return f"{one.job}  {one.state:<9}  {bar(done, one.failed, one.shards)} {share}, {', '.join(parts)}{why}"


def entry_lines(entry: Mapping[str, Any], runs: Iterable[Progress]) -> list[str]:
    """An entry with its runs."""
    due = f"next run {_clock(entry['nextRun'])}" if "nextRun" in entry else "no run is due"
    missed = f"; the run of {_clock(entry['missedRun'])} has not begun" if "missedRun" in entry else ""
    lines = [f"{entry['name']}: {due}{missed}"]
    active = entry.get("activeRun", {})
    for one in runs:
        lines.append(f"  {line(one)}")
        # What the operator sees in the pods: an image that cannot be pulled, a Secret that is not there.
        if one.job == active.get("job") and "reason" in active:
            lines.append(f"    {active['reason']}: {active.get('message', '')}")
    if last := entry.get("lastRun"):
        lines.append(f"  last: {_of_last(last)}")
        lines += [f"    {told}" for told in _of_inputs(last.get("inputs"))]
    return lines


def _of_last(run: Mapping[str, Any]) -> str:
    about = f" for {run['date']}" if "date" in run else ""
    if run["result"] == "Failed":
        return f"{run['job']}{about} failed: {run.get('reason')}: {run.get('message')}"
    told = [f"{run['rows']:,} rows"] if "rows" in run else []
    if run.get("failedRows"):
        told.append(f"{run['failedRows']:,} without an answer")
    if "durationSeconds" in run:
        told.append(f"{run['durationSeconds']} s")
    if "rowsPerCoreSecond" in run:
        told.append(f"{run['rowsPerCoreSecond']:,} rows per core-second")
    told += [run["output"]] if "output" in run else []
    return f"{run['job']}{about} succeeded: {', '.join(told) or 'nothing was counted'}"


def _of_inputs(told: object) -> Iterator[str]:
    """Which of the model's inputs are not as usual."""
    inputs = inputs_of(told)
    if inputs is None:
        return
    if inputs.drifted_features:
        yield f"inputs: {what_has_drifted(inputs)}"
    if inputs.issues:
        yield "inputs: " + ", ".join(f"{one.name} ({one.kind})" for one in inputs.issues)


def _clock(text: str) -> str:
    return text.replace("T", " ").removesuffix(":00Z").removesuffix("Z") + " UTC"


def _state(job: Mapping[str, Any]) -> str:
    """Of one that has not ended."""
    status = job.get("status", {})
    if job["spec"].get("suspend"):
        return "Suspended"
    return "Running" if status.get("ready") or status.get("succeeded") else "Waiting"


def _rows_by_shard(pods: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """A shard that was tried again counts once."""
    rows: dict[str, int] = {}
    for pod in pods:
        index = pod["metadata"].get("labels", {}).get(LABEL_INDEX, "")
        for container in pod.get("status", {}).get("containerStatuses", ()):
            ended = container.get("state", {}).get("terminated") or {}
            if ended.get("exitCode") == 0:
                rows[index] = max(rows.get(index, 0), _rows(ended.get("message", "")))
    return rows


def _measured(text: str) -> tuple[float, int]:
    """The part of its shard that a pod has done, and the rows, from its metrics."""
    values = dict(line.split(" ", 1) for line in text.splitlines() if line.startswith("modelway_batch_"))
    try:
        return float(values.get(_SHARE, 0)), int(float(values.get(_ROWS, 0)))
    except ValueError:
        return 0.0, 0


def _rows(message: str) -> int:
    try:
        found = orjson.loads(message)["rows"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return 0
    return found if isinstance(found, int) else 0
