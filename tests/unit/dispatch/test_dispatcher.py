"""Delivery: in order per lane, retried by the policy, fair, and given back at the end."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.dispatch import Runner, Tuning
from gateway.errors import Misconfigured, Permanent, RetryLater, Skip
from gateway.model import Delivery, Kind, Retry
from gateway.sink.api import Sink
from gateway.store.values import Filter
from tests.unit.dispatch.harness import Harness, dispatching, make_route, make_sink, orders_of, until

pytestmark = pytest.mark.gen_test

TUNING = Tuning()
JUDGED = TUNING.judged_at_once


def ids(arrived: Sequence[Delivery]) -> list[int]:
    return [delivery.signal.id for delivery in arrived]


async def test_an_accepted_signal_is_delivered_at_once(tmp_path: Path) -> None:
    sink = make_sink()
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        signal = await gateway.accept()
        await gateway.settle("delivered")
        assert ids(sink.arrived) == [signal]
        assert sink.events == ["open"]
    assert sink.events == ["open", "close"]


async def test_an_orders_deliveries_come_one_after_the_other(tmp_path: Path) -> None:
    running = 0

    async def alone(delivery: Delivery) -> None:
        nonlocal running
        running += 1
        await asyncio.sleep(0)
        assert running == 1
        running -= 1

    sink = make_sink()
    sink.script.extend([alone] * 5)
    async with dispatching(tmp_path, [(make_route(concurrency=10), sink)]) as gateway:
        accepted = [await gateway.accept(type=f"Type{n}") for n in range(5)]
        await gateway.settle("delivered")
    assert ids(sink.arrived) == accepted


async def test_orders_are_delivered_side_by_side_up_to_the_concurrency(tmp_path: Path) -> None:
    both = asyncio.Barrier(2)

    async def meet(delivery: Delivery) -> None:
        await both.wait()

    sink = make_sink()
    sink.script.extend([meet] * 4)
    async with dispatching(tmp_path, [(make_route(concurrency=2), sink)]) as gateway:
        for order in "1234":
            await gateway.accept(order=order)
        await gateway.settle("delivered")
    assert sorted(orders_of(sink.arrived)) == list("1234")


async def test_a_failure_holds_up_its_own_order_only(tmp_path: Path) -> None:
    sink = make_sink()
    sink.script.append(RetryLater("busy"))
    async with dispatching(tmp_path, [(make_route(concurrency=1), sink)]) as gateway:
        first = await gateway.accept(order="1", type="A")
        await until(lambda: is_waiting(gateway, first))
        second = await gateway.accept(order="1", type="B")
        other = await gateway.accept(order="2")
        await until(lambda: is_state(gateway, other, "delivered"))
        assert await is_state(gateway, second, "pending")
        gateway.advance(5)
        await gateway.settle("delivered")
    assert ids(sink.arrived) == [first, other, first, second]
    assert [delivery.attempt for delivery in sink.arrived] == [1, 1, 2, 1]


async def is_state(gateway: Harness, signal: int, state: str) -> bool:
    return (await gateway.states())[signal, "erp"] == state


async def is_waiting(gateway: Harness, signal: int, attempts: int = 1) -> bool:
    row = (await gateway.store.list_deliveries(Filter(ids=[signal]), 1))[0]
    return row.state == "pending" and row.attempts == attempts and row.leased_until is None


async def test_each_failed_attempt_is_kept_with_its_reason(tmp_path: Path) -> None:
    sink = make_sink()
    sink.script.extend([RetryLater("busy"), ValueError("bug"), Permanent("no such order")])
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        signal = await gateway.accept()
        for attempts in (1, 2):
            await until(lambda attempts=attempts: is_waiting(gateway, signal, attempts))
            gateway.advance(60)
        await gateway.settle("dead")
        attempts = (await gateway.store.read_attempts(signal))["erp"]
    assert [(a.number, a.kind, a.reason) for a in attempts] == [
        (1, Kind.RETRY, "busy"),
        (2, Kind.RETRY, "ValueError: bug"),
        (3, Kind.PERMANENT, "no such order"),
    ]


async def test_a_dead_letter_lets_the_next_of_its_order_pass(tmp_path: Path) -> None:
    sink = make_sink()
    sink.script.append(Permanent("no"))
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        first, second = await gateway.accept(type="A"), await gateway.accept(type="B")
        await gateway.settle("dead", "delivered")
        assert await gateway.states() == {(first, "erp"): "dead", (second, "erp"): "delivered"}


async def test_a_skip_counts_as_filtered(tmp_path: Path) -> None:
    sink = make_sink()
    sink.script.append(Skip("nothing to do"))
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        await gateway.accept()
        await gateway.settle("filtered")
        (row,) = await gateway.store.list_deliveries(Filter(), 2)
    assert row.reason == "nothing to do"


async def test_given_up_after_the_routes_own_time(tmp_path: Path) -> None:
    sink = make_sink()
    sink.script.append(RetryLater("busy"))
    async with dispatching(tmp_path, [(make_route(retry=Retry(give_up_after=4)), sink)]) as gateway:
        await gateway.accept()
        await gateway.settle("dead")


async def test_an_attempt_that_takes_too_long_is_cancelled_and_retried(tmp_path: Path) -> None:
    cancelled = asyncio.Event()

    async def hang(delivery: Delivery) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    sink = make_sink(timeout=0.01)
    sink.script.append(hang)
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        signal = await gateway.accept()
        await until(lambda: is_waiting(gateway, signal))
        attempts = (await gateway.store.read_attempts(signal))["erp"]
        assert [a.reason for a in attempts] == ["no result within 0.01 s"]
        assert cancelled.is_set()
        gateway.advance(5)
        await gateway.settle("delivered")


async def test_wrong_settings_pause_the_route_and_burn_nothing(tmp_path: Path) -> None:
    sink = make_sink()
    sink.script.append(Misconfigured("wrong api_key"))
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        first = await gateway.accept()
        await until(lambda: has_failed(gateway, first))
        second = await gateway.accept(order="1", type="Second")
        gateway.advance(299)
        rows = await gateway.store.list_deliveries(Filter(), 10)
        assert [(row.state, row.attempts) for row in rows] == [("pending", 0), ("pending", 0)]
        assert ids(sink.arrived) == [first]
        gateway.advance(1)
        await gateway.settle("delivered")
    assert ids(sink.arrived) == [first, first, second]


async def has_failed(gateway: Harness, signal: int) -> bool:
    return (
        bool(await gateway.store.read_attempts(signal))
        and (await gateway.store.list_deliveries(Filter(), 1))[0].leased_until is None
    )


async def test_an_open_breaker_stops_the_route_until_a_probe_succeeds(tmp_path: Path) -> None:
    sink = make_sink()
    sink.script.extend([RetryLater("down")] * 5)
    async with dispatching(tmp_path, [(make_route(concurrency=5), sink)], start=False) as gateway:
        for order in range(8):
            await gateway.accept(order=str(order))
        gateway.dispatcher.start()
        runner = gateway.dispatcher.runners["shop", "erp"]
        await until(lambda: asyncio.sleep(0, not runner.state.breaker.closed and not runner.state.running))
        assert len(sink.arrived) == 5
        gateway.advance(runner.state.breaker.probe_at - gateway.clock.at)
        await until(lambda: asyncio.sleep(0, runner.state.breaker.closed))
        gateway.advance(60)
        await gateway.settle("delivered")


async def test_a_sink_that_can_not_open_is_retried_with_the_delivery(tmp_path: Path) -> None:
    sink = make_sink()
    faults = [RetryLater("not yet")]

    async def open_(self: object) -> None:
        if faults:
            raise faults.pop()

    sink.open = open_  # type: ignore[method-assign]
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        signal = await gateway.accept()
        await until(lambda: is_waiting(gateway, signal))
        assert sink.arrived == []
        gateway.advance(5)
        await gateway.settle("delivered")


async def test_a_rate_spreads_deliveries_over_time(tmp_path: Path) -> None:
    sink = make_sink()
    async with dispatching(tmp_path, [(make_route(rate=1.0), sink)]) as gateway:
        for order in range(3):
            await gateway.accept(order=str(order))
        await until(lambda: count_is(gateway, "delivered", 1))
        gateway.advance(1)
        await until(lambda: count_is(gateway, "delivered", 2))
        assert len(sink.arrived) == 2
        gateway.advance(1)
        await gateway.settle("delivered")


async def count_is(gateway: Harness, state: str, count: int) -> bool:
    return list((await gateway.states()).values()).count(state) == count


async def test_a_hung_route_does_not_hold_up_another(tmp_path: Path) -> None:
    async def hang(delivery: Delivery) -> None:
        await asyncio.Event().wait()

    stuck, well = make_sink(), make_sink()
    stuck.script.extend([hang] * 100)
    routes = [(make_route("stuck", concurrency=2), stuck), (make_route("well", tenant="other"), well)]
    async with dispatching(tmp_path, routes) as gateway:
        for order in range(10):
            await gateway.accept(order=str(order))
        await until(lambda: count_is(gateway, "delivered", 10))
    assert len(stuck.arrived) == 2
    assert len(well.arrived) == 10


@pytest.mark.parametrize("error", [SystemExit(7), KeyboardInterrupt(), GeneratorExit(), BaseException("odd")], ids=repr)
async def test_whatever_a_sink_raises_is_a_failed_attempt(tmp_path: Path, error: BaseException) -> None:
    sink = make_sink()
    sink.script.append(error)
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        admission = gateway.dispatcher.admission
        first = await gateway.accept(order="1")
        await until(lambda: is_waiting(gateway, first))
        await gateway.turn()
        [runner] = gateway.dispatcher.runners.values()
        assert (admission.shares.calls_in_hand("acme"), admission.slots.free) == (0, TUNING.slots)
        assert (runner.state.running, runner.in_hand()) == (0, [])
        gateway.advance(60)
        await gateway.settle("delivered")
        ((attempt,),) = (await gateway.store.read_attempts(first)).values()
    assert (attempt.kind, attempt.reason) == (Kind.RETRY, f"{type(error).__name__}: {error}")


async def test_a_running_delivery_is_given_back_at_a_stop_without_a_failure(tmp_path: Path) -> None:
    async def hang(delivery: Delivery) -> None:
        await asyncio.Event().wait()

    sink = make_sink()
    sink.script.append(hang)
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        signal = await gateway.accept()
        await until(lambda: asyncio.sleep(0, bool(sink.arrived)))
        await gateway.dispatcher.stop(grace=0)
        (row,) = await gateway.store.list_deliveries(Filter(), 2)
        assert (row.state, row.leased_until, row.attempts) == ("pending", None, 0)
        assert not await gateway.store.read_attempts(signal)
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        await gateway.settle("delivered")
    assert ids(sink.arrived) == [signal, signal]


async def test_deliveries_committed_before_the_start_are_found(tmp_path: Path) -> None:
    sink = make_sink()
    async with dispatching(tmp_path, [(make_route(), sink)], start=False) as gateway:
        signal = await gateway.accept()
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        await gateway.settle("delivered")
    assert ids(sink.arrived) == [signal]


async def test_secrets_in_a_sinks_error_are_not_stored(tmp_path: Path) -> None:
    sink = make_sink()
    sink.script.append(Permanent("refused key s3cret"))
    redact = lambda text: text.replace("s3cret", "***")  # noqa: E731
    async with dispatching(tmp_path, [(make_route(), sink)], redact) as gateway:
        await gateway.accept()
        await gateway.settle("dead")
        (row,) = await gateway.store.list_deliveries(Filter(), 2)
    assert row.reason == "refused key ***"


async def test_a_sinks_state_is_saved_with_the_result_and_found_again(tmp_path: Path) -> None:
    seen: list[object] = []

    async def deliver(self: object, delivery: Delivery) -> None:
        seen.append(self.state.get("count", 0))  # type: ignore[attr-defined]
        self.state.set("count", len(seen))  # type: ignore[attr-defined]

    sink = make_sink(deliver=deliver)
    for order in ("1", "2"):
        async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
            await gateway.accept(order=order)
            await gateway.settle("delivered")
    assert seen == [0, 1]


async def test_a_batch_sink_gets_many_orders_in_one_call(tmp_path: Path) -> None:
    batches: list[list[str]] = []

    async def deliver_batch(self: object, deliveries: Sequence[Delivery]) -> list[Exception | None]:
        batches.append(orders_of(deliveries))
        return [Permanent("no") if d.signal.order == "3" else None for d in deliveries]

    sink = make_sink(deliver_batch=deliver_batch, batch=10)
    async with dispatching(tmp_path, [(make_route(concurrency=1), sink)], start=False) as gateway:
        accepted = {order: await gateway.accept(order=order) for order in "12345"}
        gateway.dispatcher.start()
        await gateway.settle("delivered", "dead")
        states = await gateway.states()
    assert batches == [list("12345")]
    assert [states[accepted[order], "erp"] for order in "12345"] == ["delivered"] * 2 + ["dead"] + ["delivered"] * 2


async def test_a_large_batch_lets_others_have_the_loop_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[Delivery] = []
    seen: list[int] = []
    tell = Runner._tell

    def count(self: Runner, delivery: Delivery, *rest: Any) -> None:
        judged.append(delivery)
        tell(self, delivery, *rest)

    def look() -> None:
        seen.append(len(judged))
        if len(judged) < 4 * JUDGED:
            asyncio.get_running_loop().call_soon(look)

    async def deliver_batch(self: object, deliveries: Sequence[Delivery]) -> None:
        assert len(deliveries) == 4 * JUDGED
        look()

    monkeypatch.setattr(Runner, "_tell", count)
    sink = make_sink(deliver_batch=deliver_batch, batch=4 * JUDGED)
    async with dispatching(tmp_path, [(make_route(concurrency=1), sink)], start=False) as gateway:
        for n in range(4 * JUDGED):
            await gateway.accept(order=str(n))
        gateway.dispatcher.start()
        await gateway.settle("delivered")
    assert {JUDGED, 2 * JUDGED, 3 * JUDGED} <= set(seen)


async def test_in_a_rush_of_requests_deliveries_take_a_part_of_the_time(tmp_path: Path) -> None:
    sink, tuning = make_sink(), Tuning(longest_give_way=0)
    each = tuning.rush_pace * tuning.cost(1, 1)
    async with dispatching(tmp_path, [(make_route(concurrency=1), sink)], start=False, tuning=tuning) as gateway:
        accepted = [await gateway.accept(order=str(n)) for n in range(20)]
        for _ in range(tuning.rush_requests):
            gateway.in_flight.begin()
        gateway.dispatcher.start()
        begins = int((tuning.throttle_credit + tuning.timer_resolution) / each) + 1
        for number in range(begins, len(accepted)):
            await gateway.settle_some(number)
            assert ids(sink.arrived) == accepted[:number]
            gateway.advance(each)
        for _ in range(tuning.rush_requests):
            gateway.in_flight.end()
        gateway.clock.at += tuning.traffic_lasts
        await gateway.settle("delivered")
    assert ids(sink.arrived) == accepted


async def test_deliveries_give_way_to_a_request_in_flight(tmp_path: Path) -> None:
    tuning = Tuning(longest_give_way=1000)
    called, answered = asyncio.Event(), asyncio.Event()

    async def wait(delivery: Delivery) -> None:
        called.set()
        await answered.wait()

    sink = make_sink()
    sink.script.append(wait)
    async with dispatching(tmp_path, [(make_route(), sink)], start=False, tuning=tuning) as gateway:
        await gateway.accept()
        gateway.in_flight.begin()
        gateway.dispatcher.start()
        await gateway.turn()
        assert not called.is_set()
        gateway.in_flight.end()
        await called.wait()
        gateway.in_flight.begin()
        answered.set()
        await gateway.turn()
        assert set((await gateway.states()).values()) == {"pending"}
        gateway.in_flight.end()
        await gateway.settle("delivered")


@pytest.mark.gen_test
async def test_ten_thousand_lanes_do_not_take_a_task_each(tmp_path: Path) -> None:
    most = 0

    async def count(delivery: Delivery) -> None:
        nonlocal most
        most = max(most, len(asyncio.all_tasks()))

    sink = make_sink()
    sink.script.extend([count] * 20_000)

    async def all_arrived() -> bool:
        return len(sink.arrived) == 10_001

    async with dispatching(tmp_path, [(make_route(concurrency=64), sink)], start=False) as gateway:
        await asyncio.gather(*(gateway.accept(order=str(n)) for n in range(10_000)))
        await gateway.accept(order="77", type="ItemDeliveryStarted")
        with capture_logs():
            gateway.dispatcher.start()
            await until(all_arrived)
    assert most < 2 * 64 + 20  # an attempt is a task, and its call is another
    assert [d.signal.type for d in sink.arrived if d.signal.order == "77"] == ["ItemShipped", "ItemDeliveryStarted"]


async def test_leases_on_a_shared_store_are_short_and_renewed_while_the_attempt_lasts(tmp_path: Path) -> None:
    tuning = Tuning(heartbeat=0.0)
    release = asyncio.Event()

    async def take_long(delivery: Delivery) -> None:
        await release.wait()

    sink = make_sink(timeout=3600.0)
    sink.script.append(take_long)
    async with dispatching(tmp_path, [(make_route(), sink)], start=False, tuning=tuning) as gateway:
        gateway.store.shared = True
        gateway.dispatcher.start()
        await gateway.accept()

        async def leased_until(seconds: float) -> bool:
            [row] = await gateway.store.list_deliveries(Filter(), 10)
            return row.leased_until == gateway.clock.at + seconds

        await until(lambda: leased_until(tuning.shared_lease))
        gateway.clock.at += 1000
        await until(lambda: leased_until(tuning.shared_lease))
        release.set()
        await gateway.settle("delivered")
    assert len(sink.arrived) == 1


async def test_a_sink_with_a_single_writer_waits_for_the_ownership_of_its_route(tmp_path: Path) -> None:
    tuning = Tuning(heartbeat=0.0)
    route = make_route()
    sink = make_sink(single_writer=True)
    async with dispatching(tmp_path, [(route, sink)], start=False, tuning=tuning) as gateway:
        gateway.store.shared = True
        await gateway.store.own_routes(
            [(route.account, route.name)], "another", gateway.clock.at, gateway.clock.at + 100
        )
        gateway.dispatcher.start()
        await gateway.accept()
        [runner] = gateway.dispatcher.runners.values()
        for _ in range(50):
            await gateway.store.check_writable()
        assert (sink.arrived, runner.state.slots(gateway.clock.at)) == ([], 0)
        gateway.advance(100)
        await gateway.settle("delivered")
        gateway.advance(1000)  # its time ran out, and another is quicker
        key = (route.account, route.name)
        while key not in await gateway.store.own_routes([key], "another", gateway.clock.at, gateway.clock.at + 100):
            gateway.advance(1000)

        async def closed() -> bool:
            await gateway.store.check_writable()
            return sink.events == ["open", "close"]

        await until(closed)
        gateway.advance(100)
        await gateway.accept(type="Another")
        await gateway.settle("delivered")
        assert sink.events == ["open", "close", "open"]
    assert sink.events == ["open", "close"] * 2


async def test_a_batch_is_not_cut_to_the_rest_of_a_claims_budget(tmp_path: Path) -> None:
    sizes: list[int] = []

    async def deliver_batch(self: Sink, deliveries: Sequence[Delivery]) -> None:
        sizes.append(len(deliveries))

    tuning = Tuning(claim_budget=TUNING.cost(100, 60))
    sink = make_sink(batch=60, deliver_batch=deliver_batch)

    async def all_taken() -> bool:
        return sum(sizes) == 180

    routes = [(make_route(name, tenant=name, account=name, concurrency=1, order="none"), sink) for name in "abc"]
    async with dispatching(tmp_path, routes, start=False, tuning=tuning) as gateway:
        for account in "abc":
            await asyncio.gather(*(gateway.accept(account, order=str(n)) for n in range(60)))
        with capture_logs():
            gateway.dispatcher.start()
            await until(all_taken)
    assert sizes == [60] * 3


async def test_a_look_at_the_store_that_takes_long_is_followed_by_a_long_rest(tmp_path: Path) -> None:
    """Else a gateway with very many routes would only look, and deliver nothing."""
    async with dispatching(tmp_path, [(make_route(), make_sink())], start=False) as gateway:
        looks = []
        real = gateway.store.read_next_due

        async def look_slowly(routes: Any) -> Any:
            looks.append(gateway.clock.at)
            gateway.clock.at += 3
            return await real(routes)

        gateway.store.read_next_due = look_slowly  # type: ignore[method-assign]
        dispatcher = gateway.dispatcher
        await dispatcher._poll()
        for _ in range(40):
            gateway.clock.at += 1
            await dispatcher._poll()
        assert [at - looks[0] for at in looks] == [0, 15, 30, 45]


async def test_a_notification_during_a_look_asks_for_another_look(tmp_path: Path) -> None:
    async with dispatching(tmp_path, [(make_route(), make_sink())], start=False) as gateway:
        looks = []
        real = gateway.store.read_next_due

        async def be_told(routes: Any) -> Any:
            looks.append(gateway.clock.at)
            if len(looks) == 1:
                gateway.dispatcher.on_notification([])
            return await real(routes)

        gateway.store.read_next_due = be_told  # type: ignore[method-assign]
        for _ in range(3):
            await gateway.dispatcher._poll()
        assert len(looks) == 2
