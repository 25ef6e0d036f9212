"""`modelway formats`: which models this installation can load."""

import click


@click.command()
def formats() -> None:
    """List model formats, the files they are found by, and whether their libraries are installed here.

    Formats of other distributions (entry points of the group modelway.formats) are listed as well. RUNS CODE: loading
    such a file can run code of its maker's, so it needs --code=AllowList.
    """
    from modelway.artifacts.errors import ModelError
    from modelway.server.formats import REGISTRY, plugins

    try:
        entries = {**REGISTRY, **plugins()}
    except ModelError as error:
        raise click.ClickException(error.message) from error
    rows = [("FORMAT", "FILES", "RUNS CODE", "AVAILABLE")]
    for name, entry in entries.items():
        files = " ".join([*entry.suffixes, *(f"{suffix}*" for suffix in entry.shared)])
        missing = ", ".join(entry.missing())
        available = f"no: {missing} is not installed{entry.remedy()}" if missing else "yes"
        rows.append((name, files, "yes" if entry.runs_code else "no", available))
    widths = [max(len(row[index]) for row in rows) for index in range(3)]
    for row in rows:
        click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]))
    click.echo("\n* Files of this suffix are recognised by their content.")
