"""Jobs that are asked for by hand: the CronJob's own template, and the day said. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final

import orjson

from modelway.api.batch_dates import Moment, fill, has_placeholder, parse
from modelway.api.names import ANNOTATION_DATE, ANNOTATION_RUN, CONTAINER_BATCH, CONTAINER_RESOLVE, VARIABLE_DATE
from modelway.cli.errors import Refused

KEPT_SECONDS: Final = 86_400
"""How long a Job that was asked for by hand is kept after its end; the CronJob's history is of scheduled runs only."""
MOST_TRIES: Final = 99
_LONGEST_BACKFILL: Final = 1000


def entry_of(obj: Mapping[str, Any], wanted: str | None) -> Mapping[str, Any]:
    """The status of the entry that is meant: `wanted`, or the only one. Raises Refused."""
    name = obj["metadata"]["name"]
    entries = {entry["name"]: entry for entry in obj.get("status", {}).get("batchJobs", ())}
    asked = [entry["name"] for entry in obj["spec"].get("batchJobs", ())]
    if not asked:
        raise Refused(f"{name} has no batchJobs in its spec")
    if wanted is None and len(asked) > 1:
        raise Refused(f"{name} has {len(asked)} batch jobs; say which with --job: {', '.join(asked)}")
    meant = wanted or asked[0]
    if meant not in asked:
        raise Refused(f"{name} has no batch job {meant}; it has {', '.join(asked)}")
    if meant not in entries:
        raise Refused(
            f"the operator has not looked at {meant} yet; try again, or look at: kubectl describe mdep {name}"
        )
    found: Mapping[str, Any] = entries[meant]
    return found


def moment_of(cron_job: Mapping[str, Any], text: str | None) -> Moment | None:
    """The day that a run is for, checked against what the URIs need. Raises Refused."""
    told = _told(cron_job)
    try:
        moment = parse(text) if text is not None else None
        if moment is None and has_placeholder(told["input"], told["output"]):
            raise Refused(f"{told['output']} needs a date; say --date, such as --date 2026-11-20")
        for uri in (told["input"], told["output"]):
            fill(uri, moment)
    except ValueError as error:
        raise Refused(str(error)) from error
    return moment


def output_of(cron_job: Mapping[str, Any], moment: Moment | None) -> str:
    """Where a run writes."""
    return fill(_told(cron_job)["output"], moment)


def days(first: str, last: str, at: str | None) -> list[Moment]:
    """The days from `first` to `last`, both of them. Raises Refused."""
    try:
        begin, end = parse(first), parse(last)
        clock = parse(f"2000-01-01T{at}").at if at is not None else None
    except ValueError as error:
        raise Refused(str(error)) from error
    if begin.at is not None or end.at is not None:
        raise Refused("--from and --to are days, such as 2026-11-01; the time of day is said by --at")
    count = (end.day - begin.day).days + 1
    if count < 1:
        raise Refused(f"--from {first} is after --to {last}")
    if count > _LONGEST_BACKFILL:
        raise Refused(f"{count} days; at most {_LONGEST_BACKFILL} at once")
    return [Moment(day, clock) for day in _consecutive(begin.day, count)]


def names(cron_job: str, moment: Moment | None, minutes: int) -> Iterator[str]:
    """Names for a Job, the first first; the same day gives the same name, so that two who ask at once get one Job.

    Args:
        cron_job: its CronJob's name, at most 40 characters.
        moment: the day that it is for.
        minutes: since 1970; tells runs apart that are for no day.
    """
    told = f"d{str(moment).replace('-', '').replace('T', '')}" if moment is not None else f"r{minutes}"
    yield f"{cron_job}-{told}"
    for again in range(2, MOST_TRIES + 1):
        yield f"{cron_job}-{told}-{again}"


def job_of(cron_job: Mapping[str, Any], name: str, moment: Moment | None) -> dict[str, Any]:
    """The Job: what the CronJob would make, for `moment`."""
    template = cron_job["spec"]["jobTemplate"]
    metadata = template["metadata"]
    annotations = dict(metadata.get("annotations", {}))
    pods = template["spec"]["template"]
    spec = pods["spec"]
    if moment is not None:
        annotations[ANNOTATION_DATE] = str(moment)
        told = {"name": VARIABLE_DATE, "value": str(moment)}
        inside = {kind: [_told_to(one, told) for one in spec[kind]] for kind in _KINDS if kind in spec}
        pods = pods | {"spec": spec | inside}
    owners = cron_job["metadata"].get("ownerReferences", ())
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": cron_job["metadata"]["namespace"],
            "labels": metadata["labels"],
            "annotations": annotations,
            # Of the ModelDeployment and not of the CronJob, which would clean it up with its own; and not its
            # controller: the operator makes no Jobs, and would take it for a child too many.
            "ownerReferences": [{key: owner[key] for key in ("apiVersion", "kind", "name", "uid")} for owner in owners],
        },
        "spec": template["spec"] | {"template": pods, "ttlSecondsAfterFinished": KEPT_SECONDS},
    }


_KINDS: Final = ("initContainers", "containers")


def _told_to(container: Mapping[str, Any], variable: Mapping[str, str]) -> Mapping[str, Any]:
    if container["name"] not in {CONTAINER_BATCH, CONTAINER_RESOLVE}:
        return container
    others: Iterable[Any] = (one for one in container.get("env", ()) if one["name"] != variable["name"])
    return {**container, "env": [*others, variable]}


def _told(cron_job: Mapping[str, Any]) -> Mapping[str, Any]:
    annotations = cron_job["spec"]["jobTemplate"]["metadata"].get("annotations", {})
    if ANNOTATION_RUN not in annotations:
        raise Refused(f"{cron_job['metadata']['name']} is no CronJob of modelway's")
    told: Mapping[str, Any] = orjson.loads(annotations[ANNOTATION_RUN])
    return told


def _consecutive(first: date, count: int) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range(count))
