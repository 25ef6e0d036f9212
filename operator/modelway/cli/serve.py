"""`modelway serve`: options only; the work is in `modelway.server.process`."""

import re
from pathlib import Path
from typing import Any

import click

from modelway.cli import listening
from modelway.cli.types import Duration, Size, Slices

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
DEFAULT_MODEL = Path("/mnt/models")


def _name(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value and not _NAME.fullmatch(value):
        raise click.BadParameter("letters, digits, dots, dashes and underscores only: it stands in URLs")
    return value


def _where(model: Path | None, model_dir: Path | None) -> Path:
    if model is not None and model_dir is not None:
        raise click.UsageError("MODEL and --model-dir say the same thing; give one of them")
    return model or model_dir or DEFAULT_MODEL


def _name_of(model: Path) -> str:
    """The name of a model that was given none: its folder's, or its file's without the suffix."""
    path = model.resolve()
    name = path.stem if path.is_file() else path.name
    if not _NAME.fullmatch(name):
        raise click.UsageError(f'"{name}" cannot stand in URLs; say --name')
    return name


def _globals(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> frozenset[str]:
    for value in values:
        if "." not in value or not all(part.isidentifier() for part in value.split(".")):
            raise click.BadParameter(f'"{value}" is not of the form module.name')
    return frozenset(values)


@click.command()
@click.argument("model", type=click.Path(path_type=Path), required=False)
@click.option(
    "--model-dir",
    type=click.Path(path_type=Path),
    envvar="MODELWAY_MODEL_DIR",
    help=f"The same as MODEL. Both left out: {DEFAULT_MODEL}.",
)
@click.option(
    "--name",
    envvar="MODELWAY_NAME",
    callback=_name,
    help="The model's name in paths and answers. Left out: the folder's name.",
)
@click.option("--version", envvar="MODELWAY_VERSION", help="Shown in answers and metrics.")
@click.option("--revision", default="", envvar="MODELWAY_REVISION", help="The operator's revision; a metrics label.")
@click.option(
    "--format",
    "format_name",
    envvar="MODELWAY_FORMAT",
    metavar="NAME",
    help="One that `modelway formats` lists. Left out: modelway.json or MLmodel, else the file's suffix and content.",
)
@click.option(
    "--code",
    type=click.Choice(["Refuse", "AllowList", "Trust"]),
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
@listening.host
@listening.port("--port", 8080, "0: any.")
@click.option(
    "--timeout", type=Duration(), default="5s", show_default=True, envvar="MODELWAY_TIMEOUT", help="For one request."
)
@listening.drain("How long to go on answering after SIGTERM.")
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
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    envvar="MODELWAY_WORKERS",
    help="Processes that serve, each with a copy of the model.",
)
@click.option(
    "--max-batch",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    envvar="MODELWAY_MAX_BATCH",
    help="Rows of different requests that a slow model predicts together at most; 1 switches that off.",
)
@click.option(
    "--max-wait",
    type=Duration(),
    default="0",
    show_default=True,
    envvar="MODELWAY_MAX_WAIT",
    help="How long a batch may wait to fill while there are other clients.",
)
@click.option(
    "--max-connections",
    type=click.IntRange(1),
    default=4096,
    show_default=True,
    envvar="MODELWAY_MAX_CONNECTIONS",
    help="Connections of one worker; beyond, the one that is idle longest is closed, or else the new one refused.",
)
@click.option(
    "--max-rows",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    envvar="MODELWAY_MAX_ROWS",
    help="Rows of one request.",
)
@listening.port("--grpc-port", 0, "Port of the Open Inference Protocol's gRPC form; 0: off.")
@click.option(
    "--observe/--no-observe",
    default=True,
    show_default=True,
    envvar="MODELWAY_OBSERVE",
    help="Whether answers and inputs are counted, and the counts told at /v1/observations.",
)
@listening.share("--observe-share", "Of the requests whose inputs are counted.")
@listening.rate("--observe-rate", "Rows a second whose inputs are counted in each worker at most.")
@click.option(
    "--feedback-keys",
    type=click.Path(path_type=Path),
    envvar="MODELWAY_FEEDBACK_KEYS",
    help="File or folder of keys that sign prediction ids, for which labels can be sent later. Left out: no ids.",
)
@click.option(
    "--feedback-window",
    type=Duration(),
    default="1h",
    show_default=True,
    envvar="MODELWAY_FEEDBACK_WINDOW",
    help="How long the predictions were made whose labels are counted together; labels may come 256 of them later.",
)
@click.option(
    "--feedback-slices",
    type=Slices(),
    default="{}",
    envvar="MODELWAY_FEEDBACK_SLICES",
    metavar="JSON",
    help='Values of slices that labels are counted by, such as {"country": ["DE", "FR"]}. Left out: none.',
)
@click.option(
    "--max-body", type=Size(), default="16Mi", show_default=True, envvar="MODELWAY_MAX_BODY", help="Largest request."
)
def serve(**given: Any) -> None:
    """Serve the model in the folder (or file) MODEL over HTTP.

    Speaks the V1 protocol (POST /v1/models/NAME:predict) and the Open Inference Protocol V2 (POST
    /v2/models/NAME/infer), and gives Prometheus metrics at /metrics.
    """
    from modelway.cli import logs
    from modelway.server import cpu

    model = _where(given["model"], given["model_dir"])
    name = given["name"] or _name_of(model)
    logs.configure()
    if given["feedback_window"] < 1:
        raise click.BadParameter("must be at least 1s", param_hint="--feedback-window")
    threads = given["threads"] or cpu.default_threads(workers=given["workers"])
    cpu.limit_libraries(threads)

    # From here on numpy may be imported.
    from modelway.server import process
    from modelway.server.code import Code
    from modelway.server.options import ServerOptions

    process.run(
        ServerOptions(
            model_dir=model,
            name=name,
            version=given["version"] or None,
            revision=given["revision"],
            format=given["format_name"],
            code=Code(given["code"]),
            allowed_globals=given["allowed_globals"],
            host=given["host"],
            port=given["port"],
            threads=threads,
            concurrency=given["concurrency"] or cpu.default_concurrency(workers=given["workers"]),
            queue=given["queue"],
            timeout=given["timeout"],
            drain=given["drain"],
            max_body=given["max_body"],
            max_rows=given["max_rows"],
            grpc_port=given["grpc_port"],
            max_connections=given["max_connections"],
            max_batch=given["max_batch"],
            max_wait=given["max_wait"],
            workers=given["workers"],
            observe=given["observe"],
            observe_share=given["observe_share"],
            observe_rate=given["observe_rate"],
            feedback_keys=given["feedback_keys"],
            feedback_window=given["feedback_window"],
            feedback_slices=given["feedback_slices"],
        )
    )
