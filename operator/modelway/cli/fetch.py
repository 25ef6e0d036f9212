"""`modelway fetch` and `modelway digest`: options only; the work is in `modelway.artifacts`."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import click

from modelway.artifacts.errors import ArtifactError, ModelwayError
from modelway.artifacts.reasons import Reason
from modelway.cli import trust


@click.command()
@click.option("--uri", required=True, help="file:///path, pvc://claim/path, https://… or s3://bucket/key-or-prefix/.")
@click.option("--to", "target", type=click.Path(path_type=Path), required=True, help="The folder to bring it to.")
@click.option(
    "--pin-file",
    type=click.Path(path_type=Path),
    help="A file with the digest that the model must have; may be missing or empty.",
)
@click.option("--mounted", is_flag=True, help="The claim of a pvc:// URI is mounted at --to already: only hash it.")
@click.option(
    "--convert", "form", type=click.Choice(["ONNX"]), help="Convert the model when it is there. Needs --convert-to."
)
@click.option(
    "--convert-to", type=click.Path(path_type=Path), help="The folder for the converted model; it is emptied."
)
@trust.options
def fetch(
    uri: str,
    target: Path,
    pin_file: Path | None,
    mounted: bool,
    form: str | None,
    convert_to: Path | None,
    **given: Any,
) -> None:
    """Bring a model into a folder and check its digest; with --convert, make another folder of it to be served.

    Credentials come from the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION,
    AWS_ENDPOINT_URL for s3; HTTPS_TOKEN, or HTTPS_USERNAME and HTTPS_PASSWORD for https; CA_BUNDLE (PEM) for both.
    """
    import structlog

    from modelway.artifacts import fetch as fetching
    from modelway.artifacts import termination
    from modelway.cli import logs

    if (form is None) != (convert_to is None):
        raise click.UsageError("--convert and --convert-to go together")
    logs.configure()
    log = structlog.get_logger()
    # Process 1 of a container ignores SIGTERM unless it has a handler, and would be killed 30 seconds later.
    signal.signal(signal.SIGTERM, _end)
    try:
        fetched = fetching.fetch(uri, target, pin=fetching.read_pin(pin_file), mounted=mounted)
        words = {"digest": fetched.digest, "bytes": fetched.size, "seconds": fetched.seconds}
        if convert_to is not None:
            words["converted"] = _convert(target, convert_to, given)
    except ModelwayError as error:
        failure = error
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # a panic in obstore's Rust is no Exception
        log.exception("fetch_crashed")
        failure = ArtifactError(Reason.INTERNAL_ERROR, f"fetching failed: {type(error).__name__}")
    else:
        termination.say(words)
        return
    log.error("failed", reason=str(failure.reason), message=failure.message)
    termination.say_failure(failure)
    sys.exit(1)


def _convert(source: Path, target: Path, given: dict[str, Any]) -> str:
    """Convert what was fetched; gives how well the two agree."""
    import structlog

    from modelway.packing.conversion import convert

    conversion = convert(source, target, trust=trust.made(given), replace=True)
    told = conversion.parity.told()
    structlog.get_logger().info(
        "converted", parity=told, precision=str(conversion.precision), takes_missing=conversion.takes_missing
    )
    return told


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
def digest(path: Path) -> None:
    """Print the digest of a model, a file or a folder, as `sha256:…`."""
    from modelway.artifacts.digest import of_path

    try:
        click.echo(of_path(path).value)
    except ModelwayError as error:
        raise click.ClickException(error.message) from error
