"""`modelway report`: options; what is asked of the cluster is in `report_gather`, the page in `modelway.report`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from modelway import __version__
from modelway.cli.extras import needing
from modelway.cli.options import model_deployment

_STANDARD_OUTPUT = "-"


@click.command()
@model_deployment
@click.option("-o", "--output", help="File to write; - for standard output. Left out: NAME-report.html.")
@click.option("--open", "opens", is_flag=True, help="Show it in the browser.")
def report(name: str, output: str | None, opens: bool, **where: str | None) -> None:
    """Write what is known of the model NAME as one HTML page.

    What is wrong now, every feature and the answers as they usually are and as they are now, quality by labels over
    time, the service level, and what became of the last revisions. The page loads nothing and can be sent to anybody.

    Talks to the cluster through your kubectl: the same kubeconfig, context and way to log in.
    """
    if opens and output == _STANDARD_OUTPUT:
        raise click.UsageError("--open needs a file: give --output another value than -")
    page = _page(name, where)
    if output == _STANDARD_OUTPUT:
        click.echo(page, nl=False)
        return
    path = Path(output or f"{name}-report.html")
    _write(path, page)
    click.echo(f"written: {path} ({len(page.encode()) / 1000:,.0f} kB)")
    if opens and click.launch(str(path)):
        raise click.ClickException(f"no browser could be started here; open {path.resolve()} yourself")


def _page(name: str, where: Mapping[str, str | None]) -> str:
    with needing("`modelway report` needs pip install 'modelway[report]'"):
        from modelway.cli.report_gather import Cluster, gather
        from modelway.report.html import render
        from modelway.report.page import page_of

    return render(page_of(gather(Cluster.find(where), name, at=datetime.now(UTC), made_by=__version__)))


def _write(path: Path, page: str) -> None:
    from modelway.cli.errors import CommandError

    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror}; give another --output") from error
