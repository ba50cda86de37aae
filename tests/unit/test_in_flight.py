"""Requests in flight are counted, and a shutdown waits until there are none."""

import asyncio

import pytest

from gateway.in_flight import InFlightRequests

pytestmark = pytest.mark.gen_test


async def test_a_shutdown_waits_until_the_last_request_is_answered() -> None:
    requests = InFlightRequests()
    await requests.wait_until_none()
    requests.begin()
    requests.begin()
    drained = asyncio.ensure_future(requests.wait_until_none())
    requests.end()
    await asyncio.sleep(0)
    assert (requests.count, drained.done()) == (1, False)
    requests.end()
    await drained


async def test_a_request_that_begins_meanwhile_is_waited_for_too() -> None:
    requests = InFlightRequests()
    requests.begin()
    drained = asyncio.ensure_future(requests.wait_until_none())
    requests.begin()
    requests.end()
    await asyncio.sleep(0)
    assert not drained.done()
    requests.end()
    await drained


async def test_each_request_that_begins_is_told_with_the_count() -> None:
    requests, counts = InFlightRequests(), list[int]()
    requests.on_begin(counts.append)
    requests.begin()
    requests.begin()
    requests.end()
    requests.begin()
    assert counts == [1, 2, 2]
