"""`modelway feedback`: options, and what is shown; the work is in `feedback_send`."""

import sys
from pathlib import Path
from typing import Any

import click

_GOOD = ("accepted", "duplicate")
_WORDS = {
    "accepted": "counted",
    "duplicate": "counted before",
    "late": "too late",
    "unknown": "no id of this model",
    "forged": "not made by this model's servers",
    "unfit": "cannot be compared",
    "full": "no room on the server",
}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--url", required=True, help="Of the model: http://localhost:8080, or with its path /v1/models/NAME.")
@click.option("--model", help="Its name, where the server has several.")
@click.option("--id", "id_column", default="id", show_default=True, help="Column of the prediction ids.")
@click.option("--label", "label_column", help="Column of the classes that came true. Left out: label, if it is there.")
@click.option("--value", "value_column", help="Column of the values that came true. Left out: value, if it is there.")
@click.option("--row", "row_column", help="Column of rows of requests with several. Left out: row, if it is there.")
@click.option(
    "--slice",
    "slices",
    multiple=True,
    metavar="NAME",
    help="Column of a slice that is judged by itself, such as country. Repeatable.",
)
def feedback(file: Path, **given: Any) -> None:
    """Send what came true of predictions to the model that made them.

    FILE is .csv, with names in its first line, or .jsonl. Each prediction was answered with an id, in the header
    x-modelway-prediction-id. Rows without a label yet are left out; sending a file again counts nothing twice.
    """
    from modelway.cli import feedback_send as sending

    try:
        url = sending.feedback_url(given["url"], given["model"], say=_say)
        with file.open(encoding="utf-8-sig", newline="") as opened:
            is_json = file.suffix in {".jsonl", ".ndjson"}
            names, rows = sending.json_rows(opened) if is_json else sending.csv_rows(opened)
            result = sending.send(rows, _columns(names, given), url, told=_teller(), say=_say)
    except (sending.SendingError, UnicodeDecodeError) as error:
        click.echo(f"{file}: {error}", err=True)
        sys.exit(1)
    _show(result)
    if any(times for name, times in result.outcomes.items() if name not in _GOOD):
        sys.exit(1)


def _columns(names: list[str], given: dict[str, Any]) -> Any:
    """Which columns are what. Raises SendingError where that is not certain."""
    from modelway.cli.feedback_send import Columns, SendingError

    label, value = given["label_column"], given["value_column"]
    if label and value:
        raise SendingError("--label and --value: give one of them")
    if not label and not value:
        found = [kind for kind in ("label", "value") if kind in names]
        if len(found) != 1:
            has = "both of the columns" if found else "neither of the columns"
            raise SendingError(f"it has {has} label and value: say by --label or --value which one came true")
        label, value = (found[0], None) if found == ["label"] else (None, found[0])
    row = given["row_column"] or ("row" if "row" in names else None)
    slices = tuple(dict.fromkeys(given["slices"]))
    for column in filter(None, (given["id_column"], label, value, row, *slices)):
        if column not in names:
            raise SendingError(f"it has no column {column!r}; there are {', '.join(names)[:200]}")
    return Columns(given["id_column"], label or value, "label" if label else "value", row, slices)


def _teller() -> Any:
    """Shows on a terminal how far it is."""
    sent = 0

    def tell(rows: int) -> None:
        nonlocal sent
        sent += rows
        if sys.stderr.isatty():
            click.echo(f"\r{sent:,} rows sent", err=True, nl=False)

    return tell


def _say(what: str) -> None:
    """Why nothing goes on; on a terminal below how far it is."""
    click.echo(f"\n{what}" if sys.stderr.isatty() else what, err=True)


def _show(result: Any) -> None:
    if sys.stderr.isatty():
        click.echo("\r", err=True, nl=False)
    for name, words in _WORDS.items():
        if times := result.outcomes.get(name, 0):
            click.echo(f"{words}: {times:,}")
    if result.unsliced:
        click.echo(f"counted, but not in a slice of theirs: {result.unsliced:,}")
    if result.unlabelled:
        click.echo(f"without a label yet: {result.unlabelled:,}")
    if not result.outcomes.total() and not result.unlabelled:
        click.echo("the file has no row")
    for where, problem in result.problems:
        click.echo(f"{where}: {problem}", err=True)
