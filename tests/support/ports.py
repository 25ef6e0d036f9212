"""Ports for servers that are told where to listen.

From below the range out of which the kernel takes ports by itself: one that was free there a moment ago may by now be
another server's of the same test, which then answers in the place of the one that could not start.
"""

from hack.local import ports


def free_ports(count: int) -> list[int]:
    """That nobody on loopback listens on now, all different."""
    return ports.free_ports("127.0.0.1", count)


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]
