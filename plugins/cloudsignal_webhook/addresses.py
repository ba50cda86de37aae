"""The addresses that a webhook may go to. A client's URL must not reach what only this machine can reach."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""All IPv6 addresses of the internet. Outside are local ones and the deprecated forms of IPv4 in IPv6, such as
::127.0.0.1 and ::ffff:0:127.0.0.1."""

NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "168.63.129.16/32",  # Azure's platform service, at a public address
        "192.0.0.0/24",  # Oracle's metadata, among others
        "192.88.99.0/24",  # relays of 6to4
        "2001::/23",  # protocols; Teredo and, below, 6to4 lead to an IPv4 address through relays
        "2002::/16",
        "3fff::/20",  # documentation
    )
)
"""Networks that Python's `is_global` allows, at least in some versions. The metadata services' usual addresses
(169.254.169.254, fd00:ec2::254, 100.100.100.200) are not global."""

NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""The network of translated addresses: the last 32 bits are the IPv4 address. Hosts without IPv4 reach it by these."""
ISATAP = (0x00005EFE, 0x02005EFE)
"""Bits 64 to 95 of an address that tunnels to the IPv4 address in its last 32 bits (RFC 5214 6.1)."""


def is_public(address: Address) -> bool:
    """Return True for an address of the public internet. An embedded IPv4 address decides for its IPv6 address."""
    if (inner := embedded_ipv4(address)) is not None:
        return is_public(inner)
    if isinstance(address, ipaddress.IPv6Address):
        if address not in GLOBAL_UNICAST:
            return False
        if (int(address) >> 32) & 0xFFFFFFFF in ISATAP and not is_public(last_ipv4(address)):
            return False
    return address.is_global and not address.is_multicast and not any(address in network for network in NOT_PUBLIC)


def embedded_ipv4(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for, if any."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    return last_ipv4(address) if address in NAT64 else address.ipv4_mapped


def last_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def is_within(address: Address, networks: Sequence[Network]) -> bool:
    """Return True if the address, or its embedded IPv4 address, is in one of the networks."""
    inner = embedded_ipv4(address)
    return any(address in network or (inner is not None and inner in network) for network in networks)
