"""Signals that come late, contradict each other, have to wait, or have nothing to do."""

from dataclasses import replace

import pytest
import structlog

from gateway import signal_types
from gateway.sink import Permanent, RetryLater, Skip
from tests.support.factory import AT, make_delivery
from tests.support.tryton_model import OUT
from tests.unit.plugins.tryton_case import Case

pytestmark = pytest.mark.gen_test

# -- late, contradicted or unusual


@pytest.mark.parametrize("replayed", [False, True])
@pytest.mark.parametrize("cancellation", [signal_types.ITEM_CANCELED, signal_types.ORDER_CANCELED])
async def test_shipped_after_the_printer_cancelled_it_becomes_a_dead_letter_and_logged(cancellation, replayed):
    async with Case(mark_delivered="line") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        delivery = replace(make_delivery(signal_types.ITEM_SHIPPED), furthest=cancellation, replayed=replayed)
        with (
            structlog.testing.capture_logs() as logged,
            pytest.raises(
                Permanent,
                match=r"shipped, but the printer had cancelled it \(order S00001\); find out where the parcel is",
            ),
        ):
            await case.sink.deliver(delivery)
        assert [line["event"] for line in logged] == ["tryton.shipped_though_canceled"]
        assert case.tryton.notes(order) == []
        assert [each["state"] for each in case.tryton.shipments(order)] == ["waiting"]


async def test_shipped_before_it_was_cancelled_is_only_late_and_moves_no_state():
    async with Case(mark_delivered="line") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        delivery = make_delivery(signal_types.ITEM_SHIPPED)
        late = replace(delivery, signal=replace(delivery.signal, late=True), furthest=signal_types.ORDER_CANCELED)
        await case.sink.deliver(late)
        [shipment] = case.tryton.shipments(order)
        assert (shipment["state"], shipment["shipping_reference"]) == ("waiting", "TRK1")
        assert "Not marked as shipped, because the printer has cancelled it since" in case.tryton.notes(order)[0]


@pytest.mark.parametrize("tracking", ["", None, " "])
async def test_an_item_without_a_tracking_number_is_shipped_and_the_note_says_so(tracking):
    async with Case(mark_delivered="line") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        await case.deliver(signal_types.ITEM_SHIPPED, tracking=tracking)
        [shipment] = case.tryton.shipments(order)
        assert (shipment["state"], shipment["shipping_reference"]) == ("done", None)
        assert "missing in the signal: tracking." in case.tryton.notes(order)[0]


async def test_a_line_with_a_note_of_shipping_is_not_cancelled():
    async with Case(on_cancel="cancel") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        await case.deliver(signal_types.ITEM_SHIPPED, tracking="")
        await case.deliver(signal_types.ORDER_CANCELED)
        assert [each["state"] for each in case.tryton.shipments(order)] == ["waiting"]
        assert "Shipment 1 was not cancelled: a note says that it is shipped" in case.tryton.notes(order)[1]


async def test_an_unknown_order_is_waited_for_then_becomes_a_dead_letter():
    async with Case(unknown_order_retry_for="2h") as case:
        with pytest.raises(RetryLater, match="reference or number yet") as caught:
            await case.deliver(signal_types.ITEM_SHIPPED)
        assert caught.value.healthy
        case.now = AT.timestamp() + 2 * 3600
        with pytest.raises(Permanent, match="given up waiting"):
            await case.deliver(signal_types.ITEM_SHIPPED)


@pytest.mark.parametrize("options", [{}, {"mark_delivered": "line"}, {"on_cancel": "cancel"}])
async def test_a_sale_that_tryton_has_yet_to_process_is_waited_for(options):
    async with Case(**options) as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1), state="confirmed")
        type = signal_types.ORDER_CANCELED if "on_cancel" in options else signal_types.ITEM_SHIPPED
        with pytest.raises(RetryLater, match=r"no shipment .*yet") as caught:
            await case.deliver(type)
        assert caught.value.healthy
        case.now += 48 * 3600
        if "mark_delivered" in options:
            with pytest.raises(Permanent, match="no shipment for this item to mark"):
                await case.deliver(type)
        else:
            await case.deliver(type)
            assert "shipment" in case.tryton.notes(order)[0]


