"""`modelway convert`: options only; the work is in `modelway.packing`."""

import sys
from pathlib import Path
from typing import Any

import click

from modelway.artifacts.errors import ModelwayError
from modelway.artifacts.reasons import Reason
from modelway.cli import trust

NOT_EQUAL = 3
"""The exit code when the converted model answers otherwise than the original."""


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--rows",
    type=click.Path(path_type=Path),
    help="Sample rows to compare the two models on: .csv, .json, .parquet, .npy or .npz. Left out: several hundred "
    "rows are made from what the model has learnt.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-5,
    show_default=True,
    help="How far a number may be off: absolute up to 1, relative above. Labels must be equal.",
)
@trust.options
def convert(model: Path, output: Path, rows: Path | None, tolerance: float, **given: Any) -> None:
    """Convert MODEL, a file or folder, to ONNX in the folder OUTPUT.

    Takes models of scikit-learn (pickle, joblib, skops), XGBoost, LightGBM and CatBoost. Both models answer the same
    rows before anything is written; where they differ the command ends with exit code 3 and the worst row.
    """
    from modelway.packing.conversion import convert as run

    try:
        conversion = run(model, output, sample=rows, tolerance=tolerance, trust=trust.made(given))
    except ModelwayError as error:
        click.echo(f"{error.reason}: {error.message}", err=True)
        sys.exit(NOT_EQUAL if error.reason is Reason.PARITY_FAILED else 1)
    click.echo(f"compared: {conversion.parity.told()}")
    click.echo(f"computes in {conversion.precision}")
    if conversion.takes_missing is False:
        click.echo("missing values: answered otherwise than by the original, so the converted model refuses them")
    if conversion.left_out:
        click.echo(f"left out: {', '.join(conversion.left_out)}, which nobody gets without asking")
    click.echo(f"written: {conversion.folder}")
    click.echo(f"try it: modelway serve {conversion.folder}")
