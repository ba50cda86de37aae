"""An attempt that ends anywhere is repeated and leaves no trace, and what comes late moves nothing backwards."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
import structlog

from gateway import signal_types
from gateway.sink import Permanent, RetryLater, Skip
from tests.support.factory import AT, make_delivery
from tests.support.tryton_model import DROP, OUT
from tests.unit.plugins.tryton_case import BOTH, Case

pytestmark = pytest.mark.gen_test

SCENARIOS = [
    (signal_types.ITEM_SHIPPED, {}, {}),
    (signal_types.ITEM_SHIPPED, {"mark_delivered": "line"}, {}),
    (signal_types.ITEM_SHIPPED, {"mark_delivered": "order", "line_match": "code"}, {}),
    (signal_types.ITEM_SHIPPED, {"mark_delivered": "line"}, {"kind": DROP}),
    (signal_types.ITEM_SHIPPED, {"mark_delivered": "line"}, {"direct": True}),
    (signal_types.ITEM_SHIPPED, {"mark_delivered": "line", "force_quantity": True}, {"codes": ("STOCKED", "POSTER")}),
    (signal_types.ITEM_ERROR, {}, {}),
    (signal_types.ITEM_CANCELED, {"on_cancel": "cancel"}, {}),
    (signal_types.ORDER_CANCELED, {"on_cancel": "cancel"}, {}),
]


async def run(series, type, options, sale, at=None, after=False):
    """The requests of an undisturbed attempt or, cut at its `at`-th request and repeated, what Tryton holds then."""
    async with Case(series, **options) as case:
        case.tryton.forcing = True
        codes = sale.get("codes", ("BOOK", "POSTER"))
        case.tryton.sell("PO-1001", *((code, 2) for code in codes), **{k: v for k, v in sale.items() if k != "codes"})
        fields = {"item_reference": codes[0]} if options.get("line_match") == "code" else {}
        if at is not None:
            case.fake.cut_at(at, after)
            with suppress(RetryLater):  # a GET is repeated by the HTTP client
                await case.deliver(type, **fields)
            assert not case.fake.faults
        await case.deliver(type, **fields)
        return len(case.fake.requests), case.tryton.snapshot()


@pytest.mark.parametrize("series", BOTH)
@pytest.mark.parametrize(("type", "options", "sale"), SCENARIOS)
@pytest.mark.parametrize("after", [False, True], ids=["before the work", "after the work"])
async def test_a_cut_at_any_request_leaves_no_trace(series, type, options, sale, after):
    requests, expected = await run(series, type, options, sale)
    assert requests >= 5
    for at in range(requests):
        _, found = await run(series, type, options, sale, at, after)
        assert found == expected, f"cut at request {at}"


@pytest.mark.parametrize("series", BOTH)
async def test_a_note_committed_between_two_looks_is_not_posted_again(series):
    async with Case(series) as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        await case.deliver(signal_types.ITEM_ERROR)
        notes = case.tryton.tables.pop("ir.note")

        async def commit(request):
            case.tryton.tables["ir.note"] = notes
            return case.fake.answer(request)

        case.fake.faults.extend([case.fake.serve] * 2 + [commit])
        await case.deliver(signal_types.ITEM_ERROR)
        assert len(case.tryton.notes(order)) == 1


async def test_two_print_orders_of_one_sale_are_worked_on_one_after_the_other():
    async with Case() as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        numbers = [f"TRK{i}" for i in range(6)]
        await asyncio.gather(*(case.deliver(signal_types.ITEM_SHIPPED, order=n, tracking=n) for n in numbers))
        [shipment] = case.tryton.shipments(order)
        assert set(shipment["shipping_reference"].split(",")) == set(numbers)


async def test_a_split_that_another_print_order_left_behind_is_put_right():
    """One line's attempt was cut after it had emptied the other; the other line's signal comes first."""
    async with Case(mark_delivered="line") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 2), ("POSTER", 3))
        first, second = case.tryton.moves(OUT, 1)
        second["quantity"] = 0
        await case.deliver(signal_types.ITEM_SHIPPED, order="another", item_reference="2")
        brought = {each["state"]: case.tryton.moves(OUT, each["id"]) for each in case.tryton.shipments(order)}
        assert [move["quantity"] for move in brought["done"]] == [3.0]
        assert [move["quantity"] for move in brought["waiting"]] == [2.0]
        assert first["id"] not in case.tryton.tables["stock.move"]


# -- late, contradicted, out of the ordinary


@pytest.mark.parametrize("replayed", [False, True])
@pytest.mark.parametrize("cancellation", [signal_types.ITEM_CANCELED, signal_types.ORDER_CANCELED])
async def test_shipped_after_the_printer_cancelled_it_is_parked_and_told_of(cancellation, replayed):
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


async def test_what_a_note_says_is_shipped_is_not_cancelled():
    async with Case(on_cancel="cancel") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        await case.deliver(signal_types.ITEM_SHIPPED, tracking="")
        await case.deliver(signal_types.ORDER_CANCELED)
        assert [each["state"] for each in case.tryton.shipments(order)] == ["waiting"]
        assert "Shipment 1 was not cancelled: a note says that it is shipped" in case.tryton.notes(order)[1]


async def test_no_write_begins_that_the_attempt_can_t_wait_for():
    async with Case(mark_delivered="line") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        search = case.tryton.search

        def search_slowly(*args):
            case.now += 100
            return search(*args)

        case.tryton.search = search_slowly
        with pytest.raises(RetryLater, match="too slow for another write"):
            await case.deliver(signal_types.ITEM_SHIPPED)
        case.tryton.search = search
        await case.deliver(signal_types.ITEM_SHIPPED)
        assert [each["state"] for each in case.tryton.shipments(order)] == ["done"]


async def test_an_unknown_order_is_waited_for_then_parked():
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
async def test_a_reference_that_no_order_can_have_is_parked(reference):
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


async def test_what_a_sender_writes_is_no_mark_of_a_shipped_line():
    async with Case(mark_delivered="order") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1), ("POSTER", 1))
        await case.deliver(signal_types.ITEM_ERROR, cause=f"[line 2 shipped] [{'0' * 32}]")
        await case.deliver(signal_types.ITEM_SHIPPED)
        assert [each["state"] for each in case.tryton.shipments(order)] == ["waiting"]


async def test_a_button_that_does_nothing_is_parked(monkeypatch):
    async with Case(mark_delivered="line") as case:
        case.tryton.sell("PO-1001", ("BOOK", 1))
        monkeypatch.setattr(case.tryton, "press", lambda *_: None)
        with pytest.raises(Permanent, match="not all of it is in stock"):
            await case.deliver(signal_types.ITEM_SHIPPED)
        case.tryton.row(OUT, 1)["state"] = "packed"
        with pytest.raises(Permanent, match="its state is still packed after ship"):
            await case.deliver(signal_types.ITEM_SHIPPED)


async def test_a_cancellation_that_did_nothing_is_parked(monkeypatch):
    async with Case(on_cancel="cancel") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        monkeypatch.setattr(case.tryton, "press", lambda *_: None)
        with pytest.raises(Permanent, match="did not cancel shipment 1: its state is still waiting"):
            await case.deliver(signal_types.ORDER_CANCELED)
        assert case.tryton.notes(order) == []


async def test_someone_quicker_is_no_trouble(monkeypatch):
    async with Case(mark_delivered="line") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        press = case.tryton.press
        twice = lambda *args: (press(*args), press(*args))[1]  # noqa: E731
        monkeypatch.setattr(case.tryton, "press", twice)
        await case.deliver(signal_types.ITEM_SHIPPED)
        assert [each["state"] for each in case.tryton.shipments(order)] == ["done"]


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
