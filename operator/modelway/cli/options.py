"""Options that several commands about a cluster have."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def model_deployment(command: Command) -> Command:
    """The options that say which ModelDeployment is meant: `name`, and where it is as `kubectl.Where` has it."""
    for option in (
        click.option("--kubeconfig", help="Path of the kubeconfig, as kubectl has it."),
        click.option("--context", help="Context of the kubeconfig."),
        click.option("-n", "--namespace", help="Namespace. Left out: that of the context."),
        click.argument("name"),
    ):
        command = option(command)
    return command


yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
