"""Client addresses: the address of the socket, or the one that trusted proxies forward."""

import pytest

from gateway.web.addresses import Addresses

TRUSTED = ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.5", "", "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.9.9.9", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "1.1.1.1, 198.51.100.1,10.0.0.7 , 127.0.0.1", "198.51.100.1"),
        ("127.0.0.1", "10.0.0.1, 10.0.0.2", "10.0.0.1"),
        ("127.0.0.1", "198.51.100.1, junk", "127.0.0.1"),
        ("127.0.0.1", "junk, 10.0.0.2", "10.0.0.2"),
        ("2001:db8::1", "2001:4860::8888", "2001:4860::8888"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_client_is_the_nearest_address_that_is_no_trusted_proxy(peer: str, forwarded: str, client: str) -> None:
    assert Addresses(TRUSTED).client(peer, forwarded) == client


def test_without_trusted_proxies_forwarded_addresses_are_ignored() -> None:
    assert Addresses().client("127.0.0.1", "1.1.1.1") == "127.0.0.1"


def test_a_trusted_proxy_must_be_an_address_or_network() -> None:
    with pytest.raises(ValueError, match=r"proxy\.internal"):
        Addresses(["proxy.internal"])
