"""The field for tracking numbers in both ERPs: several parcels, numbers with commas, and signals without a number."""

import asyncio

import pytest

from gateway import signal_types
from tests.unit.plugins import odoo_case, tryton_case

pytestmark = pytest.mark.gen_test

SHIPPED = signal_types.ITEM_SHIPPED
PAGE_3, PAGE_4 = "https://t.example/p?nr=1,2&x=3", "https://t.example/p?nr=1,2&x=4"


class Odoo(odoo_case.Case):
    def sell(self):
        self.order = self.odoo.add_order("PO-1001")

    def field(self):
        return self.tracking(self.order)[0] or ""

    def write_by_hand(self, text):
        self.odoo.transfers(self.order)[0]["carrier_tracking_ref"] = text

    def notes(self):
        return [note["body"].replace("&amp;", "&") for note in self.odoo.notes(self.order)]

    def is_shipped(self):
        return self.states(self.order) == ["done"]


class Tryton(tryton_case.Case):
    def sell(self):
        self.order = self.tryton.sell("PO-1001", ("BOOK", 1))

    def field(self):
        return self.tryton.shipments(self.order)[0]["shipping_reference"] or ""

    def write_by_hand(self, text):
        self.tryton.shipments(self.order)[0]["shipping_reference"] = text

    def notes(self):
        return self.tryton.notes(self.order)

    def is_shipped(self):
        return [shipment["state"] for shipment in self.tryton.shipments(self.order)] == ["done"]


CASES = {
    "Odoo 17": lambda **options: Odoo(17, **options),
    "Odoo 19": lambda **options: Odoo(19, **options),
    "Tryton 7.0": lambda **options: Tryton("7.0", **options),
    "Tryton 8.0": lambda **options: Tryton("8.0", **options),
}
each_erp = pytest.mark.parametrize("make", CASES.values(), ids=CASES)


@each_erp
@pytest.mark.parametrize(
    ("numbers", "field"),
    [
        ((PAGE_3, PAGE_4), f"{PAGE_3}, {PAGE_4}"),
        ((PAGE_3, "TRK1", PAGE_4), f"{PAGE_3}, TRK1, {PAGE_4}"),
        (("TRK1", "TRK2"), "TRK1,TRK2"),
        (("1Z 999 AA1", "1Z 999 AA2"), "1Z 999 AA1,1Z 999 AA2"),
        (("A;1", "A;2"), "A;1,A;2"),
        (("A,1", "A,2"), "A,1,A,2"),
        (("https://t.example/1", "https://t.example/12"), "https://t.example/1, https://t.example/12"),
        (("\tTRK1\n", "TRK1"), "TRK1"),
    ],
)
async def test_several_parcels_keep_their_numbers_whole(make, numbers, field):
    async with make() as case:
        case.sell()
        for _ in range(2):
            for order, number in enumerate(numbers):
                await case.deliver(SHIPPED, order=str(order), tracking=number)
        assert case.field() == field
        assert [" ".join(number.split()) in note for number, note in zip(numbers, case.notes(), strict=True)]


@each_erp
@pytest.mark.parametrize(
    ("by_hand", "field"),
    [
        ("HAND , OLD", f"HAND , OLD, {PAGE_3}"),
        (f"HAND; {PAGE_3}", f"HAND; {PAGE_3}"),
        (PAGE_3, PAGE_3),
        (f"{PAGE_3},", f"{PAGE_3},"),
        ("see the label", f"see the label, {PAGE_3}"),
    ],
)
async def test_what_a_person_wrote_stays_and_counts(make, by_hand, field):
    async with make() as case:
        case.sell()
        case.write_by_hand(by_hand)
        await case.deliver(SHIPPED, tracking=PAGE_3)
        await case.deliver(SHIPPED, order="2", tracking=PAGE_3)
        assert case.field() == field


@each_erp
@pytest.mark.parametrize("at", range(7))
async def test_a_number_is_there_once_whenever_the_attempt_is_cut(make, at):
    async with make() as case:
        case.sell()
        await case.deliver(SHIPPED, order="1", tracking=PAGE_3)
        await case.deliver_cut(at, True, SHIPPED, order="2", tracking=PAGE_4)
        await case.deliver(SHIPPED, order="3", tracking="TRK1")
        await case.deliver(SHIPPED, order="2", tracking=PAGE_4)
        assert sorted(case.field().split(", ")) == sorted([PAGE_3, PAGE_4, "TRK1"])
        assert len(case.notes()) == 3


@each_erp
async def test_parcels_at_the_same_time_lose_no_number(make):
    async with make() as case:
        case.sell()
        numbers = [f"https://t.example/p?nr=1,2&x={n}" for n in range(5)]
        await asyncio.gather(*(case.deliver(SHIPPED, order=number, tracking=number) for number in numbers))
        assert sorted(case.field().split(", ")) == numbers


@each_erp
@pytest.mark.parametrize("mark", ["none", "line", "order"])
@pytest.mark.parametrize("tracking", ["", None, " \t", "\0"])
async def test_a_signal_without_a_number_is_applied_and_the_note_says_so(make, mark, tracking):
    async with make(mark_delivered=mark) as case:
        case.sell()
        case.write_by_hand("HAND")
        for _ in range(2):
            await case.deliver(SHIPPED, tracking=tracking, shipping_option=None)
        assert case.field() == "HAND"
        [note] = case.notes()
        assert "The signal has no tracking number." in note
        assert case.is_shipped() == (mark != "none")


@each_erp
async def test_a_number_that_comes_after_an_incomplete_signal_is_added(make):
    async with make() as case:
        case.sell()
        await case.deliver(SHIPPED, tracking="")
        await case.deliver(SHIPPED, tracking="TRK1")
        assert case.field() == "TRK1"
        assert len(case.notes()) == 2
