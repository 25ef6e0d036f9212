"""Carries the commands about batch jobs out: reads, says what will happen, asks where a human should be, writes."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click
import orjson

from modelway.api.batch_dates import Moment
from modelway.api.names import LABEL_BATCH_JOB, LABEL_NAME
from modelway.cli.batch import manual
from modelway.cli.batch.cluster import Cluster
from modelway.cli.batch.picture import Progress, entry_lines, line, progress
from modelway.cli.errors import KubectlError, NotFound, Refused
from modelway.cli.kubectl import Where
from modelway.plan.jobs import LABEL_INDEX, LABEL_JOB

INTERVAL: Final = 2.0
PATIENCE: Final = 120.0
"""Seconds without an answer of the cluster after which waiting is given up."""
SUCCEEDED: Final = 0
FAILED: Final = 1


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds since 1970, and how to wait; other ones in tests."""

    now: Callable[[], float] = time.time
    wait: Callable[[float], None] = time.sleep


def run(name: str, where: Where, *, entry: str | None, date: str | None, wait: bool, clock: Clock = Clock()) -> int:
    """Begin a run; gives the exit code."""
    cluster = _cluster(where)
    status = manual.entry_of(cluster.get(name), entry)
    cron_job = cluster.cron_job(status["cronJob"])
    moment = manual.moment_of(cron_job, date)
    job = _begin(cluster, cron_job, moment, clock, joins=False)
    click.echo(f"{job} began; it writes to {manual.output_of(cron_job, moment)}")
    if not wait:
        click.echo(f"see: modelway batch status {name}, modelway batch logs {name} --run {job}")
        return SUCCEEDED
    return SUCCEEDED if _awaited(cluster, [job], clock)[job].state == "Succeeded" else FAILED


def backfill(
    name: str,
    where: Where,
    *,
    entry: str | None,
    first: str,
    last: str,
    at: str | None,
    at_once: int,
    again: bool,
    clock: Clock = Clock(),
) -> int:
    """Run each day, so many at once; days that have succeeded are passed over. Gives the exit code."""
    cluster = _cluster(where)
    status = manual.entry_of(cluster.get(name), entry)
    cron_job = cluster.cron_job(status["cronJob"])
    waiting = manual.days(first, last, at)
    for moment in waiting:
        manual.moment_of(cron_job, str(moment))
    going: dict[str, Moment] = {}
    failed: list[str] = []
    total, passed = len(waiting), 0
    click.echo(f"{total} runs, {at_once} at once, {manual.output_of(cron_job, waiting[0])} the first")
    while waiting or going:
        while waiting and len(going) < at_once:
            moment = waiting.pop(0)
            if not again and _has_succeeded(cluster, name, status["name"], moment):
                passed += 1
                continue
            going[_begin(cluster, cron_job, moment, clock, joins=True)] = moment
        ended = _awaited(cluster, list(going), clock, first=True) if going else {}
        for job, found in ended.items():
            click.echo(f"{going.pop(job)}  {line(found)}")
            if found.state != "Succeeded":
                failed.append(job)
    click.echo(f"{total - passed - len(failed)} runs succeeded, {len(failed)} failed, {passed} had been done before")
    return FAILED if failed else SUCCEEDED


def status(name: str, where: Where, *, entry: str | None, watch: bool, as_json: bool, clock: Clock = Clock()) -> int:
    """Show the runs, once or until none goes on; gives the exit code."""
    cluster = _cluster(where)
    if as_json:
        entries = [one for one, _ in _seen(cluster, name, entry)]
        click.echo(orjson.dumps(entries, option=orjson.OPT_INDENT_2).decode())
        return SUCCEEDED
    drawn = 0
    while True:
        seen = _seen(cluster, name, entry)
        drawn = _draw([text for one, runs in seen for text in entry_lines(one, runs)], drawn)
        going = [one for _, runs in seen for one in runs if not one.has_ended]
        if not watch or not going:
            return SUCCEEDED
        clock.wait(INTERVAL)


def logs(name: str, where: Where, *, entry: str | None, job: str | None, shard: int | None, follow: bool) -> int:
    """Show what the pods of a run have logged; gives kubectl's exit code."""
    cluster = _cluster(where)
    status = manual.entry_of(cluster.get(name), entry)
    meant = job or _latest(cluster.jobs(name, status["name"]), status)
    selector = f"{LABEL_JOB}={meant}" + (f",{LABEL_INDEX}={shard}" if shard is not None else "")
    arguments = [f"--selector={selector}", "--all-containers", "--prefix", "--tail=-1", "--max-log-requests=200"]
    return cluster.show_logs([*arguments, *(["--follow"] if follow else [])])


