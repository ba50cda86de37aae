"""File descriptors: a share of them is kept from connections."""

import pytest

from gateway.web.descriptors import count_descriptors, limit_connections


@pytest.mark.parametrize(
    ("wanted", "descriptors", "given"),
    [
        (2048, 64, 32),
        (2048, 256, 192),
        (2048, 1024, 768),
        (2048, 1_048_576, 2048),
        (10, 1024, 10),
        (2048, 20, 1),
        (10_000, 8192, 7168),
    ],
)
def test_descriptors_remain_for_the_store_and_the_sinks(wanted: int, descriptors: int, given: int) -> None:
    assert limit_connections(wanted, descriptors) == given


def test_the_process_has_descriptors() -> None:
    assert count_descriptors() >= 64
