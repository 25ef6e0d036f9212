"""`modelway serve`: options only; the work is in `modelway.server.process`."""

import os
import re
from pathlib import Path
from typing import Any

import click

from modelway.cli.types import Duration, Size

# The libraries that count the node's cores when they are imported; see server.cpu.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def _name(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", value):
        raise click.BadParameter("letters, digits, dots, dashes and underscores only: it stands in URLs")
    return value


def _globals(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> frozenset[str]:
    for value in values:
        if "." not in value or not all(part.isidentifier() for part in value.split(".")):
            raise click.BadParameter(f'"{value}" is not of the form module.name')
    return frozenset(values)


@click.command()
@click.option(
    "--model-dir",
    type=click.Path(path_type=Path),
    default=Path("/mnt/models"),
    show_default=True,
    envvar="MODELWAY_MODEL_DIR",
    help="Folder (or file) that holds the model.",
)
@click.option(
    "--name", required=True, envvar="MODELWAY_NAME", callback=_name, help="The model's name in paths and answers."
)
@click.option("--version", envvar="MODELWAY_VERSION", help="Shown in answers and metrics.")
@click.option("--revision", default="", envvar="MODELWAY_REVISION", help="The operator's revision; a metrics label.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["onnx", "sklearn"]),
    envvar="MODELWAY_FORMAT",
    help="Left out: modelway.json, else the file's suffix.",
)
@click.option(
    "--code",
    type=click.Choice(["Refuse", "AllowList"]),
    default="Refuse",
    show_default=True,
    envvar="MODELWAY_CODE",
    help="Whether formats that can run code when they are loaded (pickle, joblib) are let in.",
)
@click.option(
    "--allow-global",
    "allowed_globals",
    multiple=True,
    envvar="MODELWAY_ALLOWED_GLOBALS",
    callback=_globals,
    metavar="MODULE.NAME",
    help="With AllowList: a class or function that a pickle may use beyond the built-in list. Repeatable.",
)
@click.option("--host", default="0.0.0.0", show_default=True, envvar="MODELWAY_HOST", help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, envvar="MODELWAY_PORT", help="0: any."
)
@click.option(
    "--timeout", type=Duration(), default="5s", show_default=True, envvar="MODELWAY_TIMEOUT", help="For one request."
)
@click.option(
    "--drain",
    type=Duration(),
    default="10s",
    show_default=True,
    envvar="MODELWAY_DRAIN",
    help="How long to go on answering after SIGTERM.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    envvar="MODELWAY_THREADS",
    help="CPU threads for one prediction. Left out: the container's CPU limit, 1 where there is none.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    envvar="MODELWAY_CONCURRENCY",
    help="Slow predictions that run at once. Left out: one for each CPU, at least 2.",
)
@click.option(
    "--queue",
    type=click.IntRange(0),
    default=128,
    show_default=True,
    envvar="MODELWAY_QUEUE",
    help="Predictions that may wait; the next one is answered 503.",
)
@click.option(
    "--max-body", type=Size(), default="16Mi", show_default=True, envvar="MODELWAY_MAX_BODY", help="Largest request."
)
def serve(**given: Any) -> None:
    """Serve a model over HTTP.

    Speaks the V1 protocol (POST /v1/models/NAME:predict) and the Open Inference Protocol V2 (POST
    /v2/models/NAME/infer), and gives Prometheus metrics at /metrics.
    """
    from modelway.cli import logs
    from modelway.server import cpu

    logs.configure()
    threads = given["threads"] or cpu.default_threads()
    for variable in _THREAD_VARIABLES:
        os.environ.setdefault(variable, str(threads))

    # From here on numpy may be imported.
    from modelway.server import process
    from modelway.server.formats.base import Code
    from modelway.server.options import ServerOptions

    process.run(
        ServerOptions(
            model_dir=given["model_dir"],
            name=given["name"],
            version=given["version"] or None,
            revision=given["revision"],
            format=given["format_name"],
            code=Code(given["code"]),
            allowed_globals=given["allowed_globals"],
            host=given["host"],
            port=given["port"],
            threads=threads,
            concurrency=given["concurrency"] or cpu.default_concurrency(),
            queue=given["queue"],
            timeout=given["timeout"],
            drain=given["drain"],
            max_body=given["max_body"],
        )
    )