def cancel(name: str, where: Where, *, entry: str | None, job: str | None, yes: bool) -> int:
    """End a run that goes on; what is done stays. Gives the exit code."""
    cluster = _cluster(where)
    status = manual.entry_of(cluster.get(name), entry)
    going = [progress(one) for one in cluster.jobs(name, status["name"])]
    going = [one for one in going if not one.has_ended and job in {None, one.job}]
    if not going:
        raise Refused(f"no run of {status['name']} goes on" if job is None else f"{job} does not go on")
    if len(going) > 1:
        raise Refused(f"{len(going)} runs go on; say which with --run: {', '.join(one.job for one in going)}")
    told = f"{going[0].job} ends now, with {going[0].done} of {going[0].shards} shards done; the next run skips these"
    if not yes:
        if not sys.stdin.isatty():
            raise Refused(f"{told}. Nobody is here to be asked; say --yes")
        if not click.confirm(f"{told}. Go on?"):
            return FAILED
    cluster.delete_job(going[0].job)
    click.echo(f"{going[0].job} was cancelled")
    return SUCCEEDED


def _begin(cluster: Cluster, cron_job: Mapping[str, Any], moment: Moment | None, clock: Clock, *, joins: bool) -> str:
    """Make the Job; gives its name. A run of the same day that goes on is not doubled. Raises Refused."""
    labels = cron_job["metadata"]["labels"]
    there = {one["metadata"]["name"]: one for one in cluster.jobs(labels[LABEL_NAME], labels[LABEL_BATCH_JOB])}
    for name in manual.names(cron_job["metadata"]["name"], moment, int(clock.now() // 60)):
        if name in there:
            if not progress(there[name]).has_ended and joins:
                return name
            if not progress(there[name]).has_ended:
                raise Refused(f"{name} does that already; see: modelway batch status, or cancel it first")
            continue
        cluster.create(manual.job_of(cron_job, name, moment))
        return name
    raise Refused(f"{manual.MOST_TRIES} Jobs of that day are there; delete those that have ended")


def _has_succeeded(cluster: Cluster, name: str, entry: str, moment: Moment) -> bool:
    found = (progress(job) for job in cluster.jobs(name, entry))
    return any(one.date == str(moment) and one.state == "Succeeded" for one in found)


def _awaited(cluster: Cluster, names: Sequence[str], clock: Clock, *, first: bool = False) -> dict[str, Progress]:
    """Wait until all of `names`, or the first of them, have ended, and show how far they are."""
    answered, drawn, last = clock.now(), 0, ""
    while True:
        try:
            found = {name: _looked_at(cluster, cluster.job(name)) for name in names}
        except NotFound:
            raise
        except KubectlError:
            if clock.now() - answered > PATIENCE:
                raise
        else:
            answered = clock.now()
            lines = [line(one) for one in found.values()]
            if sys.stdout.isatty():
                drawn = _draw(lines, drawn)
            elif (told := "\n".join(lines)) != last:
                last = told
                click.echo(told)
            ended = {name: one for name, one in found.items() if one.has_ended}
            if len(ended) == len(names) or (first and ended):
                return ended
        clock.wait(INTERVAL)


def _seen(cluster: Cluster, name: str, entry: str | None) -> list[tuple[Mapping[str, Any], list[Progress]]]:
    """The entries that are meant, with the runs that go on; their pods tell what is done."""
    obj = cluster.get(name)
    wanted = [one["name"] for one in obj["spec"].get("batchJobs", ())] if entry is None else [entry]
    if not wanted:
        raise Refused(f"{name} has no batchJobs in its spec")
    return [(one, list(_going(cluster, name, one))) for one in (manual.entry_of(obj, each) for each in wanted)]


def _going(cluster: Cluster, name: str, entry: Mapping[str, Any]) -> Iterator[Progress]:
    for job in cluster.jobs(name, entry["name"]):
        if not progress(job).has_ended:
            yield _looked_at(cluster, job)


def _looked_at(cluster: Cluster, job: Mapping[str, Any]) -> Progress:
    pods = cluster.pods(job["metadata"]["name"])
    return progress(job, pods, cluster.metrics(pods))


def _latest(jobs: Sequence[Mapping[str, Any]], entry: Mapping[str, Any]) -> str:
    if not jobs:
        raise Refused(f"no Job of {entry['name']} is there any more")
    latest: str = jobs[-1]["metadata"]["name"]
    return latest


def _draw(lines: Sequence[str], before: int) -> int:
    """Write lines over those that were written before, on a terminal; gives how many they are."""
    up = f"\x1b[{before}F\x1b[J" if before and sys.stdout.isatty() else ""
    click.echo(up + "\n".join(lines), color=True)
    return len(lines)


def _cluster(where: Where) -> Cluster:
    return Cluster.find(where)
