"""Marking deliveries as done: lines, quantities, backorders, wizards and what forbids it."""

import pytest

from gateway import model
from gateway.sink import Permanent
from tests.unit.plugins.odoo_case import BOTH, Case

pytestmark = pytest.mark.gen_test

SHIPPED = model.ITEM_SHIPPED


@pytest.mark.parametrize("version", BOTH)
async def test_a_line_is_shipped_and_the_rest_is_left_to_a_backorder(version):
    async with Case(version, mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001", [2, 1])
        await case.deliver(SHIPPED)
        first, backorder = case.odoo.transfers(order)
        assert (first["state"], first["carrier_tracking_ref"]) == ("done", "TRK1")
        assert (backorder["state"], backorder["carrier_tracking_ref"]) == ("assigned", False)
        assert case.states(order) == ["done", "assigned"]


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
        assert "on no delivery: the order has several" in case.odoo.notes(order)[0]["body"]


async def test_lines_are_matched_by_product_code():
    async with Case(mark_delivered="line", line_match="default_code") as case:
        order = case.odoo.add_order("PO-1001", [1, 1], codes=["BOOK-A", "BOOK-B"])
        await case.deliver(SHIPPED, item_reference="BOOK-B")
        assert case.states(order) == ["assigned", "done"]


@pytest.mark.parametrize(
    ("codes", "reference", "reason"),
    [
        (["BOOK", "BOOK"], "BOOK", "ambiguous: several lines of order S00001"),
        (["BOOK-A", "BOOK-B"], "BOOK-C", r"no line of order S00001 is the signal's item \(default_code\)"),
    ],
)
async def test_a_code_of_two_lines_or_none_is_parked(codes, reference, reason):
    async with Case(mark_delivered="line", line_match="default_code") as case:
        case.odoo.add_order("PO-1001", [1, 1], codes=codes)
        before = case.odoo.snapshot()
        with pytest.raises(Permanent, match=reason):
            await case.deliver(SHIPPED, item_reference=reference)
        assert case.odoo.snapshot() == before


@pytest.mark.parametrize("reference", ["7", "-1", "one", "٣", None])
async def test_an_item_that_is_no_line_of_the_order_is_parked_only_where_it_matters(reference):
    async with Case(mark_delivered="line") as case:
        case.odoo.add_order("PO-1001", [1])
        with pytest.raises(Permanent, match=r"no line of order S00001 is the signal's item \(id\)"):
            await case.deliver(SHIPPED, item_reference=reference)
    async with Case() as case:
        order = case.odoo.add_order("PO-1001", [1])
        await case.deliver(SHIPPED, item_reference=reference)
        assert case.tracking(order) == ["TRK1"]


async def test_an_order_of_services_gets_a_note():
    async with Case() as case:
        order = case.odoo.add_order("PO-1001", stocked=False)
        await case.deliver(SHIPPED)
        assert "no delivery in Odoo to put the tracking number on" in case.odoo.notes(order)[0]["body"]


async def test_an_order_of_services_can_t_be_marked_delivered():
    async with Case(mark_delivered="line") as case:
        case.odoo.add_order("PO-1001", stocked=False)
        with pytest.raises(Permanent, match="no delivery for this item"):
            await case.deliver(SHIPPED)


# -- stock


@pytest.mark.parametrize("reserved", [0, 2])
async def test_what_is_not_reserved_is_not_shipped_but_keeps_its_number(reserved):
    async with Case(mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001", [3], reserved=[reserved])
        with pytest.raises(Permanent, match=f"{reserved} of 3 reserved"):
            await case.deliver(SHIPPED)
        assert case.states(order) == ["confirmed"]
        assert case.tracking(order) == ["TRK1"]
        assert case.odoo.notes(order) == case.odoo.forced == []
        case.odoo.moves(order)[0]["quantity"] = 3.0
        await case.deliver(SHIPPED)
        assert case.states(order) == ["done"]


async def test_force_quantity_ships_what_is_not_reserved():
    async with Case(mark_delivered="line", force_quantity=True) as case:
        order = case.odoo.add_order("PO-1001", [3], reserved=[0])
        await case.deliver(SHIPPED)
        assert case.states(order) == ["done"]
        assert case.odoo.forced == [1]


# -- what Odoo says and what it does


@pytest.mark.parametrize("version", BOTH)
async def test_a_wizard_after_the_work_is_a_success(version):
    async with Case(version, mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001")
        case.odoo.wizard_after = True
        await case.deliver(SHIPPED)
        assert case.states(order) == ["done"]
        assert len(case.odoo.notes(order)) == 1


@pytest.mark.parametrize("version", BOTH)
async def test_a_wizard_in_place_of_the_work_is_parked_by_name(version):
    async with Case(version, mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001")
        case.odoo.wizard_instead = True
        with pytest.raises(Permanent, match=r"not validated: Odoo asked for confirm\.stock\.sms"):
            await case.deliver(SHIPPED)
        assert case.odoo.notes(order) == []


async def test_a_success_without_the_work_is_parked(monkeypatch):
    async with Case(mark_delivered="line") as case:
        case.odoo.add_order("PO-1001")
        monkeypatch.setattr(case.odoo, "do_button_validate", lambda *_: True)
        with pytest.raises(Permanent, match="Odoo left it open"):
            await case.deliver(SHIPPED)


@pytest.mark.parametrize("version", BOTH)
async def test_a_refusal_is_parked_with_odoos_words(version, monkeypatch):
    async with Case(version, mark_delivered="line", force_quantity=True) as case:
        case.odoo.add_order("PO-1001", [0])
        with pytest.raises(Permanent, match="button_validate: Nothing is reserved"):
            await case.deliver(SHIPPED)


@pytest.mark.parametrize("version", BOTH)
async def test_a_transfer_that_someone_else_validates_meanwhile_counts_as_done(version):
    async with Case(version, mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001")
        call = case.odoo.do_button_validate
        twice = lambda *args: (call(*args), call(*args))[1]  # noqa: E731
        case.odoo.do_button_validate = twice
        await case.deliver(SHIPPED)
        assert len(case.odoo.notes(order)) == 1


@pytest.mark.parametrize("version", BOTH)
async def test_tracking_is_written_before_validating(version):
    async with Case(version, mark_delivered="line") as case:
        case.odoo.add_order("PO-1001")
        await case.deliver(SHIPPED)
        writes = [c for c in case.fake.calls() if not c.endswith(("read", "search_read"))]
        assert writes == [
            "stock.picking/write",
            "stock.move/write",
            "stock.picking/button_validate",
            "sale.order/message_post",
        ]


# -- never backwards


async def test_late_and_repeated_news_of_a_delivered_order_change_no_state():
    async with Case(groups=("inventory", "sales"), mark_delivered="line", on_cancel="cancel") as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(SHIPPED)
        await case.deliver(SHIPPED, tracking="TRK2")
        await case.deliver(model.ORDER_CANCELED)
        assert case.states(order) == ["done"]
        assert case.tracking(order) == ["TRK1,TRK2"]
        assert case.odoo.row("sale.order", order)["state"] == "sale"
        assert len(case.odoo.activities(order)) == 1


async def test_shipped_after_an_automatic_cancellation_is_parked():
    async with Case(groups=("inventory", "sales"), on_cancel="cancel") as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(model.ORDER_CANCELED)
        with pytest.raises(Permanent, match="order S00001 is cancelled"):
            await case.deliver(SHIPPED)
        assert case.tracking(order) == [False]
