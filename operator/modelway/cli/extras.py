"""Commands that need more than every installation has: an image holds what its pods run, pip what was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

import click


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Import in this block: what is not there is told with what to do, and not traced back.

    Args:
        extra: what it is for, and how to get it; the end of the message.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        raise click.ClickException(f"{missing.name} is not installed: {extra}") from missing
