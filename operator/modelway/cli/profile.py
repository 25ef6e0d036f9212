"""`modelway profile`: options only; the work is in `modelway.profiling`."""

import sys
from pathlib import Path

import click

from modelway.artifacts.errors import ModelwayError


@click.command()
@click.argument("rows", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="A modelway.json, whose field `reference` is written; a file that is not there is made.",
)
@click.option("--exclude", multiple=True, metavar="COLUMN", help="No input, such as the label. Repeatable.")
@click.option(
    "--text", "texts", multiple=True, metavar="COLUMN", help="A text whatever it looks like: postcodes. Repeatable."
)
def profile(rows: Path, output: Path, exclude: tuple[str, ...], texts: tuple[str, ...]) -> None:
    """Learn from ROWS, .parquet or .csv, what is usual for a model's inputs.

    Best are the rows that the model was trained on. Written are the borders of cells and how many rows lie in each, and
    the names of common categories; no rows.
    """
    from modelway.profiling.profiles import FEW
    from modelway.profiling.profiles import profile as run

    try:
        made = run(rows, exclude=exclude, texts=texts)
        made.write(output)
    except ModelwayError as error:
        click.echo(f"{error.reason}: {error.message}", err=True)
        sys.exit(1)
    click.echo(f"profiled: {len(made.features)} features into {output}")
    for name, reason in made.left_out.items():
        click.echo(f"left out: {name}: {reason}")
    few = min(one.rows for one in made.features)
    if few < FEW:
        click.echo(f"few rows: {few} with a value; from {FEW:,} on small drifts can be told")
