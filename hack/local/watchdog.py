"""Ends a test's control plane when the test's process is gone, however it went.

Run by ControlPlane with its standard input on a pipe: the kernel closes the other end when the parent dies. The usual
PR_SET_PDEATHSIG is no choice, as it fires when the *thread* that started the child ends.
"""

import sys
from pathlib import Path

from .processes import Processes


def main() -> None:
    records, logs = map(Path, sys.argv[1:])
    sys.stdin.buffer.read()
    if records.is_dir():
        Processes(records, logs).stop_all(kill=True)


if __name__ == "__main__":
    main()
