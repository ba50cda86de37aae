"""The partitions to create, by the retention and the existing ones."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.store.postgres.partitions import DAY, Partition, find_gaps, width_of

MIDNIGHT = round(datetime(2026, 11, 20, tzinfo=UTC).timestamp() * 1e6)
NOON = MIDNIGHT + DAY // 2


def days(*bounds: float) -> list[Partition]:
    """Make partitions from their beginnings and ends, in days since midnight."""
    return [
        Partition(MIDNIGHT + round(first * DAY), MIDNIGHT + round(end * DAY))
        for first, end in zip(bounds[::2], bounds[1::2], strict=True)
    ]


@pytest.mark.parametrize(("retention", "width"), [(1, 1), (8, 1), (8.1, 2), (30, 4), (90, 12), (3650, 457)])
def test_a_partition_is_an_eighth_of_the_retention_and_a_day_at_least(retention: float, width: int) -> None:
    assert width_of(retention * 86400) == width * DAY


@pytest.mark.parametrize(
    ("there", "width", "lacking"),
    [
        ([], 1, [0, 1, 1, 2, 2, 3]),
        ([], 12, [0, 12]),
        ([0, 1], 1, [1, 2, 2, 3]),
        ([-5, 2], 7, [2, 9]),
        ([-5, -2], 7, [0, 7]),
        ([1, 2], 7, [0, 1, 2, 9]),
        ([2, 30], 1, [0, 1, 1, 2]),
        ([400, 401], 2, [0, 2, 2, 4]),
        ([-5, 3], 2, []),
    ],
    ids=str,
)
def test_missing_partitions_are_found_from_today_until_two_days_ahead(
    there: list[float], width: int, lacking: list[float]
) -> None:
    found = list(find_gaps(days(*there), NOON, NOON + 2 * DAY, width * DAY))
    assert found == days(*lacking)
    assert list(find_gaps([*days(*there), *found], NOON, NOON + 2 * DAY, width * DAY)) == []


def test_a_partition_is_named_by_its_first_day() -> None:
    assert days(0, 12)[0].name == "20261120"
