"""Which addresses a webhook may go to: whoever chooses a URL must not reach what only this machine can."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOCAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        "168.63.129.16/32",  # Azure's own, though a public one
        "192.0.0.0/24",  # Oracle's metadata, among others
        "192.88.99.0/24",  # relays of 6to4
        "2001::/32",  # Teredo and 6to4 lead to an IPv4 address by way of others
        "2002::/16",
        "64:ff9b:1::/48",  # a local translation to IPv4
        "fec0::/10",  # site-local, as was
    )
)
"""What Python's `is_global` lets pass, at least in some versions. The metadata services' usual addresses
(169.254.169.254, fd00:ec2::254, 100.100.100.200) are not global."""

NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""Its last 32 bits are the IPv4 address that it leads to."""


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet at large; an IPv6 address that stands for an IPv4 one, if that is."""
    if (inner := inner_of(address)) is not None:
        return is_public(inner)
    return address.is_global and not address.is_multicast and not any(address in network for network in LOCAL)


def inner_of(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else address.ipv4_mapped


def is_within(address: Address, networks: Sequence[Network]) -> bool:
    """Whether it, or the IPv4 address that it stands for, is in one of the networks."""
    inner = inner_of(address)
    return any(address in network or (inner is not None and inner in network) for network in networks)
