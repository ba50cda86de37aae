"""A delivery that the target refuses alone does not hold up its route; wrong settings cost no attempts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.dispatch.refusals import MAX_REMEMBERED, Refusals
from gateway.dispatch.route_state import NEVER
from gateway.errors import Misconfigured, RetryLater
from gateway.model import Delivery
from gateway.policy import FAILURES_TO_OPEN, MISCONFIGURED_PROBE, Status
from gateway.sink import Sink
from gateway.store.values import Filter
from tests.support.factory import make_delivery
from tests.unit.dispatch.harness import START, Harness, dispatching, make_route, make_sink, until

pytestmark = pytest.mark.gen_test

MINUTE = 60.0


# -- the memory


def test_a_delivery_refused_again_after_others_were_taken_is_at_fault_itself() -> None:
    memory = Refusals()
    assert not memory.refuse(1)
    assert not memory.refuse(1)
    memory.take()
    assert memory.refuse(1)
    assert not memory.refuse(1)


def test_on_a_route_that_refuses_single_ones_a_first_refusal_is_its_own_fault_too() -> None:
    memory = Refusals()
    memory.refuse(1)
    memory.take()
    assert memory.refuse(1)
    assert memory.refuse(2)
    assert not memory.refuse(2), "nothing was taken since"


def test_several_refusals_in_a_row_are_the_routes_fault() -> None:
    memory = Refusals()
    memory.refuse(0)
    memory.take()
    memory.refuse(0)
    found = [memory.refuse(number) for number in range(1, 10)]
    assert found == [True] * (FAILURES_TO_OPEN - 1) + [False] * (10 - FAILURES_TO_OPEN)


def test_a_refused_call_of_several_deliveries_is_nobodys_own_fault() -> None:
    memory = Refusals()
    for _ in range(5):
        assert not any(memory.refuse(number, alone=False) for number in range(3))
        memory.take()


def test_two_refused_deliveries_confirm_wrong_settings() -> None:
    memory = Refusals()
    memory.refuse(1)
    memory.refuse(1)
    assert not memory.confirmed
    memory.refuse(2)
    assert memory.confirmed
    memory.take()
    assert not memory.confirmed


def test_a_probe_is_one_never_refused_or_else_the_one_refused_longest_ago() -> None:
    memory = Refusals()
    one, two, three = (make_delivery(id=number) for number in (1, 2, 3))
    for number in (2, 1):
        memory.refuse(number)
    assert memory.choose_probe([one, two, three]) == three
    assert memory.choose_probe([one, two]) == two
    assert memory.find_blameless([one, two]) is None


def test_the_memory_is_bounded() -> None:
    memory = Refusals()
    for number in range(MAX_REMEMBERED + 10):
        memory.refuse(number)
    memory.take()
    assert memory.find_blameless([make_delivery(id=5)]) is not None
    assert memory.find_blameless([make_delivery(id=15)]) is None


# -- a whole route


def make_refusing(refuses: Callable[[Delivery], bool], **attributes: Any) -> tuple[type[Sink], list[Delivery]]:
    """Return a sink that refuses some deliveries as misconfigured, and the list of all that arrive there."""

    async def deliver(self: Sink, delivery: Delivery) -> None:
        arrived.append(delivery)
        if refuses(delivery):
            raise Misconfigured("answered 404: look at the url")

    arrived: list[Delivery] = []
    return make_sink(deliver=deliver, **attributes), arrived


def is_unknown(delivery: Delivery) -> bool:
    return delivery.signal.order.startswith("UNKNOWN")


async def test_one_order_that_is_refused_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """Post an unknown order first, then another order each minute, for 22 minutes."""
    sink, arrived = make_refusing(is_unknown)
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        unknown = await gateway.accept(order="UNKNOWN")
        await gateway.play(MINUTE)
        for minute in range(1, 22):
            await gateway.accept(order=str(minute))
            await gateway.play(MINUTE)
        rows = {row.signal_id: row for row in await gateway.store.list_deliveries(Filter(), 100)}
        attempts = await gateway.store.read_attempts(unknown)
    dead = rows.pop(unknown)
    assert (dead.state, dead.attempts) == ("dead", 3)
    assert dead.reason == "refused 3 times, while others of the route were taken: answered 404: look at the url"
    assert all(row.state == "delivered" for row in rows.values())
    waits = [(row.ended_at or 0) - row.created_at for row in rows.values()]
    assert max(waits) <= 30
    assert len(attempts["erp"]) == sum(map(is_unknown, arrived)) == 4


async def test_the_counted_refusals_survive_restarts(tmp_path: Path) -> None:
    sink, _ = make_refusing(is_unknown)
    unknown = 0
    for start in range(5):
        async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
            gateway.clock.at += start * 15 * MINUTE
            unknown = unknown or await gateway.accept(order="UNKNOWN")
            for minute in range(8):
                await gateway.accept(order=f"{start}-{minute}")
                await gateway.play(MINUTE)
            states = await gateway.states()
    assert states.pop((unknown, "erp")) == "dead"
    assert set(states.values()) == {"delivered"}


async def test_a_route_of_which_every_fifth_order_is_refused_keeps_up(tmp_path: Path) -> None:
    """Accept an order every two seconds for a quarter of an hour, then one a minute."""
    sink, arrived = make_refusing(is_unknown)
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        for number in range(450):
            await gateway.accept(order=f"UNKNOWN-{number}" if number % 5 == 0 else str(number))
            await gateway.play(2, step=2)
        for number in range(20):
            await gateway.accept(order=f"last-{number}")
            await gateway.play(MINUTE, step=20)
        rows = await gateway.store.list_deliveries(Filter(), 2000)
    refused = {delivery.signal.id for delivery in arrived if is_unknown(delivery)}
    waits = [(row.ended_at or NEVER) - row.created_at for row in rows if row.signal_id not in refused]
    assert max(waits) < 60
    assert len(refused) == 90
    assert sum(row.state == "dead" for row in rows) > 80


async def test_wrong_settings_burn_nothing_and_are_probed_with_one_order_after_the_other(tmp_path: Path) -> None:
    broken = True
    sink, arrived = make_refusing(lambda delivery: broken)
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        for number in range(5):
            await gateway.accept(order=str(number))
        await gateway.play(32 * MINUTE)
        rows = await gateway.store.list_deliveries(Filter(), 10)
        assert {(row.state, row.attempts) for row in rows} == {("pending", 0)}
        probes = [int(delivery.signal.order) for delivery in arrived]
        assert status_of(gateway) is Status.MISCONFIGURED
        broken = False
        await gateway.play(MISCONFIGURED_PROBE)
        await gateway.settle("delivered")
    # Attempts that ran side by side are refused together; then one probe each five minutes, by turns.
    assert len(probes) <= 4 + 6
    assert sorted(probes[-5:]) == [0, 1, 2, 3, 4]


def status_of(gateway: Harness) -> Status:
    [runner] = gateway.dispatcher.runners.values()
    return runner.state.breaker.status(paused=False)


async def test_a_revoked_key_makes_no_dead_letter_however_long_it_lasts(tmp_path: Path) -> None:
    """The route has taken many and refused single ones; then the key is revoked for a day."""
    revoked = False
    sink, _ = make_refusing(lambda delivery: revoked or is_unknown(delivery))
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        await gateway.accept(order="UNKNOWN")
        for number in range(20):
            await gateway.accept(order=f"before-{number}")
            await gateway.play(MINUTE)
        revoked = True
        for number in range(20):
            await gateway.accept(order=f"revoked-{number}")
            await gateway.play(MINUTE)
        await gateway.play(24 * 60 * MINUTE, step=MINUTE * 5)
        rows = await gateway.store.list_deliveries(Filter(), 100)
        assert Counter(row.state for row in rows) == {"delivered": 20, "pending": 20, "dead": 1}
        assert status_of(gateway) is Status.MISCONFIGURED
        revoked = False
        await gateway.play(2 * MISCONFIGURED_PROBE)
        assert Counter((await gateway.states()).values()) == {"delivered": 40, "dead": 1}


async def test_a_batch_that_is_refused_as_a_whole_counts_against_none(tmp_path: Path) -> None:
    async def deliver_batch(self: Sink, deliveries: Sequence[Delivery]) -> None:
        if len(deliveries) > 1:
            raise Misconfigured("no such channel")

    sink = make_sink(batch=10, deliver_batch=deliver_batch)
    async with dispatching(tmp_path, [(make_route(concurrency=1), sink)], start=False) as gateway:
        for number in range(30):
            await gateway.accept(order=str(number))
        gateway.dispatcher.start()
        await gateway.play(60 * MINUTE, step=MINUTE)
        rows = await gateway.store.list_deliveries(Filter(), 100)
    assert {row.attempts for row in rows if row.state == "pending"} == {0}
    assert not [row for row in rows if row.state == "dead"]


async def test_a_target_that_hangs_on_one_order_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """Five failures of one order open the breaker; the probe is another order's delivery."""

    async def deliver(self: Sink, delivery: Delivery) -> None:
        if is_unknown(delivery):
            raise RetryLater("no result within 30 s")

    async with dispatching(tmp_path, [(make_route(), make_sink(deliver=deliver))]) as gateway:
        await gateway.accept(order="UNKNOWN")
        await gateway.play(8 * 60 * MINUTE, step=30)
        assert status_of(gateway) is Status.FAILING
        for number in range(60):
            await gateway.accept(order=str(number))
            await gateway.play(MINUTE)
        rows = await gateway.store.list_deliveries(Filter(), 100)
    waits = [(row.ended_at or 0) - row.created_at for row in rows if row.state == "delivered"]
    assert max(waits) <= 40
    assert Counter(row.state for row in rows) == {"delivered": 60, "pending": 1}


