"""`modelway batch score`, which pods of batch runs run: options only; the work is in `modelway.batch`."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from modelway.artifacts.errors import ArtifactError, ModelwayError
from modelway.cli import trust
from modelway.cli.batch import when

if TYPE_CHECKING:
    from modelway.batch.run import Outcome

_FORMATS = click.Choice(["parquet", "csv", "jsonl"])


def _pairs(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Check the values of --map."""
    pairs = {}
    for value in values:
        name, separator, column = value.partition("=")
        if not separator or not name or not column:
            raise click.BadParameter(f'"{value}" is not of the form INPUT=COLUMN')
        pairs[name] = column
    return pairs


def _names(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(name.strip(" ") for name in value.split(",") if name.strip(" "))


@click.command()
@click.option("--model", type=click.Path(path_type=Path), required=True, help="The model's folder or file.")
@click.option(
    "--input",
    "input_",
    required=True,
    help="A file, a folder with a slash at its end, or a pattern; a path, file:///… or s3://…; or a table: "
    "postgresql://host/database/schema.table.",
)
@click.option("--output", required=True, help="The folder for the parts; a path, file:///… or s3://…; or a table.")
@click.option("--input-format", type=_FORMATS, default="parquet", show_default=True)
@click.option("--output-format", type=_FORMATS, default="parquet", show_default=True)
@click.option("--columns", default="", callback=_names, help="Columns to write beside the answers: id,day.")
@click.option(
    "--map", "mapping", multiple=True, callback=_pairs, metavar="INPUT=COLUMN", help="Where names differ. Repeatable."
)
@click.option(
    "--features", default="", callback=_names, help="For a model that knows no names: its columns, in order: a,b,c."
)
@click.option("--shards", type=int, default=1, show_default=True, help="Pieces that the input is cut into.")
@click.option(
    "--shard",
    type=int,
    envvar="JOB_COMPLETION_INDEX",
    help="Score this piece alone, from 0; an Indexed Job says it. Left out: all, one after another.",
)
@click.option("--rows-per-batch", type=int, default=4096, show_default=True, help="Rows given to the model at once.")
@click.option(
    "--max-failed-rows-per-million",
    type=int,
    default=0,
    show_default=True,
    help="Rows that may have no answer; with more, the run fails when all is scored.",
)
@click.option("--split-lines", is_flag=True, help="CSV holds no line break inside quotes: cut files at any line.")
@click.option("--key", default="", help="Of a table: the column that tells its rows apart, by which it is cut.")
@click.option(
    "--drift-max-psi",
    type=click.FloatRange(0.01, 10),
    default=0.1,
    show_default=True,
    help="PSI above which an input differs from the model's reference by too much.",
)
@click.option(
    "--drift-min-rows",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    help="Rows with a value that are needed to say so.",
)
@click.option("--hide-features", is_flag=True, help="Last words and log call inputs by their number, not their name.")
@click.option("--threads", type=click.IntRange(1), help="Blocks scored at once. Left out: the CPU limit, or all cores.")
@click.option("--version", default="", help="The model's version, written in each row. Left out: modelway.json's.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Port of /metrics. Left out: none.")
@when.options
@trust.options
def score(**given: Any) -> None:
    """Score every row of INPUT and write the answers to OUTPUT.

    May be killed and run again at any point. Ends with 0, 1 (try again), 42 (this shard's input is broken) or 43 (the
    run cannot be done as it was asked for).
    """
    from modelway.cli import logs
    from modelway.server import cpu

    logs.configure()
    cpu.limit_libraries(1)  # blocks are scored beside each other instead
    signal.signal(signal.SIGTERM, _end)
    sys.exit(_scored(given, given["threads"] or cpu.all_cores()))


def _scored(given: dict[str, Any], threads: int) -> int:
    """Run; the exit code. Last words as `modelway fetch` has them."""
    import structlog

    from modelway.artifacts import termination

    try:
        import pyarrow  # noqa: F401, ICN001 whether it is there
    except ModuleNotFoundError as missing:
        told = f"{missing.name} is not installed: use the image modelway-server-full, or pip install 'modelway[batch]'"
        termination.say({"reason": "SettingsInvalid", "message": told})
        click.echo(f"Error: {told}", err=True)
        return 43
    from modelway.batch.errors import BatchError, ExitCode, Reason
    from modelway.batch.metrics import Meter
    from modelway.batch.run import ModelOptions, run
    from modelway.batch.settings import Format, Settings
    from modelway.server.code import Code
    from modelway.stats.drift import Rule

    log = structlog.get_logger()
    try:
        found = when.found(given)
        outcome = run(
            Settings(
                input=found.input,
                output=found.output,
                input_format=Format(given["input_format"]),
                output_format=Format(given["output_format"]),
                keys=given["columns"],
                mapping=given["mapping"],
                features=given["features"],
                shards=given["shards"],
                rows_per_batch=given["rows_per_batch"],
                max_failed_rows_per_million=given["max_failed_rows_per_million"],
                split_lines=given["split_lines"],
                key=given["key"],
                rule=Rule(max_psi=given["drift_max_psi"], min_rows=given["drift_min_rows"]),
            ),
            ModelOptions(
                given["model"],
                given["version"] or None,
                given["format_name"],
                Code(given["code"]),
                given["allowed_globals"],
            ),
            only=given["shard"],
            threads=threads,
            meter=None if given["metrics_port"] is None else Meter.served(given["metrics_port"]),
        )
    except BatchError as error:
        reason, message, code = str(error.reason), error.message, error.code
    except ModelwayError as error:
        reason, message = str(error.reason), error.message
        code = ExitCode.AGAIN if isinstance(error, ArtifactError) else ExitCode.RUN
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # a panic in obstore's Rust is no Exception
        log.exception("batch_crashed")
        reason, code = str(Reason.INTERNAL_ERROR), ExitCode.AGAIN
        message = f"scoring failed: {type(error).__name__}"
    else:
        words = _words(outcome, given, found.output)
        log.info("done", **words)
        termination.say(words)
        return int(ExitCode.DONE)
    log.error("failed", reason=reason, message=message, exit_code=int(code))
    termination.say({"reason": reason, "message": message})
    return int(code)


def _words(outcome: "Outcome", given: dict[str, Any], output: str) -> dict[str, object]:
    """The last words of a process that has done what it was asked for."""
    finished = outcome.finished
    words: dict[str, object] = {
        "shard": given["shard"],
        "rows": outcome.rows,
        "failedRows": outcome.failed_rows,
        "scored": outcome.scored,
        "skipped": outcome.skipped,
        "shardsDone": finished.shards,
        "shards": outcome.shards,
        "complete": finished.complete,
    }
    if finished.complete:
        inputs = finished.inputs
        words["run"] = {
            "rows": finished.rows,
            "failedRows": finished.failed_rows,
            "rowsPerCoreSecond": finished.rows_per_core_second,
            "output": output,
            **({"inputs": inputs.told(hides=given["hide_features"])} if inputs is not None else {}),
        }
    return words


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
