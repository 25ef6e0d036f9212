"""Which address is whose. Pure: from one private range to everything that needs a number.

The range is a /15. Its first half is split into /24s: number 0 for the machine and the nodes, number n for the pods of
node n, so no node's address is ever given to a pod. Its second half is for Services.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from .errors import LocalClusterError

DEFAULT_RANGE = "10.212.0.0/15"
MAXIMUM_NODES = 9


@dataclass(frozen=True, slots=True)
class AddressPlan:
    """All addresses of a cluster; made by `of`."""

    network: ipaddress.IPv4Network

    @classmethod
    def of(cls, text: str = DEFAULT_RANGE) -> "AddressPlan":
        try:
            network = ipaddress.IPv4Network(text)
        except ValueError as error:
            raise LocalClusterError(f"MODELWAY_LOCAL_NETWORK: {error}") from None
        if network.prefixlen != 15 or not network.is_private:
            raise LocalClusterError(f"MODELWAY_LOCAL_NETWORK must be a private /15 such as {DEFAULT_RANGE}, not {text}")
        return cls(network)

    @property
    def cluster_range(self) -> ipaddress.IPv4Network:
        """Nodes and pods."""
        return self._part(0, 16)

    @property
    def service_range(self) -> ipaddress.IPv4Network:
        return self._part(1, 16)

    @property
    def node_range(self) -> ipaddress.IPv4Network:
        return self._part(0, 24)

    @property
    def machine(self) -> str:
        """The bridge's own address, where the API server and S3 listen: for pods and this machine only."""
        return str(self.node_range[1])

    @property
    def dns(self) -> str:
        return str(self.service_range[10])

    def node(self, number: int) -> str:
        return str(self.node_range[10 + number])

    def pods(self, number: int) -> ipaddress.IPv4Network:
        if not 1 <= number <= MAXIMUM_NODES:
            raise LocalClusterError(f"a local cluster has 1 to {MAXIMUM_NODES} nodes, not {number}")
        return self._part(number, 24)

    def conflicts(self, destinations: Iterable[str]) -> list[str]:
        """Those of the machine's routes that lead into this plan's range. The default route does not count."""
        found = []
        for destination in destinations:
            if destination == "default":
                continue
            if ipaddress.IPv4Network(destination).overlaps(self.network):
                found.append(destination)
        return found

    def _part(self, number: int, prefix: int) -> ipaddress.IPv4Network:
        """The network's part of this size and number, counted from 0."""
        first = int(self.network.network_address) + (number << (32 - prefix))
        return ipaddress.IPv4Network((first, prefix))
