"""What `modelway feedback` says while a server keeps it waiting: nobody should wonder for a minute whether it hangs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

PATIENCE: Final = 1.0
"""Seconds of silence that need no word."""

Say = Callable[[str], None]
"""Tells people why nothing goes on; may be called from another thread."""


def say_nothing(_: str) -> None:
    """Where nobody is to be told."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a server is waited for.

    Args:
        say: tells people.
        sleep: waits between tries.

    """

    say: Say = say_nothing
    sleep: Callable[[float], None] = time.sleep

    @contextmanager
    def on(self, url: str) -> Iterator[None]:
        """Say so where this block takes longer than a moment."""
        timer = threading.Timer(PATIENCE, self.say, (f"waiting for {url}: no answer yet",))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def before_next_try(self, url: str, problem: str, pause: float) -> None:
        """Say why it is tried anew, and wait."""
        self.say(f"{url}: {problem}; trying again in {pause:g} s")
        self.sleep(pause)
