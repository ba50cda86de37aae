"""Token buckets fill with time up to their burst, and the least recently used is forgotten."""

import pytest

from gateway.token_bucket import TokenBucket, TokenBuckets

NOW = 1_000_000.0
DAY = 86400.0


def test_a_bucket_refills_with_time_up_to_its_burst() -> None:
    bucket = TokenBucket(rate=2, burst=4)
    assert [bucket.take(NOW) for _ in range(4)] == [0, 0, 0, 0]
    assert bucket.take(NOW) == pytest.approx(0.5)
    assert bucket.take(NOW + 0.5) == 0
    assert bucket.available(NOW + 1000) == 4


def test_a_bucket_is_not_emptied_by_a_clock_set_back() -> None:
    bucket = TokenBucket(rate=1, burst=2)
    bucket.available(NOW)
    assert bucket.available(NOW - DAY) == 2
    bucket.take(NOW - DAY)
    assert bucket.available(NOW - DAY + 1) == 2


def test_a_bucket_saves_up_one_second_or_one_token_where_no_burst_is_given() -> None:
    assert TokenBucket(rate=7).available(NOW) == 7
    assert TokenBucket(rate=0.1).available(NOW) == 1


def test_a_delay_that_is_asked_for_takes_nothing() -> None:
    bucket = TokenBucket(rate=2, burst=1)
    bucket.take(NOW)
    assert [bucket.delay(NOW), bucket.delay(NOW + 0.5)] == [0.5, 0]
    assert bucket.take(NOW + 0.5) == 0


def test_each_name_has_a_bucket_of_its_own_with_the_limits_of_the_last_call() -> None:
    buckets = TokenBuckets(limit=10)
    assert [buckets.take("a", 1, 1, NOW), buckets.take("b", 1, 1, NOW)] == [0, 0]
    assert buckets.take("a", 1, 1, NOW) == 1
    assert buckets.take("a", 10, 10, NOW) == pytest.approx(0.1)


def test_the_least_recently_used_bucket_is_forgotten() -> None:
    buckets = TokenBuckets(limit=2)
    for name in "aba":
        buckets.take(name, 1, 2, NOW)
    buckets.take("c", 1, 2, NOW)  # forgets b
    assert buckets.take("a", 1, 2, NOW) == 1
    assert [buckets.take("b", 1, 2, NOW) for _ in range(3)] == [0, 0, 1]
