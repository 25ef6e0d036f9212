"""Carries the commands out: reads the resource, says what will happen, asks where a human should be asked, writes."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import click
import orjson

from modelway.cli.errors import Conflict, Refused
from modelway.cli.kubectl import Kubectl, Where
from modelway.cli.rollout.actions import Action
from modelway.cli.rollout.outcome import ERROR, INTERRUPTED
from modelway.cli.rollout.picture import Picture, read
from modelway.cli.rollout.render import as_json as json_of
from modelway.cli.rollout.render import render
from modelway.cli.rollout.rules import Rules
from modelway.cli.rollout.undo import undo as undo_of
from modelway.cli.rollout.watch import Json, Lines, Screen, Terminal, Watch

_TRIES: Final = 5
"""The operator writes status all the time; a write that it got in the way of is decided anew."""


def show(name: str, where: Where, *, as_json: bool) -> None:
    """Print the status once."""
    kubectl = Kubectl.find(where)
    obj = kubectl.get(name)
    picture = Rules(kubectl).picture(obj)
    if as_json:
        click.echo(orjson.dumps(json_of(obj, picture), option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(render(picture, datetime.now(UTC), command=_called()))


def watch(name: str, where: Where, *, timeout: float | None, as_json: bool) -> int:
    """Show the status until the rollout has ended; gives the exit code."""
    kubectl = Kubectl.find(where)
    screen: Screen = Json() if as_json else Terminal(_called()) if sys.stdout.isatty() else Lines()
    try:
        watched = Watch(lambda: kubectl.get(name), screen, picture=Rules(kubectl).picture)
        return watched.until_ended(timeout=timeout).exit_code
    except KeyboardInterrupt:
        return INTERRUPTED  # not click's 1, which says that the revision does not serve


def act(name: str, where: Where, decide: Callable[[Picture], Action], *, yes: bool = False) -> None:
    """Decide and write; decided anew when the object has changed in between and that matters."""
    kubectl = Kubectl.find(where)
    rules = Rules(kubectl)
    for tries_left in reversed(range(_TRIES)):
        action = decide(rules.picture(kubectl.get(name)))
        _warn(action.warnings)
        if action.needs_consent:
            _ask(f"{action.says}. Go on?", yes=yes)
        try:
            kubectl.annotate(
                name, action.annotation, action.value, removes=action.removes, resource_version=action.resource_version
            )
        except Conflict:
            if not tries_left:
                raise
            continue
        click.echo(f"{action.says}\nannotated: {action.annotation}={action.value}")
        return


def undo(name: str, where: Where, *, to: str | None, yes: bool, dry_run: bool) -> None:
    """Show what would change, ask, and change it."""
    kubectl = Kubectl.find(where)
    picture = read(kubectl.get(name))
    planned = undo_of(picture, kubectl.revisions(name), to)
    click.echo(f"back to {planned.title}:\n{planned.difference}")
    _warn(planned.warnings)
    if dry_run:
        return
    _ask("Change the spec?", yes=yes)
    try:
        kubectl.patch(name, planned.operations)
    except Conflict as error:
        raise Refused(f"{name} has changed since the difference was made; look at it again") from error
    click.echo(f"changed; see: {_called()} status {name} --watch")


def _ask(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused("nobody is here to be asked; say --yes")
    if not click.confirm(question):
        click.echo("nothing was changed")
        sys.exit(ERROR)


def _warn(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        click.secho(f"note: {warning}", err=True, fg="yellow" if sys.stderr.isatty() else None)


def _called() -> str:
    """How the user has called this group of commands."""
    context = click.get_current_context()
    return context.parent.command_path if context.parent else context.command_path
