"""`modelway pack`: options only; the work is in `modelway.packing`."""

import sys
from pathlib import Path
from typing import Any

import click

from modelway.artifacts.errors import ModelwayError
from modelway.cli import trust


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--rows",
    type=click.Path(path_type=Path),
    required=True,
    help="Sample rows: .csv, .json, .parquet, .npy or .npz. A few are enough.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A new folder. Left out: modelway.json is put beside the model.",
)
@click.option(
    "--transform",
    type=click.Path(path_type=Path),
    help="What comes before the model: a fitted scikit-learn transformer, or a Python module (with --code Trust).",
)
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    help="What the model was trained on, .parquet or .csv: live inputs can be compared with it.",
)
@click.option("--version", help="The model's version, free text.")
@click.option("--training-time", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="2026-11-01T00:00:00+0000")
@click.option("--training-time-from-file", is_flag=True, help="Take the time at which the model's file was written.")
@click.option(
    "--tolerance", type=click.FloatRange(min=0), default=1e-5, show_default=True, help="Of the golden requests."
)
@trust.options
def pack(model: Path, rows: Path, output: Path | None, **given: Any) -> None:
    """Describe MODEL, a file or folder, in modelway.json, with golden requests from its own answers.

    What was packed is loaded by the server's own loader and asked its golden requests. The digest that is printed is
    the one for spec.model.digest.
    """
    from modelway.packing.package import pack as run
    from modelway.packing.package import trained_at
    from modelway.server.locate import locate

    try:
        trained = given["training_time"]
        if given["training_time_from_file"]:
            trained = trained_at(locate(model, format_name=given["format_name"]).path)
        packed = run(
            model,
            rows,
            output,
            transform=given["transform"],
            reference=given["reference"],
            version=given["version"],
            training_time=trained,
            tolerance=given["tolerance"],
            trust=trust.made(given),
        )
    except ModelwayError as error:
        click.echo(f"{error.reason}: {error.message}", err=True)
        sys.exit(1)
    click.echo(f"packed: {packed.folder}")
    click.echo(f"inputs: {_listed(packed.metadata.inputs)}")
    click.echo(f"outputs: {_listed(packed.metadata.outputs)}")
    click.echo(f"golden requests: {len(packed.metadata.golden)}, answered right")
    if packed.metadata.reference is not None:
        click.echo(f"reference: {len(packed.metadata.reference.features)} features")
    click.echo(f"digest: {packed.digest}")


def _listed(tensors: Any) -> str:
    return ", ".join(f"{tensor.name} {tensor.datatype} {list(tensor.shape)}" for tensor in tensors or ())
