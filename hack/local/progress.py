"""Progress lines with the time since the command began, so that a wait has a name and a length."""

import sys
import time
from collections.abc import Callable

Say = Callable[[str], None]


def silent(_line: str) -> None:
    """The `Say` of tests, where only a failure is worth a line."""


class Progress:
    """Prints each line with the seconds since construction, to standard error: standard output is for results.

    Used as a function: `say("etcd is up")`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()

    @property
    def seconds(self) -> float:
        return self._clock() - self._began

    def __call__(self, line: str) -> None:
        print(f"[{self.seconds:6.1f}s] {line}", file=sys.stderr, flush=True)
