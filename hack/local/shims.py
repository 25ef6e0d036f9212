"""The processes that containerd leaves behind on purpose, so that it can be restarted: shims, and runc under them.

And `ctr`, in the middle of an import when the command that ran it was killed.
"""

import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from .layout import RUN
from .waiting import wait_until

_PROGRAMS = {"containerd-shim-runc-v2", "runc", "ctr"}


def belongs_to_cluster(arguments: Sequence[str], run: Path = RUN) -> bool:
    """Whether a process with this command line is below one of the cluster's own containerds: it names their folder."""
    if not arguments or Path(arguments[0]).name not in _PROGRAMS:
        return False
    return any(argument.startswith(f"{run}/") for argument in arguments[1:])


def running() -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if belongs_to_cluster(path.read_text(errors="replace").split("\0")):
                found.append(int(path.parent.name))
    return found


def kill_all() -> None:
    def all_gone() -> bool:
        pids = running()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    wait_until(all_gone, what="containerd's shims end", seconds=30, interval=0.05)


def remove_sockets() -> None:
    """Shims listen in a folder that all containerds of a machine share; each wrote its address into its own folder."""
    for address in RUN.glob("*/containerd/io.containerd.runtime.v2.task/*/*/address"):
        with contextlib.suppress(OSError):
            Path(address.read_text().strip().removeprefix("unix://")).unlink(missing_ok=True)
