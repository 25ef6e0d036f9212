"""Options of commands that answer in pods until they are told to end: `serve` and `observe`."""

from collections.abc import Callable
from typing import Any

import click

from modelway.cli.types import Duration, Share
from modelway.server.options import OBSERVE_RATE, every_address

Decorator = Callable[[Any], Any]


def variable_of(flag: str) -> str:
    """The environment variable that stands for an option: `MODELWAY_GRPC_PORT` for `--grpc-port`."""
    return "MODELWAY_" + flag.removeprefix("--").replace("-", "_").upper()


host = click.option(
    "--host",
    default=every_address,
    show_default="every address, IPv4 and IPv6",
    envvar="MODELWAY_HOST",
    help="Address to listen on.",
)


def port(flag: str, default: int, told: str) -> Decorator:
    """A port to listen on, `--port` or `--grpc-port`; `told` is its help."""
    return click.option(
        flag, type=click.IntRange(0, 65535), default=default, show_default=True, envvar=variable_of(flag), help=told
    )


def drain(told: str) -> Decorator:
    """How long to go on after SIGTERM."""
    return click.option(
        "--drain", type=Duration(), default="10s", show_default=True, envvar="MODELWAY_DRAIN", help=told
    )


def share(flag: str, told: str) -> Decorator:
    """The part of the requests whose inputs are counted."""
    return click.option(
        flag, type=Share(), default="100%", show_default=True, envvar="MODELWAY_OBSERVE_SHARE", help=told
    )


def rate(flag: str, told: str) -> Decorator:
    """How many rows a second are counted at most."""
    return click.option(
        flag,
        type=click.FloatRange(min=1),
        default=OBSERVE_RATE,
        show_default=True,
        envvar="MODELWAY_OBSERVE_RATE",
        help=told,
    )
