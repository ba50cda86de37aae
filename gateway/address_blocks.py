"""The addresses that one client can have, which limits by address count as one."""

from __future__ import annotations

import functools
import ipaddress

IPV4_IN_IPV6 = (ipaddress.IPv6Network("::ffff:0:0/96"), ipaddress.IPv6Network("64:ff9b::/96"))
"""IPv6 addresses that stand for IPv4 ones: on a socket of both families, and behind NAT64."""


@functools.lru_cache(maxsize=4096)
def block_of(address: str) -> str:
    """Return the block that an address counts for: an IPv4 address, or the /64 that a single IPv6 host has.

    A text that is no IPv6 address, such as that of a Unix socket, is its own block.
    """
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if any(found in network for network in IPV4_IN_IPV6):
        return str(ipaddress.IPv4Address(found.packed[-4:]))
    return str(ipaddress.IPv6Network((found, 64), strict=False))
