"""Replays run below live traffic: never ahead of it, and within their share of a route."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.errors import Permanent
from gateway.model import Delivery
from gateway.store.values import Filter
from tests.unit.dispatch.harness import Harness, ScriptedSink, dispatching, make_route, make_sink, orders_of, until

pytestmark = pytest.mark.gen_test

BURIED = "abcdef"


async def bury(tmp_path: Path, orders: Sequence[str] = BURIED) -> None:
    """Leave replayed dead letters, one of each order, for the next gateway."""
    sink = make_sink()
    sink.script.extend([Permanent("no")] * len(orders))
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        for order in orders:
            await gateway.accept(order=order)
        await gateway.settle("dead")
    # That gateway is gone first: it might still have taken a replay up itself.
    async with dispatching(tmp_path, [], start=False) as gateway:
        async for _ in gateway.store.replay(Filter(state="dead"), gateway.clock()):
            pass


def block(sink: type[ScriptedSink], deliveries: int) -> asyncio.Event:
    """Make the sink wait with the next deliveries until the event is set."""
    gate = asyncio.Event()

    async def wait(delivery: Delivery) -> None:
        await gate.wait()

    sink.script.extend([wait] * deliveries)
    return gate


async def test_live_ones_come_first(tmp_path: Path) -> None:
    await bury(tmp_path)
    sink = make_sink()
    async with dispatching(tmp_path, [(make_route(concurrency=1), sink)], start=False) as gateway:
        for order in "123":
            await gateway.accept(order=order)
        gateway.dispatcher.start()
        await gateway.settle("delivered")
    assert orders_of(sink.arrived) == [*"123", *BURIED]
    assert [delivery.replayed for delivery in sink.arrived] == [False] * 3 + [True] * 6


async def test_replays_get_a_quarter_of_a_route_and_leave_the_rest_free(tmp_path: Path) -> None:
    await bury(tmp_path)
    sink = make_sink()
    gate = block(sink, 8)
    async with dispatching(tmp_path, [(make_route(concurrency=8), sink)]) as gateway:
        runner = gateway.dispatcher.runners["shop", "erp"]
        await until(lambda: asyncio.sleep(0, runner.state.replaying == 2))
        assert (runner.state.running, runner.state.replay_slots()) == (2, 0)
        for order in "123456":
            await gateway.accept(order=order)
        await until(lambda: asyncio.sleep(0, len(sink.arrived) == 8))
        assert orders_of(sink.arrived) == ["a", "b", *"123456"]
        gate.set()
        await gateway.settle("delivered")
    assert sorted(orders_of(sink.arrived)) == sorted([*BURIED, *"123456"])


async def test_what_comes_in_passes_the_replays_that_wait(tmp_path: Path) -> None:
    await bury(tmp_path)
    sink = make_sink()
    gate = block(sink, 1)
    async with dispatching(tmp_path, [(make_route(concurrency=1), sink)]) as gateway:
        await until(lambda: asyncio.sleep(0, len(sink.arrived) == 1))
        live = await gateway.accept(order="1")
        gate.set()
        await gateway.settle("delivered")
    assert orders_of(sink.arrived) == ["a", "1", *"bcdef"]
    assert sink.arrived[1].signal.id == live


async def test_a_replay_that_fails_does_not_hold_up_what_comes_in_for_its_order(tmp_path: Path) -> None:
    await bury(tmp_path, "a")
    sink = make_sink()
    sink.script.append(ValueError("still broken"))
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        await until(lambda: has_failed(gateway))
        live = await gateway.accept(order="a", type="B")
        await until(lambda: is_delivered(gateway, live))
        gateway.advance(60)
        await gateway.settle("delivered")
    assert [delivery.signal.id for delivery in sink.arrived] == [1, live, 1]


async def has_failed(gateway: Harness) -> bool:
    (row,) = await gateway.store.list_deliveries(Filter(), 2)
    return row.attempts == 1 and row.leased_until is None


async def is_delivered(gateway: Harness, signal: int) -> bool:
    return (await gateway.states())[signal, "erp"] == "delivered"
