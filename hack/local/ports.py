"""Free ports for clusters that come and go, several at once."""

import random
import socket

# Below the kernel's ephemeral range (from 32768): an outgoing connection could take a stopped API server's port.
_RANGE = range(20_000, 30_000)


def free_ports(address: str, count: int) -> list[int]:
    """Ports that nobody listens on now. Taken at random, so two clusters that start together hardly ever meet."""
    found: list[int] = []
    candidates = iter(random.SystemRandom().sample(_RANGE, 200))
    while len(found) < count:
        port = next(candidates)
        if is_free(address, port):
            found.append(port)
    return found


def is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
