"""Routes are added, removed and changed while the dispatcher runs."""

import asyncio
from pathlib import Path

import pytest

from gateway.dispatch import Runner
from gateway.model import Delivery, Route
from gateway.sink.api import Sink
from tests.unit.dispatch import harness
from tests.unit.dispatch.harness import Harness, dispatching, make_route, make_sink, until

pytestmark = pytest.mark.gen_test

ERP = ("shop", "erp")


def make_runner(gateway: Harness, route: Route, sink: type[Sink]) -> Runner:
    gateway.routes[route.account, route.name] = route
    return harness.make_runner(route, sink, gateway.store, gateway.clock)


async def test_a_new_route_delivers_signals_from_before_it(tmp_path: Path) -> None:
    old, new = make_sink(), make_sink()
    async with dispatching(tmp_path, [(make_route(), old)]) as gateway:
        runner = make_runner(gateway, make_route("alerts"), new)
        signal = await gateway.accept()
        await until(lambda: delivered(gateway, signal, "erp"))
        assert not new.arrived
        await gateway.dispatcher.change([], [runner], grace=0)
        await gateway.settle("delivered")
    assert [delivery.signal.id for delivery in new.arrived] == [signal]
    assert old.events == new.events == ["open", "close"]


async def test_a_removed_route_keeps_its_deliveries(tmp_path: Path) -> None:
    sink = make_sink()
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        await gateway.accept(order="1")
        await gateway.settle("delivered")
        await gateway.dispatcher.change([ERP, ("shop", "never")], [], grace=0)
        assert sink.events == ["open", "close"]
        later = await gateway.accept(order="2")
        await gateway.dispatcher.change([], [make_runner(gateway, make_route("other", "else"), sink)], grace=0)
        await until(lambda: followed(gateway, "else", "other"))
        assert (await gateway.states())[later, "erp"] == "pending"
        assert len(sink.arrived) == 1


async def test_a_changed_route_begins_when_the_old_one_has_ended(tmp_path: Path) -> None:
    going, done = asyncio.Event(), asyncio.Event()

    async def wait(delivery: Delivery) -> None:
        going.set()
        await done.wait()

    old, new = make_sink(events=(events := [])), make_sink(events=events)
    old.script.append(wait)
    async with dispatching(tmp_path, [(make_route(), old)]) as gateway:
        first = await gateway.accept(order="1")
        await going.wait()
        second = await gateway.accept(order="2")
        changed = make_runner(gateway, make_route(concurrency=1), new)
        change = asyncio.ensure_future(gateway.dispatcher.change([ERP], [changed], grace=60))
        third = await gateway.accept(order="3")
        await until(lambda: is_without(gateway, "shop", "erp"))
        assert not new.arrived
        done.set()
        await change
        await gateway.settle("delivered")
    assert first in [delivery.signal.id for delivery in old.arrived]
    arrived = [delivery.signal.id for delivery in (*old.arrived, *new.arrived)]
    assert sorted(arrived) == [first, second, third]
    assert third in [delivery.signal.id for delivery in new.arrived]
    assert events == ["open", "close", "open", "close"]


async def test_a_hanging_delivery_is_given_back_and_delivered_by_the_new_route(tmp_path: Path) -> None:
    going = asyncio.Event()

    async def hang(delivery: Delivery) -> None:
        going.set()
        await asyncio.Event().wait()

    old, new = make_sink(), make_sink()
    old.script.append(hang)
    async with dispatching(tmp_path, [(make_route(), old)]) as gateway:
        signal = await gateway.accept()
        await going.wait()
        await gateway.dispatcher.change([ERP], [make_runner(gateway, make_route(), new)], grace=0)
        await gateway.settle("delivered")
        assert await gateway.store.read_attempts(signal) == {}
    assert [(delivery.signal.id, delivery.attempt) for delivery in new.arrived] == [(signal, 1)]


async def test_a_paused_route_stays_paused_when_it_changes(tmp_path: Path) -> None:
    old, new = make_sink(), make_sink()
    async with dispatching(tmp_path, [(make_route(), old)]) as gateway:
        await gateway.store.set_paused(*ERP, True, gateway.clock.at, "")
        runner = make_runner(gateway, make_route(), new)
        await gateway.dispatcher.change([ERP], [runner], grace=0)
        await gateway.accept()
        await until(lambda: followed(gateway, *ERP))
        assert runner.state.paused
        assert not new.arrived


async def test_a_stop_amid_a_change_ends_both(tmp_path: Path) -> None:
    going = asyncio.Event()

    async def hang(delivery: Delivery) -> None:
        going.set()
        await asyncio.Event().wait()

    old, new = make_sink(), make_sink()
    old.script.append(hang)
    async with dispatching(tmp_path, [(make_route(), old)]) as gateway:
        await gateway.accept()
        await going.wait()
        runner = make_runner(gateway, make_route(), new)
        change = asyncio.ensure_future(gateway.dispatcher.change([ERP], [runner], grace=60))
        await until(lambda: is_without(gateway, *ERP))
        change.cancel()
        await gateway.dispatcher.stop(grace=0)
        assert set((await gateway.states()).values()) == {"pending"}
    assert old.events == ["open", "close"]
    assert new.events == []


async def delivered(gateway: Harness, signal: int, route: str) -> bool:
    return (await gateway.states()).get((signal, route)) == "delivered"


async def is_without(gateway: Harness, account: str, route: str) -> bool:
    return (account, route) not in gateway.dispatcher.runners


async def followed(gateway: Harness, account: str, route: str) -> bool:
    """Return True once the route is there and has its stored state. From then on it would deliver."""
    runner = gateway.dispatcher.runners.get((account, route))
    return runner is not None and runner.state.followed
