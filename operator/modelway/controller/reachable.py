"""What the operator may call at a URL that a user has given. Used by `sink`.

The operator stands elsewhere in the network than the user does, so it would be a way around whatever keeps the user
away. Two things hold: the host is one that the cluster's administrator has named; and whatever that name leads to at
the moment of the call, it is none of the addresses that only ever mean the machine itself, its neighbours or its
cloud. The addresses that are checked are those that are then connected to; a name that leads elsewhere a moment later
changes nothing.
"""

import socket
from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

Address = IPv4Address | IPv6Address

_METADATA: Final = frozenset(
    map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)
"""Of clouds that do not keep them among link-local addresses: Alibaba, Azure, Oracle, AWS and Google by IPv6."""
_NAT64: Final = IPv6Network("64:ff9b::/96")
_LOW: Final = 2**32 - 1


class NotAllowedError(OSError):
    """A host or an address that may not be called; the message says which, and what to do."""


def is_named(host: str, patterns: Collection[str]) -> bool:
    """Whether a host is one of those: by its name, below `*.example.com`, or any where `*` is among them."""
    host = host.rstrip(".").lower()
    return any(
        pattern in {"*", host} or (pattern.startswith("*.") and host.endswith(pattern[1:])) for pattern in patterns
    )


def is_off_limits(address: Address) -> bool:
    """Whether an address is the machine itself, a neighbour on its link, a cloud's metadata, or nobody at all."""
    address = _meant(address)
    is_special = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    return is_special or address.is_reserved or address in _METADATA


def check_literal(host: str, refuses: Callable[[Address], bool]) -> None:
    """Refuse a host that is an address itself, which nobody resolves.

    Raises:
        NotAllowedError: it may not be called.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return
    if refuses(address):
        raise NotAllowedError(f"{host} may not be called: it is no address of a receiver")


class Resolver(AbstractResolver):
    """Resolves names, and gives only addresses that may be called.

    Args:
        refuses: whether an address may not.
    """

    def __init__(self, refuses: Callable[[Address], bool]) -> None:
        self._inner = ThreadedResolver()
        self._refuses = refuses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`.

        Raises:
            NotAllowedError: it has some, and none may be called.
            OSError: it has none.
        """
        found = await self._inner.resolve(host, port, family)
        allowed = [one for one in found if not self._refuses(ip_address(one["host"]))]
        if found and not allowed:
            raise NotAllowedError(f"{host} may not be called: it leads to {found[0]['host']}")
        return allowed

    async def close(self) -> None:
        """Nothing is open."""
        await self._inner.close()


def _meant(address: Address) -> Address:
    """The IPv4 address that one of IPv6 stands for, where it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & _LOW)
    return address.ipv4_mapped or address.sixtofour or address
