"""One command at a time, where two would disturb each other. The kernel lets go of a lock when its holder is killed."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .progress import Say


@contextmanager
def exclusive(path: Path, *, what: str, say: Say) -> Iterator[None]:
    """Holds the lock; says that it waits for `what` when another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{what} is running: waiting for it …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
