"""`modelway report`: options; what is asked of the cluster is in `report_gather`, the page in `modelway.report`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from modelway import __version__

_STANDARD_OUTPUT = "-"


@click.command()
@click.argument("name")
@click.option("-n", "--namespace", help="Namespace. Left out: that of the context.")
@click.option("--context", help="Context of the kubeconfig.")
@click.option("--kubeconfig", help="Path of the kubeconfig, as kubectl has it.")
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
    with _of_the_extra():
        from modelway.cli.report_gather import Cluster, gather
        from modelway.report.html import render
        from modelway.report.page import page_of

    found = Cluster.find(namespace=where["namespace"], context=where["context"], kubeconfig=where["kubeconfig"])
    cluster = Cluster(found.binary, found.namespace, found.context, found.kubeconfig)
    return render(page_of(gather(cluster, name, at=datetime.now(UTC), made_by=__version__)))


def _write(path: Path, page: str) -> None:
    from modelway.cli.rollout.errors import RolloutError

    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise RolloutError(f"{path}: cannot be written: {error.strerror}; give another --output") from error


@contextmanager
def _of_the_extra() -> Iterator[None]:
    """Around an import: what a workstation does without is told, not traced back."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise click.ClickException(
            f"{missing.name} is not installed: `modelway report` needs pip install 'modelway[report]'"
        ) from missing
