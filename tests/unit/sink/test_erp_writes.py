"""Attempts that write to one target neither overlap nor overtake each other."""

from __future__ import annotations

import asyncio
import gc

import pytest

from gateway.sink import Context, HttpSink, OrderLocks, Permanent, RetryLater, Unanswered, WriteGuard


class Plain(HttpSink):
    name = "plain"
    summary = "posts"
    timeout = 600.0
    read_timeout = 150.0


def test_a_write_begins_only_while_its_answer_can_be_waited_for() -> None:
    time = 1000.0
    guard = Plain({}, Context("shop", "acme", "erp", now=lambda: time)).write_guard()
    time += 450.0
    with guard.begin("orders/write"):
        time += 1.0
    slow = pytest.raises(RetryLater, match="orders/write: the target is too slow for another write")
    with slow, guard.begin("orders/write"):
        raise AssertionError("it has begun")


@pytest.mark.parametrize(("asked", "after"), [(None, 120.0), (7.0, 120.0), (300.0, 300.0)])
def test_a_write_without_an_answer_is_not_repeated_before_it_has_settled(asked: float | None, after: float) -> None:
    guard = WriteGuard(lambda: 0.0, 1.0)
    with pytest.raises(RetryLater, match="the connection broke") as raised, guard.begin("orders/write"):
        raise Unanswered("the connection broke", asked)
    assert (type(raised.value), raised.value.after, raised.value.firm) == (RetryLater, after, True)


@pytest.mark.parametrize("error", [RetryLater("busy", 5.0), Permanent("no such order")])
def test_an_answer_is_left_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, WriteGuard(lambda: 0.0, 1.0).begin("orders/write"):
        raise error
    assert raised.value is error


@pytest.mark.gen_test
async def test_one_holds_the_lock_of_a_key_at_a_time() -> None:
    locks = OrderLocks()
    async with locks.of("PO-1"):
        assert locks.of("PO-1").locked()
        assert not locks.of("PO-2").locked()
        waiting = asyncio.create_task(locks.of("PO-1").acquire())
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


@pytest.mark.gen_test
async def test_a_lock_that_nobody_holds_is_forgotten() -> None:
    locks = OrderLocks()
    async with locks.of("PO-1"):
        assert len(locks._locks) == 1
    gc.collect()
    assert not locks._locks
