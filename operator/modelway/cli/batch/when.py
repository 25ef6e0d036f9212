"""Options that say which day a run is for; those of its Job come from the environment of its pods."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from modelway.batch.when import Found


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --date, --time-zone, --date-offset, --job and --cron-job to a command; `found` reads them."""
    for option in (
        click.option("--cron-job", envvar="MODELWAY_CRON_JOB", hidden=True),
        click.option("--job", envvar="MODELWAY_JOB", hidden=True),
        click.option(
            "--date-offset",
            type=int,
            default=0,
            show_default=True,
            help="Seconds from a scheduled time to the day of the data, by the clocks on the wall.",
        ),
        click.option("--time-zone", default="Etc/UTC", show_default=True, help="Time zone of scheduled times."),
        click.option(
            "--date",
            envvar="MODELWAY_DATE",
            help="What {date} in INPUT and OUTPUT stands for, and {time}: 2026-11-20, or 2026-11-20T1430.",
        ),
    ):
        command = option(command)
    return command


def found(given: dict[str, Any]) -> "Found":
    """Input and output without placeholders. Raises BatchError."""
    from datetime import timedelta

    from modelway.batch.when import Told, resolve

    told = Told(
        date=given["date"],
        job=given["job"],
        cron_job=given["cron_job"],
        time_zone=given["time_zone"],
        offset=timedelta(seconds=given["date_offset"]),
    )
    return resolve(given["input_"], given["output"], told)
