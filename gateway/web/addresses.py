"""Client addresses: the address of the socket's other end, or one that a trusted proxy forwards."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Addresses:
    """Trusted proxies: addresses or networks, such as 10.0.0.0/8. Raises ValueError for anything else."""

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self._trusted = tuple(ipaddress.ip_network(text, strict=False) for text in trusted)

    def client(self, peer: str, forwarded: str) -> str:
        """Return the client's address. `forwarded` is X-Forwarded-For; only trusted proxies are believed.

        Reads the header from its end, where the nearest proxy adds, up to the first address that is no trusted proxy.
        Anything before that may be forged by the client.
        """
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

    def trusts(self, peer: str) -> bool:
        """Return True if a socket's other end is a trusted proxy."""
        return self._is_trusted(_parse(peer))

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def _parse(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
