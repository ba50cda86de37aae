"""The effect of each signal on an order, over both transports, delivered once and twice."""

import pytest

from gateway import signal_types
from gateway.sink import Permanent, RetryLater, Skip
from tests.support.factory import AT, make_delivery
from tests.support.odoo_records import SUBTYPES
from tests.unit.plugins.odoo_case import BOTH, CANCELLING, Case

pytestmark = pytest.mark.gen_test

EVENTS = [
    signal_types.ITEM_SHIPPED,
    signal_types.ITEM_ERROR,
    signal_types.ITEM_CANCELED,
    signal_types.ITEM_DELIVERY_FAILED,
    signal_types.ORDER_CANCELED,
]
ACTIVITIES = {
    signal_types.ITEM_ERROR: "Print error",
    signal_types.ITEM_CANCELED: "Printer cancelled an item",
    signal_types.ITEM_DELIVERY_FAILED: "Delivery failed",
    signal_types.ORDER_CANCELED: "Printer cancelled the order",
}


# -- defaults


@pytest.mark.parametrize("version", [17, 18, 19])
@pytest.mark.parametrize("type", EVENTS)
async def test_each_signal_leaves_one_internal_note(version, type):
    async with Case(version) as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(type)
        [note] = case.odoo.notes(order)
        key = make_delivery(type).key
        assert note["message_id"] == f"<{key}@cloudsignal.invalid>"
        assert note["subtype_id"] == SUBTYPES["mail.mt_note"]
        assert note["message_type"] == "comment"
        assert note["date"] == "2026-11-20 10:11:12"
        assert f"[{key[:12]}]" in note["body"]


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("type", ACTIVITIES)
async def test_trouble_calls_for_the_salesperson(version, type):
    async with Case(version) as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(type)
        [activity] = case.odoo.activities(order)
        assert activity["summary"] == f"{ACTIVITIES[type]} [{make_delivery(type).key[:12]}]"
        assert activity["user_id"] == case.odoo.seller
        assert case.odoo.row("sale.order", order)["state"] == "sale"


async def test_an_activity_is_due_when_the_delay_is_over():
    async with Case() as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ITEM_ERROR, delay="50")
        await case.deliver(signal_types.ITEM_ERROR, delay="soon")
        dates = [activity["date_deadline"] for activity in case.odoo.activities(order)]
        assert dates == ["2026-11-22", "2026-11-20"]


async def test_a_fixed_assignee_replaces_the_salesperson():
    async with Case(activity_user=2) as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ITEM_ERROR)
        assert case.odoo.activities(order)[0]["user_id"] == case.odoo.admin


@pytest.mark.parametrize("version", BOTH)
async def test_without_a_salesperson_the_activity_is_the_gateways_user(version):
    async with Case(version) as case:
        order = case.odoo.add_order("PO-1001", salesperson=False)
        await case.deliver(signal_types.ITEM_ERROR)
        assert case.odoo.activities(order)[0]["user_id"] == case.fake.user


@pytest.mark.parametrize("version", BOTH)
async def test_shipped_puts_the_tracking_number_on_the_transfer_and_the_url_in_the_note(version):
    async with Case(version) as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ITEM_SHIPPED, url="https://track.example/TRK1")
        assert case.tracking(order) == ["TRK1"]
        assert case.states(order) == ["assigned"]
        assert "tracking page: https://track.example/TRK1" in case.odoo.notes(order)[0]["body"]
        assert case.odoo.activities(order) == []


async def test_a_second_parcel_keeps_the_first_ones_number():
    async with Case() as case:
        order = case.odoo.add_order("PO-1001")
        for number in ("TRK1", "TRK2", "TRK1"):
            await case.deliver(signal_types.ITEM_SHIPPED, tracking=number, url=f"https://track.example/{number}")
        assert case.tracking(order) == ["TRK1,TRK2"]


async def test_a_number_entered_by_hand_is_kept():
    async with Case() as case:
        order = case.odoo.add_order("PO-1001")
        case.odoo.transfers(order)[0]["carrier_tracking_ref"] = "HAND , OLD"
        await case.deliver(signal_types.ITEM_SHIPPED)
        assert case.tracking(order) == ["HAND , OLD,TRK1"]


async def test_the_order_is_found_by_its_name_too():
    async with Case() as case:
        order = case.odoo.add_order("PO-1")
        await case.deliver(signal_types.ITEM_SHIPPED, order_reference="S00001")
        assert len(case.odoo.notes(order)) == 1


