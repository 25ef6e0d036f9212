"""`python -m hack.peers [GROUP…]`: install the peers, and print where they are; all servers when none is named."""

import argparse
import sys

from hack.local.progress import Progress

from . import ENGINES, GROUPS, PeersError, ensure, environment


def main() -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hack.peers", description="Install the peers of modelway.")
    known = [*GROUPS, ENGINES]
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(known)}; left out: all servers")
    groups = parser.parse_args().groups or GROUPS
    if unknown := [group for group in groups if group not in known]:
        parser.error(f"there is no group {unknown[0]}; there are {', '.join(known)}")
    try:
        ensure(groups, Progress())
    except PeersError as error:
        print(error, file=sys.stderr)
        return 1
    for group in groups:
        print(f"{group}\t{environment(group)}")
    return 0


sys.exit(main())
