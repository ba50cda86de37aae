"""Odoo's pitfalls with deliveries, found on real servers, by their number in the plugin's README."""

import pytest

from gateway import signal_types
from gateway.sink import Permanent
from tests.unit.plugins.odoo_case import BOTH, Case

pytestmark = pytest.mark.gen_test

SHIPPED = signal_types.ITEM_SHIPPED


# -- 1: the success of button_validate proves nothing


@pytest.mark.parametrize("version", BOTH)
async def test_a_wizard_after_the_work_is_a_success(version):
    async with Case(version, mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001")
        case.odoo.wizard_after = True
        await case.deliver(SHIPPED)
        assert case.states(order) == ["done"]
        assert len(case.odoo.notes(order)) == 1


@pytest.mark.parametrize("version", BOTH)
async def test_a_wizard_in_place_of_the_work_becomes_a_dead_letter_by_name(version):
    async with Case(version, mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001")
        case.odoo.wizard_instead = True
        with pytest.raises(Permanent, match=r"not validated: Odoo asked for confirm\.stock\.sms"):
            await case.deliver(SHIPPED)
        assert case.odoo.notes(order) == []


async def test_a_success_without_the_work_becomes_a_dead_letter(monkeypatch):
    async with Case(mark_delivered="line") as case:
        case.odoo.add_order("PO-1001")
        monkeypatch.setattr(case.odoo, "do_button_validate", lambda *_: True)
        with pytest.raises(Permanent, match="Odoo left it open"):
            await case.deliver(SHIPPED)


@pytest.mark.parametrize("version", BOTH)
async def test_known_wizards_are_skipped(version):
    """Odoo offers neither a backorder nor a text message for a partial delivery to a customer with a phone."""
    async with Case(version, mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001", [1, 1], phone=True)
        await case.deliver(SHIPPED)
        assert case.states(order) == ["done", "assigned"]


# -- 2: a second validation is a success on 19 and refused on 17


@pytest.mark.parametrize("version", BOTH)
async def test_a_transfer_that_someone_else_validates_meanwhile_counts_as_done(version):
    async with Case(version, mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001")
        call = case.odoo.do_button_validate
        twice = lambda *args: (call(*args), call(*args))[1]  # noqa: E731
        case.odoo.do_button_validate = twice
        await case.deliver(SHIPPED)
        assert len(case.odoo.notes(order)) == 1


# -- 9: the confirmation mail contains only numbers written before the validation


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


# -- 12: more than is reserved can be shipped, and makes the stock negative


@pytest.mark.parametrize("reserved", [0, 2])
async def test_unreserved_goods_are_not_shipped_but_keep_their_number(reserved):
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


async def test_force_quantity_ships_unreserved_goods():
    async with Case(mark_delivered="line", force_quantity=True) as case:
        order = case.odoo.add_order("PO-1001", [3], reserved=[0])
        await case.deliver(SHIPPED)
        assert case.states(order) == ["done"]
        assert case.odoo.forced == [1]


async def test_goods_reserved_up_to_a_rounding_are_shipped():
    async with Case(mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001", [0.3], reserved=[0.1 + 0.2 - 1e-9])
        await case.deliver(SHIPPED)
        assert case.states(order) == ["done"]


# -- 13: two numbers joined by a comma make no link


async def test_each_parcels_page_is_in_its_note():
    async with Case() as case:
        order = case.odoo.add_order("PO-1001")
        for number in ("TRK1", "TRK2"):
            await case.deliver(SHIPPED, tracking=number, url=f"https://track.example/{number}")
        assert case.tracking(order) == ["TRK1,TRK2"]
        bodies = [note["body"] for note in case.odoo.notes(order)]
        assert ["https://track.example/TRK1" in bodies[0], "https://track.example/TRK2" in bodies[1]] == [True, True]
