"""The command tree.

Invariant: starting a command imports what that command needs and nothing of the others: `modelway fetch` runs in every
pod before the server and must not pay for onnxruntime, scikit-learn or kopf. So this module and the options of the
commands are light, and the work is imported where it is done.
"""

import gc
import sys
from pathlib import Path

import click

from modelway import __version__
from modelway.cli.batch import batch
from modelway.cli.convert import convert
from modelway.cli.extras import needing
from modelway.cli.feedback import feedback
from modelway.cli.fetch import digest, fetch
from modelway.cli.formats import formats
from modelway.cli.observe import observe
from modelway.cli.pack import pack
from modelway.cli.profile import profile
from modelway.cli.report import report
from modelway.cli.rollout import rollout
from modelway.cli.serve import serve
from modelway.late import load_late

_OPERATOR = "this is a command of the operator; use its image, or pip install 'modelway[operator]'"
_RARELY = (50_000, 20, 20)
"""Objects are decoded by the ten thousand and go when nobody refers to them: of the time until the operator leads again
with 1,000 models, a quarter went into collections that found nothing."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Serve machine-learning models on Kubernetes and keep them honest.

    In a cluster, `modelway operator` runs the operator; `modelway fetch`, `modelway serve` and `modelway observe` run
    in the pods of a ModelDeployment. On a workstation `modelway serve FOLDER` serves the same way.
    """


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(__version__)


@main.command(name="operator")
def run_operator() -> None:
    """Run the operator (configured by environment)."""
    from modelway.cli import logs

    gc.set_threshold(*_RARELY)
    with needing(_OPERATOR):
        load_late("numpy")  # it costs 11 MiB, and only a rollout with checks needs it
        from modelway.controller import app

    logs.configure()
    sys.exit(app.main())


@main.command()
@click.option("--output", type=click.Path(path_type=Path), help="Write to this file instead of standard output.")
def crds(output: Path | None) -> None:
    """Print the CustomResourceDefinition, for `kubectl apply --server-side -f -`."""
    import orjson

    with needing(_OPERATOR):
        from modelway.api import crd

    text = orjson.dumps(crd.render(), option=orjson.OPT_INDENT_2).decode()
    if output is None:
        click.echo(text)
    else:
        output.write_text(text + "\n")


def plugin() -> None:
    """`kubectl-modelway`, which kubectl finds in PATH: `kubectl modelway rollout …`."""
    main(prog_name="kubectl modelway")


main.add_command(serve)
main.add_command(batch)
main.add_command(observe)
main.add_command(fetch)
main.add_command(digest)
main.add_command(pack)
main.add_command(profile)
main.add_command(feedback)
main.add_command(convert)
main.add_command(formats)
main.add_command(rollout)
main.add_command(report)
