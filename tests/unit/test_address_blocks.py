"""Addresses that count as one for limits."""

import pytest

from gateway.address_blocks import block_of


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "", True),
        ("unix", "192.0.2.1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("64:ff9b::c000:201", "64:ff9b::c000:202", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        (":no address", "::", False),
    ],
)
def test_a_host_with_many_ipv6_addresses_counts_as_one(one: str, other: str, same: bool) -> None:
    assert (block_of(one) == block_of(other)) is same
