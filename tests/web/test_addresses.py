"""Client addresses: the address of the socket, or the one that trusted proxies forward."""

import time

import pytest

from gateway.web.addresses import HEADERS, Addresses

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
        ("127.0.0.1", "198.51.100.1:51008", "198.51.100.1"),
        ("127.0.0.1", "1.1.1.1:1, 198.51.100.1:51008,10.0.0.7:80", "198.51.100.1"),
        ("127.0.0.1", "[2001:4860::8888]:443", "2001:4860::8888"),
        ("127.0.0.1", "[2001:4860::8888]", "2001:4860::8888"),
        ("127.0.0.1", '"[2001:4860::8888]:443"', "2001:4860::8888"),
        ("127.0.0.1", "fe80::1%eth0", "fe80::1"),
        ("127.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "[::ffff:198.51.100.1]:5", "198.51.100.1"),
        ("127.0.0.1", "::ffff:10.0.0.1", "10.0.0.1"),
        ("127.0.0.1", "198.51.100.1,, ,", "198.51.100.1"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", "unknown, 198.51.100.1:5", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1, unknown", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1, unknown, 10.0.0.2", "10.0.0.2"),
        ("127.0.0.1", "198.51.100.1, _hidden, 10.0.0.2", "10.0.0.2"),
        ("127.0.0.1", "198.51.100.1:", "198.51.100.1"),
        ("127.0.0.1", "1.2.3.4.5:80", "127.0.0.1"),
        ("127.0.0.1", "[", "127.0.0.1"),
        ("127.0.0.1", "[]:80", "127.0.0.1"),
        ("unix", "198.51.100.1", "198.51.100.1"),
        ("unix", "", "unix"),
        ("127.0.0.1", "198.51.100.1, junk", "127.0.0.1"),
        ("127.0.0.1", "junk, 10.0.0.2", "10.0.0.2"),
        ("2001:db8::1", "2001:4860::8888", "2001:4860::8888"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_client_is_the_nearest_address_that_is_no_trusted_proxy(peer: str, forwarded: str, client: str) -> None:
    assert Addresses(TRUSTED).client(peer, forwarded) == client


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("for=198.51.100.1", "198.51.100.1"),
        ("For=198.51.100.1;proto=https;by=10.0.0.1", "198.51.100.1"),
        ("proto=https; for = 198.51.100.1:51008", "198.51.100.1"),
        ('for="[2001:4860::8888]:4711"', "2001:4860::8888"),
        ('for="198.51.100.1:5", for=10.0.0.7', "198.51.100.1"),
        ("for=1.1.1.1, for=198.51.100.1;host=a, for=10.0.0.7", "198.51.100.1"),
        ('host="for=9.9.9.9,for=9.9.9.9";for=198.51.100.1', "198.51.100.1"),
        ("for=198.51.100.1, proto=https", "127.0.0.1"),
        ("for=unknown", "127.0.0.1"),
        ("for=198.51.100.1, for=_gazonk", "127.0.0.1"),
        ("for=", "127.0.0.1"),
        ('for="', "127.0.0.1"),
        ("before=9.9.9.9", "127.0.0.1"),
        (",,", "127.0.0.1"),
    ],
)
def test_the_client_in_forwarded(forwarded: str, client: str) -> None:
    assert Addresses(TRUSTED, "forwarded").client("127.0.0.1", forwarded) == client


def test_a_long_header_is_read_in_little_time() -> None:
    """Strangers write this header. A pattern that backtracks takes seconds."""
    for part in ('for="\\', '"\\', "for=a;", "[::1", '"', "; ", " for ="):
        for header in HEADERS:
            started = time.process_time()
            Addresses(TRUSTED, header).client("127.0.0.1", part * 4000)
            assert time.process_time() - started < 1.0


def test_without_trusted_proxies_forwarded_addresses_are_ignored() -> None:
    assert Addresses().client("127.0.0.1", "1.1.1.1") == "127.0.0.1"


def test_a_trusted_proxy_must_be_an_address_or_network() -> None:
    with pytest.raises(ValueError, match=r"proxy\.internal"):
        Addresses(["proxy.internal"])
