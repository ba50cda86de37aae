"""Late, repeated and contradicting signals move nothing backwards, given the furthest type that the store knows."""

from __future__ import annotations

from dataclasses import replace

import pytest
import structlog.testing
import voluptuous as vol

from cloudsignal_odoo import OdooSink, overtaken
from gateway import signal_types
from gateway.model import Delivery
from gateway.sink import Misconfigured, Permanent
from gateway.store.values import Filter
from tests.support.factory import make_delivery, make_signal
from tests.support.fake_odoo import DATABASE, KEY, FakeOdoo
from tests.unit.dispatch.harness import dispatching, make_route
from tests.unit.plugins.odoo_case import BOTH, CANCELLING, Case

pytestmark = pytest.mark.gen_test

SHIPPED = signal_types.ITEM_SHIPPED
COMPLETED = signal_types.ITEM_DELIVERY_COMPLETED


def known(type: str, furthest: str, *, late: bool = False, replayed: bool = False, **fields: str) -> Delivery:
    """Return a delivery as the store hands it out when the order is known to be at `furthest`."""
    signal = replace(make_signal(type, **fields), late=late)
    return replace(make_delivery(signal=signal), furthest=furthest, replayed=replayed)


# -- the rules


@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        (known(signal_types.ITEM_ERROR, signal_types.ITEM_ERROR), ""),
        (known(signal_types.ITEM_ERROR, SHIPPED, late=True), SHIPPED),
        (known(signal_types.ITEM_ERROR, COMPLETED, replayed=True), COMPLETED),
        (known(signal_types.ITEM_ERROR, SHIPPED), ""),  # failed after shipping
        (known(signal_types.ITEM_ERROR, signal_types.ITEM_PRODUCED, late=True), ""),  # may still be in production
        (known(signal_types.ITEM_DELIVERY_FAILED, COMPLETED, late=True), COMPLETED),
        (known(signal_types.ITEM_DELIVERY_FAILED, signal_types.ITEM_DELIVERY_FAILED, late=True), ""),
        (known(signal_types.ITEM_CANCELED, signal_types.ORDER_CANCELED, late=True), signal_types.ORDER_CANCELED),
        (known("ItemNew", "ItemNew", late=True), ""),
    ],
)
def test_trouble_is_overcome_where_it_is_old_and_the_item_is_past_it(delivery, expected):
    assert overtaken.resolved_by(delivery) == expected


@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        (known(SHIPPED, SHIPPED), ""),
        (known(SHIPPED, COMPLETED, late=True), ""),
        (known(SHIPPED, signal_types.ITEM_CANCELED), "item"),
        (known(SHIPPED, signal_types.ORDER_CANCELED, late=True), "order"),
        (known(signal_types.ORDER_CANCELED, signal_types.ORDER_CANCELED), ""),
    ],
)
def test_a_shipped_signal_finds_an_earlier_cancellation(delivery, expected):
    assert overtaken.canceled_scope(delivery) == expected


# -- trouble


@pytest.mark.parametrize("version", BOTH)
async def test_a_late_error_of_a_delivered_item_leaves_a_note_and_no_activity(version):
    async with Case(version) as case:
        order = case.odoo.add_order("PO-1001")
        await case.sink.deliver(known(signal_types.ITEM_ERROR, COMPLETED, late=True))
        assert case.odoo.activities(order) == []
        assert (
            "No activity was created, because a later signal had arrived: item delivered."
            in case.odoo.notes(order)[0]["body"]
        )


async def test_a_fresh_error_of_a_shipped_item_calls_a_person():
    async with Case() as case:
        order = case.odoo.add_order("PO-1001")
        await case.sink.deliver(known(signal_types.ITEM_ERROR, SHIPPED))
        assert len(case.odoo.activities(order)) == 1


# -- shipped


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("mark", ["none", "line"])
async def test_a_late_shipped_after_delivered_brings_its_number(version, mark):
    async with Case(version, mark_delivered=mark, notes=[COMPLETED]) as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(COMPLETED)
        await case.sink.deliver(known(SHIPPED, COMPLETED, late=True))
        assert case.tracking(order) == ["TRK1"]
        assert case.states(order) == ["assigned" if mark == "none" else "done"]
        assert len(case.odoo.notes(order)) == 2


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("mark", ["none", "line", "order"])
async def test_late_and_repeated_news_of_a_delivered_order_change_no_state(version, mark):
    async with Case(version, CANCELLING, mark_delivered=mark, on_cancel="cancel") as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(SHIPPED)
        states = case.states(order)
        await case.deliver(SHIPPED, tracking="TRK2")
        await case.deliver(SHIPPED)
        await case.deliver(signal_types.ORDER_CANCELED)
        assert case.states(order) == states
        assert case.tracking(order) == ["TRK1,TRK2"]
        assert case.odoo.row("sale.order", order)["state"] == "sale"
        assert len(case.odoo.activities(order)) == 1


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("replayed", [False, True])
@pytest.mark.parametrize(
    ("state", "furthest", "reason"),
    [
        ("cancel", SHIPPED, "shipped, but order S00001 is cancelled in Odoo; find out where the parcel is"),
        ("cancel", signal_types.ORDER_CANCELED, "shipped, but order S00001 is cancelled"),
        (
            "sale",
            signal_types.ORDER_CANCELED,
            r"shipped, but the printer had cancelled the order \(order S00001\); find out",
        ),
        ("sale", signal_types.ITEM_CANCELED, "shipped, but the printer had cancelled the item"),
    ],
)
async def test_shipped_after_a_cancellation_is_a_dead_letter_and_is_logged(version, replayed, state, furthest, reason):
    async with Case(version, mark_delivered="line") as case:
        case.odoo.add_order("PO-1001", state=state)
        before = case.odoo.snapshot()
        with structlog.testing.capture_logs() as events, pytest.raises(Permanent, match=reason) as caught:
            await case.sink.deliver(known(SHIPPED, furthest, replayed=replayed))
        assert case.odoo.snapshot() == before
        [event] = events
        assert (event["event"], event["log_level"]) == ("odoo.shipped_though_canceled", "warning")
        assert (event["reason"], event["order"]) == (str(caught.value), make_signal().order)


