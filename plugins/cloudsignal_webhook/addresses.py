"""The addresses that a webhook may go to. A client's URL must not reach what only this machine can reach."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "168.63.129.16/32",  # Azure's platform service, at a public address
        "192.0.0.0/24",  # Oracle's metadata, among others
        "192.88.99.0/24",  # relays of 6to4
        "2001::/32",  # Teredo and, below, 6to4 lead to an IPv4 address through relays
        "2002::/16",
        "64:ff9b:1::/48",  # a local translation to IPv4
        "fec0::/10",  # site-local, deprecated
    )
)
"""Networks that Python's `is_global` allows, at least in some versions. The metadata services' usual addresses
(169.254.169.254, fd00:ec2::254, 100.100.100.200) are not global."""

NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""The network of translated addresses: the last 32 bits are the IPv4 address."""


def is_public(address: Address) -> bool:
    """Return True for an address of the public internet. An embedded IPv4 address decides for its IPv6 address."""
    if (inner := embedded_ipv4(address)) is not None:
        return is_public(inner)
    return address.is_global and not address.is_multicast and not any(address in network for network in NOT_PUBLIC)


def embedded_ipv4(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that is embedded in an IPv6 address, if any."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else address.ipv4_mapped


def is_within(address: Address, networks: Sequence[Network]) -> bool:
    """Return True if the address, or its embedded IPv4 address, is in one of the networks."""
    inner = embedded_ipv4(address)
    return any(address in network or (inner is not None and inner in network) for network in networks)