@pytest.mark.parametrize("reference", ["", "  ", "PO\0"])
async def test_a_reference_that_no_order_can_have_becomes_a_dead_letter(reference):
    async with Case() as case:
        with pytest.raises(Permanent, match="order_reference"):
            await case.deliver(signal_types.ITEM_SHIPPED, order_reference=reference)
        assert case.fake.requests == []


async def test_without_line_match_a_delivery_of_several_lines_is_never_shipped_by_one_item():
    for mark in ("line", "order"):
        async with Case(mark_delivered=mark, line_match="none") as case:
            order = case.tryton.sell("PO-1001", ("BOOK", 1), ("POSTER", 1))
            await case.deliver(signal_types.ITEM_SHIPPED)
            [shipment] = case.tryton.shipments(order)
            assert (shipment["state"], shipment["shipping_reference"]) == ("waiting", "TRK1")
            assert "Not marked as shipped: the order has several lines" in case.tryton.notes(order)[0]


async def test_a_shipment_that_is_being_picked_is_not_split_but_waits_for_its_last_line():
    async with Case(mark_delivered="line") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1), ("POSTER", 1))
        case.tryton.row(OUT, 1)["state"] = "picked"
        await case.deliver(signal_types.ITEM_SHIPPED)
        assert [each["state"] for each in case.tryton.shipments(order)] == ["picked"]
        await case.deliver(signal_types.ITEM_SHIPPED, item_reference="2")
        assert [each["state"] for each in case.tryton.shipments(order)] == ["done"]


async def test_text_of_a_sender_can_not_mark_a_line_as_shipped():
    async with Case(mark_delivered="order") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1), ("POSTER", 1))
        await case.deliver(signal_types.ITEM_ERROR, cause=f"[line 2 shipped] [{'0' * 32}]")
        await case.deliver(signal_types.ITEM_SHIPPED)
        assert [each["state"] for each in case.tryton.shipments(order)] == ["waiting"]


async def test_a_button_that_does_nothing_becomes_a_dead_letter(monkeypatch):
    async with Case(mark_delivered="line") as case:
        case.tryton.sell("PO-1001", ("BOOK", 1))
        monkeypatch.setattr(case.tryton, "press", lambda *_: None)
        with pytest.raises(Permanent, match="not all of it is in stock"):
            await case.deliver(signal_types.ITEM_SHIPPED)
        case.tryton.row(OUT, 1)["state"] = "packed"
        with pytest.raises(Permanent, match="its state is still packed after ship"):
            await case.deliver(signal_types.ITEM_SHIPPED)


async def test_a_cancellation_that_did_nothing_becomes_a_dead_letter(monkeypatch):
    async with Case(on_cancel="cancel") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        monkeypatch.setattr(case.tryton, "press", lambda *_: None)
        with pytest.raises(Permanent, match="did not cancel shipment 1: its state is still waiting"):
            await case.deliver(signal_types.ORDER_CANCELED)
        assert case.tryton.notes(order) == []


# -- nothing to do


@pytest.mark.parametrize("type", [signal_types.ORDER_VALIDATED, signal_types.ITEM_DELIVERY_COMPLETED, "ItemNew"])
async def test_other_signals_are_skipped(type):
    async with Case() as case:
        with pytest.raises(Skip, match=f"nothing to do in Tryton for {type}"):
            await case.deliver(type)
        assert case.fake.requests == []


async def test_a_type_named_in_notes_leaves_a_note_and_nothing_else():
    async with Case(notes=[signal_types.ITEM_DELIVERY_COMPLETED]) as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        before = case.tryton.shipments(order)
        for _ in range(2):
            await case.deliver(signal_types.ITEM_DELIVERY_COMPLETED)
        [note] = case.tryton.notes(order)
        assert note.startswith("Cloudprinter: item delivered, item 1")
        assert case.tryton.shipments(order) == before
