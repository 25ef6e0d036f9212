"""The commands' options. The work is in `running`, imported when a command runs: other commands must start quickly."""

import sys

import click

from modelway.cli.options import model_deployment, yes_option
from modelway.cli.types import Duration


@click.group()
def rollout() -> None:
    """See how a new revision takes over, and have a say in it.

    Talks to the cluster through your kubectl: the same kubeconfig, context and way to log in.
    """


@rollout.command()
@model_deployment
@click.option("-w", "--watch", is_flag=True, help="Show it until the rollout has ended.")
@click.option("--timeout", type=Duration(), help="With --watch: give up after this time, such as 30m.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def status(name: str, watch: bool, timeout: float | None, output: str, **where: str | None) -> None:
    """Show how far the rollout of NAME is, and why it is not further.

    With --watch the exit code says how it ended: 0 the revision that the spec asks for serves; 1 it does not: it was
    rolled back, rejected, or replaced by a newer one; 2 an error, or --timeout is over.
    """
    from modelway.cli.rollout import running

    if timeout is not None and not watch:
        raise click.UsageError("--timeout is of --watch")
    if watch:
        sys.exit(running.watch(name, where, timeout=timeout, as_json=output == "json"))
    running.show(name, where, as_json=output == "json")


@rollout.command()
@model_deployment
@click.option("--step", help="The pause or preview to end. Left out: the one that the rollout is at.")
def approve(name: str, step: str | None, **where: str | None) -> None:
    """Let the rollout of NAME go on after a pause or preview."""
    from modelway.cli.rollout import actions, running

    running.act(name, where, lambda picture: actions.approve(picture, step))


@rollout.command()
@model_deployment
@yes_option
def promote(name: str, yes: bool, **where: str | None) -> None:
    """Give the candidate of NAME all traffic now, whatever its checks say."""
    from modelway.cli.rollout import actions, running

    running.act(name, where, actions.promote, yes=yes)


@rollout.command()
@model_deployment
def abort(name: str, **where: str | None) -> None:
    """Give the candidate of NAME up: the stable revision gets all traffic."""
    from modelway.cli.rollout import actions, running

    running.act(name, where, actions.abort)


@rollout.command()
@model_deployment
def retry(name: str, **where: str | None) -> None:
    """Try the rejected revision of NAME again."""
    from modelway.cli.rollout import actions, running

    running.act(name, where, actions.retry)


@rollout.command()
@model_deployment
@yes_option
@click.option("--to", metavar="REVISION", help="Left out: the revision that was promoted last before the present one.")
@click.option("--dry-run", is_flag=True, help="Show the difference and change nothing.")
def undo(name: str, to: str | None, yes: bool, dry_run: bool, **where: str | None) -> None:
    """Put spec.model and spec.serving of NAME back to those of an earlier revision.

    Replicas, autoscaling, rollout and traffic stay as they are.
    """
    from modelway.cli.rollout import running

    running.undo(name, where, to=to, yes=yes, dry_run=dry_run)
