"""Marking deliveries as done: lines, quantities, backorders, wizards and reasons not to."""

import pytest

from gateway import signal_types
from gateway.sink import Permanent
from tests.unit.plugins.odoo_case import BOTH, Case

pytestmark = pytest.mark.gen_test

SHIPPED = signal_types.ITEM_SHIPPED


@pytest.mark.parametrize("version", BOTH)
async def test_a_line_is_shipped_and_the_rest_is_left_to_a_backorder(version):
    async with Case(version, mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001", [2, 1])
        await case.deliver(SHIPPED)
        first, backorder = case.odoo.transfers(order)
        assert (first["state"], first["carrier_tracking_ref"]) == ("done", "TRK1")
        assert (backorder["state"], backorder["carrier_tracking_ref"]) == ("assigned", False)
        assert case.states(order) == ["done", "assigned"]


@pytest.mark.parametrize("tracking", ["", None, " "])
async def test_an_item_without_a_tracking_number_is_shipped_and_the_note_says_so(tracking):
    async with Case(mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001", [2, 1])
        await case.deliver(SHIPPED, tracking=tracking, shipping_option=None)
        assert case.states(order) == ["done", "assigned"]
        assert case.tracking(order) == [False, False]
        assert "missing in the signal: tracking, shipping_option." in case.odoo.notes(order)[0]["body"]


@pytest.mark.parametrize("version", BOTH)
async def test_the_last_line_ships_its_backorder(version):
    async with Case(version, mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001", [2, 1])
        await case.deliver(SHIPPED, item_reference="2", tracking="TRK2")
        await case.deliver(SHIPPED, item_reference="1", tracking="TRK1")
        assert case.tracking(order) == ["TRK2", "TRK1"]
        assert case.states(order) == ["done", "done"]
        assert case.odoo.forced == []


async def test_one_parcel_with_two_lines_puts_its_number_on_both_transfers():
    async with Case(mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001", [1, 1])
        await case.deliver(SHIPPED, item_reference="1")
        await case.deliver(SHIPPED, item_reference="2")
        assert case.tracking(order) == ["TRK1", "TRK1"]


async def test_a_drop_shipment_gets_its_own_lines_number():
    async with Case(mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001", [1, 1], kinds=["outgoing", "dropship"])
        await case.deliver(SHIPPED, item_reference="2")
        assert case.tracking(order) == [False, "TRK1"]
        assert case.states(order) == ["assigned", "done"]


async def test_internal_and_cancelled_transfers_are_not_touched():
    async with Case() as case:
        order = case.odoo.add_order("PO-1001", [1, 1, 1], kinds=["internal", "outgoing"])
        case.odoo.moves(order)[2]["state"] = "cancel"
        await case.deliver(SHIPPED, item_reference="3")
        assert case.tracking(order) == [False, False]
        await case.deliver(SHIPPED, item_reference="99")
        assert case.tracking(order) == [False, "TRK1"]


@pytest.mark.parametrize("version", BOTH)
async def test_with_order_a_transfer_waits_for_its_last_line(version):
    async with Case(version, mark_delivered="order") as case:
        order = case.odoo.add_order("PO-1001", [2, 1])
        await case.deliver(SHIPPED, item_reference="1", tracking="TRK1")
        assert case.states(order) == ["assigned", "assigned"]
        assert "Not marked as delivered yet" in case.odoo.notes(order)[0]["body"]
        await case.deliver(SHIPPED, item_reference="2", tracking="TRK2")
        assert case.states(order) == ["done", "done"]
        assert case.tracking(order) == ["TRK1,TRK2"]
        assert "Not marked" not in case.odoo.notes(order)[1]["body"]


@pytest.mark.parametrize("mark", ["line", "order"])
async def test_without_line_match_a_single_line_is_shipped(mark):
    async with Case(mark_delivered=mark, line_match="none") as case:
        order = case.odoo.add_order("PO-1001", [3])
        await case.deliver(SHIPPED, item_reference="whatever")
        assert case.states(order) == ["done"]


@pytest.mark.parametrize("mark", ["line", "order"])
async def test_without_line_match_several_lines_are_never_shipped_by_one_items_signal(mark):
    async with Case(mark_delivered=mark, line_match="none") as case:
        order = case.odoo.add_order("PO-1001", [1, 1])
        await case.deliver(SHIPPED)
        assert case.states(order) == ["assigned", "assigned"]
        assert case.tracking(order) == ["TRK1"]
        assert "Not marked as delivered: the order has several lines" in case.odoo.notes(order)[0]["body"]


async def test_without_line_match_no_number_goes_on_one_of_several_transfers():
    async with Case(line_match="none") as case:
        order = case.odoo.add_order("PO-1001", [1, 1], kinds=["outgoing", "dropship"])
        await case.deliver(SHIPPED)
        assert case.tracking(order) == [False, False]
        assert "not saved on a delivery, because the order has several" in case.odoo.notes(order)[0]["body"]


async def test_lines_are_matched_by_product_code():
    async with Case(mark_delivered="line", line_match="default_code") as case:
        order = case.odoo.add_order("PO-1001", [1, 1], codes=["BOOK-A", "BOOK-B"])
        await case.deliver(SHIPPED, item_reference="BOOK-B")
        assert case.states(order) == ["assigned", "done"]


@pytest.mark.parametrize(
    ("codes", "reference", "reason"),
    [
        (["BOOK", "BOOK"], "BOOK", "ambiguous: several lines of order S00001"),
        (["BOOK-A", "BOOK-B"], "BOOK-C", r"no line of order S00001 matches the signal's item \(by default_code\)"),
    ],
)
async def test_a_code_of_two_lines_or_none_becomes_a_dead_letter(codes, reference, reason):
    async with Case(mark_delivered="line", line_match="default_code") as case:
        case.odoo.add_order("PO-1001", [1, 1], codes=codes)
        before = case.odoo.snapshot()
        with pytest.raises(Permanent, match=reason):
            await case.deliver(SHIPPED, item_reference=reference)
        assert case.odoo.snapshot() == before


@pytest.mark.parametrize("reference", ["7", "-1", "one", "٣", None])
async def test_an_unknown_line_is_a_dead_letter_only_when_marking(reference):
    async with Case(mark_delivered="line") as case:
        case.odoo.add_order("PO-1001", [1])
        with pytest.raises(Permanent, match=r"no line of order S00001 matches the signal's item \(by id\)"):
            await case.deliver(SHIPPED, item_reference=reference)
    async with Case() as case:
        order = case.odoo.add_order("PO-1001", [1])
        await case.deliver(SHIPPED, item_reference=reference)
        assert case.tracking(order) == ["TRK1"]


async def test_an_order_of_services_gets_a_note():
    async with Case() as case:
        order = case.odoo.add_order("PO-1001", stocked=False)
        await case.deliver(SHIPPED)
        assert "not saved on a delivery, because the order has none in Odoo" in case.odoo.notes(order)[0]["body"]


async def test_an_order_of_services_can_t_be_marked_delivered():
    async with Case(mark_delivered="line") as case:
        case.odoo.add_order("PO-1001", stocked=False)
        with pytest.raises(Permanent, match="no delivery for this item"):
            await case.deliver(SHIPPED)


# -- stock


# -- Odoo's answers and its work


@pytest.mark.parametrize("version", BOTH)
async def test_a_refusal_becomes_a_dead_letter_with_odoos_words(version, monkeypatch):
    async with Case(version, mark_delivered="line", force_quantity=True) as case:
        case.odoo.add_order("PO-1001", [0])
        with pytest.raises(Permanent, match="button_validate: Nothing is reserved"):
            await case.deliver(SHIPPED)
