"""Client addresses: the address of the socket's other end, or one that a trusted proxy forwards."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

UNIX = "unix"
"""Address of a socket's other end on a Unix socket. It is trusted, because the file's mode says who may connect."""
HEADERS = ("x-forwarded-for", "forwarded", "x-real-ip")
"""Headers that may have the client's address. Only one is believed: a proxy passes on the others as strangers sent."""
_HOP = re.compile(r"\[([^\]]*)\](?::\d*)?|([^:]*):\d*")
_FOR = re.compile(r"(?:^|;)\s*for\s*=([^;]*)", re.IGNORECASE)


class Addresses:
    """Trusted proxies: addresses or networks, such as 10.0.0.0/8. Raises ValueError for anything else.

    `header` is the one of HEADERS that they set.
    """

    def __init__(self, trusted: Sequence[str] = (), header: str = HEADERS[0]) -> None:
        self.header = header.encode()
        self._trusted = tuple(ipaddress.ip_network(text, strict=False) for text in trusted)

    def client(self, peer: str, forwarded: str) -> str:
        """Return the client's address. `forwarded` is the header's value; only trusted proxies are believed.

        Reads the header from its end, where the nearest proxy adds, up to the first address that is no trusted proxy.
        Anything before that may be forged by the client, also anything before a hop that has no address.
        """
        if not forwarded or not self.trusts(peer):
            return peer
        nearest = peer
        for hop in reversed(list(self._hops(forwarded))):
            address = parse_hop(hop)
            if address is None:
                break
            nearest = str(address)
            if not self._is_trusted(address):
                break
        return nearest

    def trusts(self, peer: str) -> bool:
        """Return True if a socket's other end is a trusted proxy."""
        return peer == UNIX or (bool(self._trusted) and self._is_trusted(parse_hop(peer)))

    def _hops(self, forwarded: str) -> Iterator[str]:
        """Yield the hops in a header's value, the client's first."""
        is_rfc_7239 = self.header == b"forwarded"
        for element in (unquote_all(forwarded) if is_rfc_7239 else forwarded).split(","):
            if element.strip():
                found = _FOR.search(element) if is_rfc_7239 else None
                yield found[1] if found else "" if is_rfc_7239 else element

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def unquote_all(text: str) -> str:
    """Return a value of Forwarded without quotes, and without the separators in them. Takes time in proportion."""
    parts = text.split('"')
    parts[1::2] = [part.replace(",", "").replace(";", "") for part in parts[1::2]]
    return "".join(parts)


def parse_hop(text: str) -> Address | None:
    """Return the address of a hop, which may have a port, brackets, quotes or an interface; None if it has none."""
    text = text.strip().strip('"').strip()
    found = _HOP.fullmatch(text)
    bare = (found[1] if found[1] is not None else found[2]) if found else text
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
