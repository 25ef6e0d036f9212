"""Waiting on a condition, never on a guess of how long something takes."""

import time
from collections.abc import Callable
from typing import TypeVar

from .errors import LocalClusterError

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T],
    *,
    what: str,
    seconds: float,
    interval: float = 0.1,
    details: Callable[[], str] = lambda: "",
) -> T:
    """The first true answer of `condition`.

    Raises LocalClusterError after `seconds`, with `what` was awaited and what `details` says of the state then.
    """
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= end:
            raise LocalClusterError("\n".join(filter(None, [f"{what}: not within {seconds:g} s", details()])))
        time.sleep(interval)