async def test_shipped_after_an_automatic_cancellation_becomes_a_dead_letter():
    async with Case(groups=CANCELLING, on_cancel="cancel") as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ORDER_CANCELED)
        with pytest.raises(Permanent, match="order S00001 is cancelled"):
            await case.deliver(SHIPPED)
        assert case.tracking(order) == [False]


async def test_a_second_parcel_of_a_done_delivery_ships_nothing_again():
    async with Case(mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(SHIPPED)
        asked = len(case.fake.calls())
        await case.deliver(SHIPPED, tracking="TRK2")
        assert case.tracking(order) == ["TRK1,TRK2"]
        writes = [call for call in case.fake.calls()[asked:] if not call.endswith(("read", "search_read"))]
        assert writes == ["stock.picking/write", "sale.order/message_post"]


# -- cancelled


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize(
    "how",
    [
        {"lines": [1]},
        {"lines": [1], "tracking": ""},
        {"lines": [1, 1], "kinds": ["outgoing", "dropship"], "item_reference": "99"},
        {"lines": [1], "stocked": False},
    ],
    ids=["a number", "no number", "a number on no delivery", "services"],
)
async def test_an_order_shipped_but_not_marked_delivered_is_not_cancelled(version, how):
    signal = {name: value for name, value in how.items() if name in {"tracking", "item_reference"}}
    how = {name: value for name, value in how.items() if name not in signal}
    async with Case(version, CANCELLING, on_cancel="cancel") as case:
        order = case.odoo.add_order("PO-1001", **how)
        other = case.odoo.add_order("PO-2", **how)
        await case.deliver(SHIPPED, **signal)
        await case.deliver(signal_types.ORDER_CANCELED)
        assert case.odoo.row("sale.order", order)["state"] == "sale"
        assert "Not cancelled in Odoo: at least one item has been shipped." in case.odoo.notes(order)[-1]["body"]
        assert len(case.odoo.activities(order)) == 1
        await case.deliver(signal_types.ORDER_CANCELED, order_reference="PO-2")
        assert case.odoo.row("sale.order", other)["state"] == "cancel"


async def test_on_19_a_user_without_the_right_to_cancel_stops_the_route_and_cancels_nothing():
    async with Case(on_cancel="cancel") as case:
        order = case.odoo.add_order("PO-1001")
        with pytest.raises(Misconfigured, match="action_cancel: You may not cancel"):
            await case.deliver(signal_types.ORDER_CANCELED)
        assert case.odoo.row("sale.order", order)["state"] == "sale"
        assert case.odoo.notes(order) == []


# -- from the store to Odoo


async def test_the_store_knows_late_and_cancelled_signals(tmp_path):
    fake = FakeOdoo()
    fake.start()
    first, second = fake.odoo.add_order("PO-1"), fake.odoo.add_order("PO-2")
    given = {"url": fake.url, "database": DATABASE, "api_key": KEY, "mark_delivered": "line", "line_match": "none"}
    route = make_route(sink="odoo", options=vol.Schema(dict(OdooSink.options))(given))
    async with dispatching(tmp_path, [(route, OdooSink)]) as run:
        for order, type, hour in (
            ("1", COMPLETED, 15),
            ("1", signal_types.ITEM_ERROR, 9),
            ("1", SHIPPED, 12),
            ("2", signal_types.ORDER_CANCELED, 10),
            ("2", SHIPPED, 12),
        ):
            moment = f"2026-11-20T{hour:02}:00:00+00:00"
            await run.accept(order=order, order_reference=f"PO-{order}", type=type, datetime=moment)
        await run.settle("delivered", "filtered", "dead")
        async for _ in run.store.replay(Filter(state="dead"), run.clock.at):
            pass
        run.advance(1)
        await run.settle("delivered", "filtered", "dead")
        [dead] = await run.store.list_deliveries(Filter(state="dead"), 10)
    await fake.stop()
    assert [move["state"] for order in (first, second) for move in fake.odoo.moves(order)] == ["done", "assigned"]
    assert [len(fake.odoo.notes(order)) for order in (first, second)] == [2, 1]
    assert [len(fake.odoo.activities(order)) for order in (first, second)] == [0, 1]
    assert (
        dead.reason == "shipped, but the printer had cancelled the order (order S00002); find out where the parcel is"
    )
