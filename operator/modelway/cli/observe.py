"""`modelway observe`: options only; the work is in `modelway.observer.process`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from modelway.cli import listening


def _path(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    from modelway.observer.paths import PathError, path_of

    try:
        path_of(value)
    except PathError as error:
        raise click.BadParameter(str(error)) from error
    return value


def _pointer(flag: str, default: str, told: str) -> Callable[[Any], Any]:
    variable = listening.variable_of(flag)
    return click.option(flag, default=default, show_default=True, callback=_path, envvar=variable, help=told)


@click.command()
@click.option("--name", required=True, envvar="MODELWAY_NAME", help="The model's name in what is told.")
@click.option("--version", envvar="MODELWAY_VERSION", help="Likewise.")
@click.option("--revision", default="", envvar="MODELWAY_REVISION", help="The operator's revision; likewise.")
@click.option(
    "--model-dir",
    type=click.Path(path_type=Path),
    envvar="MODELWAY_MODEL_DIR",
    help="Folder where a modelway.json may say what is usual. Left out: it is learnt.",
)
@_pointer("--request-path", "/instances/*", "JSON Pointer to the rows of a request; * is each element of a list.")
@_pointer("--response-path", "/predictions/*", "JSON Pointer to the predictions of its answer.")
@listening.share("--share", "Of the requests that Envoy shows; told in the counts.")
@listening.rate("--rate", "Rows a second that are counted at most.")
@listening.host
@listening.port("--port", 8080, "Where counts are told; 0: any.")
@listening.port("--grpc-port", 9000, "Where Envoy's filter ext_proc sends what it sees; 0: any.")
@listening.drain("How long to go on telling counts after SIGTERM.")
def observe(**given: Any) -> None:
    """Count what a server of any kind is asked and answers, as Envoy shows it.

    Runs in pods of the operator, for images of your own with spec.monitoring.observe. Envoy's filter ext_proc, in
    observability mode, sends requests and answers in JSON; the counts are at /v1/observations.
    """
    from modelway.cli import logs
    from modelway.server import cpu

    logs.configure()
    cpu.limit_libraries(1)

    # From here on numpy may be imported.
    from modelway.observer import process
    from modelway.observer.options import ObserverOptions

    process.run(ObserverOptions(**given | {"version": given["version"] or None}))
