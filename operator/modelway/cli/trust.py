"""Options that several commands share: what a model's file may do when it is loaded."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from modelway.packing.originals import Trust

_HELP = (
    "What happens to formats that run code when they are loaded (pickle, joblib). Refuse; AllowList: only classes and "
    "functions on a list are used; Trust: the file may do anything that you may."
)


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --format, --code and --allow-global to a command; `made` reads them."""
    for option in (
        click.option(
            "--allow-global",
            "allowed_globals",
            multiple=True,
            callback=dotted_names,
            metavar="MODULE.NAME",
            help="With AllowList: a class or function that a pickle may use beyond the built-in list. Repeatable.",
        ),
        click.option(
            "--code",
            type=click.Choice(["Refuse", "AllowList", "Trust"]),
            default="Refuse",
            show_default=True,
            help=_HELP,
        ),
        click.option("--format", "format_name", help="Left out: modelway.json, else the file's suffix and content."),
    ):
        command = option(command)
    return command


def dotted_names(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> frozenset[str]:
    """Check the values of --allow-global."""
    for value in values:
        if "." not in value or not all(part.isidentifier() for part in value.split(".")):
            raise click.BadParameter(f'"{value}" is not of the form module.name')
    return frozenset(values)


def made(given: dict[str, Any]) -> "Trust":
    """What the options say."""
    from modelway.packing.originals import Trust
    from modelway.server.code import Code

    return Trust(Code(given["code"]), given["allowed_globals"], given["format_name"])
