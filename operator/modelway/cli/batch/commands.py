"""The options of the commands that talk to a cluster. The work is in `running`, imported when a command runs."""

import sys
from collections.abc import Callable
from typing import Any

import click

from modelway.cli.options import Command, model_deployment, yes_option


def _batch_job(command: Command) -> Command:
    """The options that say which ModelDeployment is meant, and which of its batch jobs."""
    entry = click.option("--job", "entry", help="Entry of spec.batchJobs. Left out: the only one.")
    return model_deployment(entry(command))


@click.command()
@_batch_job
@click.option("--date", help="What {date} stands for, as 2026-11-20; where {time} is used, as 2026-11-20T1430.")
@click.option("--wait", is_flag=True, help="Show how far it is until it has ended.")
def run(name: str, **given: Any) -> None:
    """Begin a run of a batch job of NAME now, whatever its schedule says.

    With --wait the exit code says how it ended: 0 it succeeded, 1 it failed, 2 an error.
    """
    from modelway.cli.batch import running

    where = _taken(given)
    sys.exit(_uninterrupted(lambda: running.run(name, where, **given)))


@click.command()
@_batch_job
@click.option("--from", "first", required=True, help="The first day, as 2026-11-01.")
@click.option("--to", "last", required=True, help="The last day, as 2026-11-30; it is run as well.")
@click.option("--at", help="Time of day where the URIs use {time}, as 1430.")
@click.option("--at-once", type=click.IntRange(1, 100), default=1, show_default=True, help="Days that run at once.")
@click.option("--again", is_flag=True, help="Run days as well whose Job is there and has succeeded.")
def backfill(name: str, **given: Any) -> None:
    """Run a batch job of NAME for each day of a span, and wait.

    May be interrupted and called again: days that are done are passed over, and runs that go on are not stopped.
    Exit code: 0 all succeeded, 1 some failed, 2 an error.
    """
    from modelway.cli.batch import running

    where = _taken(given)
    sys.exit(_uninterrupted(lambda: running.backfill(name, where, **given)))


@click.command()
@_batch_job
@click.option("-w", "--watch", is_flag=True, help="Show it until no run goes on.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def status(name: str, watch: bool, output: str, **given: Any) -> None:
    """Show the runs of the batch jobs of NAME: how far those are that go on, and how the last one ended."""
    from modelway.cli.batch import running

    where = _taken(given)
    sys.exit(_uninterrupted(lambda: running.status(name, where, watch=watch, as_json=output == "json", **given)))


@click.command()
@_batch_job
@click.option("--run", "job", help="Name of the run's Job. Left out: the latest.")
@click.option("--shard", type=click.IntRange(0), help="Only this shard, from 0.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the pods end.")
def logs(name: str, **given: Any) -> None:
    """Show what the pods of a run have logged."""
    from modelway.cli.batch import running

    where = _taken(given)
    sys.exit(_uninterrupted(lambda: running.logs(name, where, **given)))


@click.command()
@_batch_job
@click.option("--run", "job", help="Name of the run's Job. Left out: the one that goes on.")
@yes_option
def cancel(name: str, **given: Any) -> None:
    """End a run that goes on. Shards that are done stay, and another run skips them."""
    from modelway.cli.batch import running

    where = _taken(given)
    sys.exit(_uninterrupted(lambda: running.cancel(name, where, **given)))


def _taken(given: dict[str, Any]) -> dict[str, str | None]:
    """Take the options that say where the cluster is out of `given`."""
    return {option: given.pop(option) for option in ("namespace", "context", "kubeconfig")}


def _uninterrupted(work: Callable[[], int]) -> int:
    """Click's 1 for Ctrl-C would say that the run has failed."""
    try:
        return work()
    except KeyboardInterrupt:
        return 130
