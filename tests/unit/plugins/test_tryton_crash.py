"""An attempt that is cut short anywhere is repeated and leaves no trace; attempts of one sale run one after another."""

import asyncio

import pytest

from gateway import signal_types
from gateway.sink import RetryLater
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
    """Run an attempt, cut it at request `at` (if given) and repeat it. Return its requests and Tryton's records."""
    async with Case(series, **options) as case:
        case.tryton.forcing = True
        codes = sale.get("codes", ("BOOK", "POSTER"))
        case.tryton.sell("PO-1001", *((code, 2) for code in codes), **{k: v for k, v in sale.items() if k != "codes"})
        fields = {"item_reference": codes[0]} if options.get("line_match") == "code" else {}
        if at is not None:
            await case.deliver_cut(at, after, type, **fields)
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
    """An attempt for one line was cut after it had emptied the other line, whose signal comes next."""
    async with Case(mark_delivered="line") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 2), ("POSTER", 3))
        first, second = case.tryton.moves(OUT, 1)
        second["quantity"] = 0
        await case.deliver(signal_types.ITEM_SHIPPED, order="another", item_reference="2")
        brought = {each["state"]: case.tryton.moves(OUT, each["id"]) for each in case.tryton.shipments(order)}
        assert [move["quantity"] for move in brought["done"]] == [3.0]
        assert [move["quantity"] for move in brought["waiting"]] == [2.0]
        assert first["id"] not in case.tryton.tables["stock.move"]


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


async def test_a_button_that_somebody_pressed_first_counts(monkeypatch):
    async with Case(mark_delivered="line") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        press = case.tryton.press
        twice = lambda *args: (press(*args), press(*args))[1]  # noqa: E731
        monkeypatch.setattr(case.tryton, "press", twice)
        await case.deliver(signal_types.ITEM_SHIPPED)
        assert [each["state"] for each in case.tryton.shipments(order)] == ["done"]
