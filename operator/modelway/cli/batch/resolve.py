"""`modelway batch resolve`: what a run is to do, written down for a container that knows nothing of modelway."""

import sys
from pathlib import Path
from typing import Any

import click

from modelway.cli.batch import when

FORMAT = "modelway.dev/batch-run/1"


@click.command(hidden=True)
@click.option("--to", type=click.Path(path_type=Path), required=True)
@click.option("--input", "input_", required=True)
@click.option("--output", required=True)
@click.option("--input-format", required=True)
@click.option("--output-format", required=True)
@click.option("--columns", default="")
@click.option("--shards", type=int, required=True)
@click.option("--shard", type=int, envvar="JOB_COMPLETION_INDEX", default=0)
@click.option("--version")
@click.option("--digest")
@when.options
def resolve(**given: Any) -> None:
    """Write what the run is to do as JSON. Called in pods of batch jobs with a container of their own."""
    import orjson

    from modelway.artifacts import termination
    from modelway.batch.errors import BatchError

    try:
        found = when.found(given)
    except BatchError as error:
        termination.say({"reason": str(error.reason), "message": error.message})
        click.echo(f"{error.reason}: {error.message}", err=True)
        sys.exit(int(error.code))
    document = {
        "format": FORMAT,
        "input": {"uri": found.input, "format": given["input_format"]},
        "output": {
            "uri": found.output,
            "format": given["output_format"],
            "columns": [name for name in given["columns"].split(",") if name],
        },
        "date": None if found.date is None else str(found.date),
        "shard": given["shard"],
        "shards": given["shards"],
        "model": {"version": given["version"], "digest": given["digest"]},
    }
    given["to"].write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