async def test_a_second_opinion_is_asked_for_soon_after_a_signal_of_another_order(tmp_path: Path) -> None:
    sink, arrived = make_refusing(is_unknown)
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        await gateway.accept(order="UNKNOWN")
        await gateway.play(100)
        assert len(arrived) == 1
        other = await gateway.accept(order="2")
        await gateway.play(2, step=1)
        assert (await gateway.states())[other, "erp"] == "delivered"
        assert gateway.clock.at == START + 102


async def test_probing_leaves_no_lease_and_no_slot_behind(tmp_path: Path) -> None:
    sink, arrived = make_refusing(lambda delivery: True)
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        for number in range(30):
            await gateway.accept(order=str(number))
        await until(lambda: any_of(arrived))
        await gateway.play(MISCONFIGURED_PROBE)
        rows = await gateway.store.list_deliveries(Filter(), 100)
        assert not any(row.leased_until and row.leased_until > gateway.clock.at for row in rows)
        assert gateway.dispatcher.admission.slots.free == gateway.dispatcher.admission._tuning.slots


async def any_of(arrived: Sequence[Delivery]) -> bool:
    return bool(arrived)


async def test_a_probe_that_a_person_asks_for_takes_the_delivery_that_was_chosen(tmp_path: Path) -> None:
    sink, arrived = make_refusing(lambda delivery: True)
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        for number in range(12):
            await gateway.accept(order=str(number))
        await gateway.play(MINUTE)
        before = len(arrived)
        for chosen in (1, 12, 1):
            assert await gateway.store.try_now("shop", "erp", chosen, gateway.clock.at, "retry")
            await gateway.play(3, step=3)
            assert [delivery.signal.id for delivery in arrived[before:]] == [chosen]
            before = len(arrived)
        await gateway.play(MINUTE)
        assert len(arrived) == before, "it was asked for once"
