"""Whose request it is: the socket's address, or what a trusted proxy says of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Addresses:
    """`trusted` are the proxies: addresses or networks, such as 10.0.0.0/8. Raises ValueError for anything else."""

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self._trusted = tuple(ipaddress.ip_network(text, strict=False) for text in trusted)

    def client(self, peer: str, forwarded: str) -> str:
        """The nearest address that is no trusted proxy, by what X-Forwarded-For says. What stands before it there
        anyone could have written, so it is not looked at."""
        if not self._trusted or not self._is_trusted(_parse(peer)):
            return peer
        nearest = peer
        for hop in reversed(forwarded.split(",")):
            address = _parse(hop.strip())
            if address is None:
                break
            nearest = str(address)
            if not self._is_trusted(address):
                break
        return nearest

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def _parse(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