async def test_order_match_names_the_fields_of_the_reference():
    async with Case(order_match="name") as case:
        case.odoo.add_order("PO-1001")
        with pytest.raises(RetryLater, match="as name yet"):
            await case.deliver(signal_types.ITEM_SHIPPED)


# -- once and again


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("type", EVENTS)
@pytest.mark.parametrize("options", [{}, {"mark_delivered": "line", "on_cancel": "cancel"}])
async def test_the_same_delivery_again_changes_nothing(version, type, options):
    async with Case(version, CANCELLING, **options) as case:
        case.odoo.add_order("PO-1001", [2, 1])
        await case.deliver(type)
        once = case.odoo.snapshot()
        await case.deliver(type)
        assert case.odoo.snapshot() == once


# -- orders that the sink must not change


async def test_an_unknown_order_is_waited_for_then_becomes_a_dead_letter():
    async with Case(unknown_order_retry_for="2h") as case:
        with pytest.raises(RetryLater, match="client_order_ref or name yet"):
            await case.deliver(signal_types.ITEM_SHIPPED)
        case.now = AT.timestamp() + 2 * 3600
        with pytest.raises(Permanent, match="given up waiting"):
            await case.deliver(signal_types.ITEM_SHIPPED)
        case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ITEM_SHIPPED)


@pytest.mark.parametrize(
    ("orders", "reason"),
    [
        ([{}, {}], "ambiguous: several orders match"),
        ([{}, {}, {"state": "cancel"}], "ambiguous: several orders match"),
        ([{}, {"state": "draft"}], "ambiguous: several orders match"),
        ([{"state": "cancel"}, {"state": "cancel"}], "ambiguous: several orders match"),
        ([{"state": "cancel"}], "shipped, but order S00001 is cancelled in Odoo"),
    ],
)
async def test_orders_that_become_dead_letters_are_left_alone(orders, reason):
    async with Case() as case:
        for order in orders:
            case.odoo.add_order("PO-1001", **order)
        before = case.odoo.snapshot()
        with pytest.raises(Permanent, match=reason):
            await case.deliver(signal_types.ITEM_SHIPPED)
        assert case.odoo.snapshot() == before


async def test_a_signal_without_a_reference_becomes_a_dead_letter():
    async with Case() as case:
        with pytest.raises(Permanent, match="no order_reference"):
            await case.deliver(signal_types.ITEM_SHIPPED, order_reference="")
        assert case.fake.requests == []


# -- notes on request, and nothing to do


@pytest.mark.parametrize(
    "type", [signal_types.ORDER_VALIDATED, signal_types.ITEM_PRODUCED, signal_types.ITEM_DELIVERY_COMPLETED, "ItemNew"]
)
async def test_other_signals_are_skipped(type):
    async with Case() as case:
        with pytest.raises(Skip, match=f"nothing to do in Odoo for {type}"):
            await case.deliver(type)
        assert case.fake.requests == []


async def test_a_type_named_in_notes_leaves_a_note_and_nothing_else():
    async with Case(notes=[signal_types.ITEM_PRODUCED]) as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ITEM_PRODUCED)
        await case.deliver(signal_types.ITEM_PRODUCED)
        [note] = case.odoo.notes(order)
        assert "Cloudprinter: item produced, item 1." in note["body"]
        assert case.odoo.activities(order) == []


# -- cancellation


@pytest.mark.parametrize("version", BOTH)
async def test_on_cancel_cancels_an_order_without_deliveries(version):
    async with Case(version, groups=CANCELLING, on_cancel="cancel") as case:
        order = case.odoo.add_order("PO-1001", [1, 2])
        await case.deliver(signal_types.ORDER_CANCELED)
        assert case.odoo.row("sale.order", order)["state"] == "cancel"
        assert case.states(order) == ["cancel", "cancel"]
        assert "The order was cancelled in Odoo." in case.odoo.notes(order)[0]["body"]
        assert case.odoo.activities(order) == []


async def test_an_items_cancellation_never_cancels_the_order():
    async with Case(on_cancel="cancel") as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ITEM_CANCELED)
        assert case.odoo.row("sale.order", order)["state"] == "sale"


async def test_a_cancellation_that_odoo_only_says_it_made_becomes_a_dead_letter(monkeypatch):
    async with Case(on_cancel="cancel") as case:
        order = case.odoo.add_order("PO-1001")
        monkeypatch.setattr(case.odoo, "do_action_cancel", lambda *_: {"res_model": "sale.order.cancel"})
        with pytest.raises(Permanent, match="did not cancel order S00001"):
            await case.deliver(signal_types.ORDER_CANCELED)
        assert case.odoo.notes(order) == []
