"""The effect of each signal on a real Tryton, over both transports, delivered once and twice."""

import pytest

from gateway import signal_types
from gateway.sink import Misconfigured, Permanent, RetryLater, Skip
from tests.acceptance.tryton_case import SHIPPED, Case, delivery_of, new_reference

pytestmark = pytest.mark.gen_test


@pytest.fixture
def transport(tryton):
    """Return the best transport that the server has."""
    return "rest" if tryton.series >= "8" else "jsonrpc"


@pytest.fixture(params=["rest", "jsonrpc"])
def each_transport(request, tryton):
    if request.param == "rest" and tryton.series < "8":
        pytest.skip("REST is there from 8.0 on")
    return request.param


async def twice(case, *signal, **fields):
    """Deliver twice, check that the second time changes nothing, and return the order's state."""
    await case.deliver(*signal, **fields)
    (order,) = case.tryton.search("sale.sale", [["reference", "=", signal[1]]])
    once = case.tryton.picture(order["id"])
    await case.deliver(*signal, **fields)
    assert case.tryton.picture(order["id"]) == once
    return once


@pytest.mark.parametrize(
    "type",
    [
        signal_types.ITEM_ERROR,
        signal_types.ITEM_DELIVERY_FAILED,
        signal_types.ITEM_CANCELED,
        signal_types.ORDER_CANCELED,
    ],
)
async def test_trouble_leaves_one_note(tryton, transport, type):
    async with Case(tryton, transport) as case:
        reference, cause = new_reference(), "file <b>x</b> & more\0\nsecond line"
        order = tryton.sell(reference, ("BOOK", 2))
        _, _, shipments, notes = await twice(case, type, reference, cause=cause)
        assert [state for state, _, _ in shipments] == ["waiting"]
        assert len(notes) == 1
        [note] = tryton.notes(order)
        assert "file <b>x</b> & more second line" in note
        assert note.endswith(f" [{delivery_of(type, reference, cause=cause).key}]")


async def test_shipped_puts_the_tracking_number_on_the_shipment(tryton, each_transport):
    async with Case(tryton, each_transport) as case:
        reference = new_reference()
        order = tryton.sell(reference, ("BOOK", 2))
        [line] = tryton.lines(order)
        _, _, shipments, notes = await twice(case, SHIPPED, reference, line, url="https://track.example/TRK1")
        assert shipments == [("waiting", ["TRK1"], [("BOOK", 2.0)])]
        assert notes == [
            "Cloudprinter: item shipped, item #, shipping option: postal, tracking number: TRK1, "
            "tracking page: https://track.example/TRK1. Print order 21034900000000. [line # shipped] [key]"
        ]


async def test_a_second_parcel_keeps_the_first_ones_number(tryton, transport):
    async with Case(tryton, transport) as case:
        reference = new_reference()
        order = tryton.sell(reference, ("BOOK", 2))
        for number in ("TRK1", "TRK2", "TRK1"):
            await case.deliver(SHIPPED, reference, tracking=number, url=f"https://track.example/{number}")
        [shipment] = tryton.shipments(order)
        assert shipment["tracking"] == "TRK1,TRK2"


async def test_marking_an_order_runs_the_states_to_done(tryton, transport):
    async with Case(tryton, transport, mark_delivered="order") as case:
        reference = new_reference()
        order = tryton.sell(reference, ("BOOK", 2), ("DESIGN", 1))
        line = tryton.lines(order)[0]
        _, sent, shipments, notes = await twice(case, SHIPPED, reference, line)
        assert sent == "sent"
        assert shipments == [("done", ["TRK1"], [("BOOK", 2.0)])]
        assert len(notes) == 1


async def test_marking_an_order_waits_for_its_last_line(tryton, transport):
    async with Case(tryton, transport, mark_delivered="order") as case:
        reference = new_reference()
        order = tryton.sell(reference, ("BOOK", 2), ("POSTER", 1))
        first, second = tryton.lines(order)
        _, _, shipments, notes = await twice(case, SHIPPED, reference, first)
        assert [state for state, _, _ in shipments] == ["waiting"]
        assert "Not marked as shipped yet: other lines of the shipment have not been shipped." in notes[0]
        _, sent, shipments, _ = await twice(case, SHIPPED, reference, second, tracking="TRK2")
        assert sent == "sent"
        assert shipments == [("done", ["TRK1", "TRK2"], [("BOOK", 2.0), ("POSTER", 1.0)])]


async def test_marking_a_line_ships_it_alone_and_leaves_a_shipment_of_the_rest(tryton, each_transport):
    async with Case(tryton, each_transport, mark_delivered="line") as case:
        reference = new_reference()
        order = tryton.sell(reference, ("BOOK", 2), ("POSTER", 3))
        first, second = tryton.lines(order)
        _, sent, shipments, _ = await twice(case, SHIPPED, reference, first)
        assert sent == "partially shipped"
        assert shipments == [("done", ["TRK1"], [("BOOK", 2.0)]), ("waiting", [""], [("POSTER", 3.0)])]
        _, sent, shipments, _ = await twice(case, SHIPPED, reference, second, tracking="TRK2")
        assert sent == "sent"
        assert shipments == [("done", ["TRK1"], [("BOOK", 2.0)]), ("done", ["TRK2"], [("POSTER", 3.0)])]


async def test_a_drop_shipment_is_shipped_and_done_with_its_number_as_reference(tryton, each_transport):
    async with Case(tryton, each_transport, mark_delivered="order") as case:
        reference = new_reference()
        order = tryton.sell(reference, ("DROPPED", 2))
        [line] = tryton.lines(order)
        with pytest.raises(RetryLater, match="no shipment for this item yet") as caught:
            await case.deliver(SHIPPED, reference, line)
        assert caught.value.healthy
        tryton.purchase()
        _, sent, shipments, _ = await twice(case, SHIPPED, reference, line)
        assert sent == "sent"
        assert shipments == [("done", ["TRK1"], [("DROPPED", 2.0)])]
        assert tryton.shipments(order)[0]["model"] == "stock.shipment.drop"


async def test_a_drop_shipment_of_two_orders_waits_for_both(tryton, transport):
    async with Case(tryton, transport, mark_delivered="line") as case:
        references = [new_reference(), new_reference()]
        orders = [tryton.sell(reference, ("DROPPED", 1)) for reference in references]
        tryton.purchase()
        assert tryton.shipments(orders[0])[0]["id"] == tryton.shipments(orders[1])[0]["id"]
        for reference, order, state in zip(references, orders, ("waiting", "done"), strict=True):
            _, _, shipments, _ = await twice(case, SHIPPED, reference, tryton.lines(order)[0])
            assert [found for found, _, _ in shipments] == [state]


async def test_a_warehouse_that_ships_from_where_it_stores_picks_nothing(tryton, transport):
    async with Case(tryton, transport, mark_delivered="order") as case:
        reference = new_reference()
        order = tryton.sell(reference, ("BOOK", 1), warehouse=tryton.facts()["direct"])
        _, _, shipments, _ = await twice(case, SHIPPED, reference, tryton.lines(order)[0])
        assert shipments == [("done", ["TRK1"], [("BOOK", 1.0)])]


async def test_on_cancel_cancels_the_open_shipments(tryton, each_transport):
    async with Case(tryton, each_transport, on_cancel="cancel") as case:
        reference = new_reference()
        tryton.sell(reference, ("BOOK", 1), ("POSTER", 1))
        state, sent, shipments, notes = await twice(case, signal_types.ORDER_CANCELED, reference)
        assert (state, sent) == ("processing", "exception")
        assert [state for state, _, _ in shipments] == ["cancelled"]
        assert "Shipment # is cancelled in Tryton." in notes[0]
        with pytest.raises(Permanent, match=r"shipment of order .* is cancelled"):
            await case.deliver(SHIPPED, reference)


@pytest.mark.parametrize(("codes", "state"), [(["BOOK"], "cancelled"), (["BOOK", "POSTER"], "waiting")])
async def test_on_cancel_cancels_an_items_shipment_only_if_nothing_else_is_in_it(tryton, transport, codes, state):
    async with Case(tryton, transport, on_cancel="cancel") as case:
        reference = new_reference()
        order = tryton.sell(reference, *((code, 1) for code in codes))
        _, _, shipments, notes = await twice(case, signal_types.ITEM_CANCELED, reference, tryton.lines(order)[0])
        assert [found for found, _, _ in shipments] == [state]
        assert ("was not cancelled: it contains other lines too" in notes[0]) == (state == "waiting")


async def test_a_cancel_after_shipping_leaves_the_shipment_alone(tryton, transport):
    for options in ({}, {"mark_delivered": "order"}):
        async with Case(tryton, transport, on_cancel="cancel", **options) as case:
            reference = new_reference()
            order = tryton.sell(reference, ("BOOK", 1))
            await case.deliver(SHIPPED, reference, tryton.lines(order)[0])
            _, _, shipments, notes = await twice(case, signal_types.ORDER_CANCELED, reference)
            assert [state for state, _, _ in shipments] == ["done" if options else "waiting"]
            assert "was not cancelled: " + ("its state is done" if options else "it has a tracking number") in notes[-1]


# -- stock


async def test_goods_out_of_stock_are_a_dead_letter_and_shipped_when_in_stock(tryton, transport):
    async with Case(tryton, transport, mark_delivered="line") as case:
        reference = new_reference()
        order = tryton.sell(reference, ("STOCKED", 3), ("BOOK", 2))
        before = tryton.shipments(order)[0]["brings"]
        line = tryton.lines(order)[0]
        with pytest.raises(Permanent, match="not all of it is in stock"):
            await case.deliver(SHIPPED, reference, line)
        [shipment] = tryton.shipments(order)
        assert (shipment["state"], shipment["tracking"]) == ("waiting", "TRK1")
        assert shipment["brings"] == before == {"STOCKED": 3.0, "BOOK": 2.0}
        assert tryton.notes(order) == []
        tryton.receive("STOCKED", 3)
        await case.deliver(SHIPPED, reference, line)
        assert {str(each["brings"]): each["state"] for each in tryton.shipments(order)} == {
            "{'STOCKED': 3.0}": "done",
            "{'BOOK': 2.0}": "waiting",
        }


async def test_force_quantity_ships_goods_out_of_stock_if_the_user_may(tryton, transport):
    reference = new_reference()
    [line] = tryton.lines(tryton.sell(reference, ("STOCKED", 1)))
    async with Case(tryton, transport, mark_delivered="line", force_quantity=True) as case:
        with pytest.raises(Permanent, match=r"assign_force .*is not allowed"):
            await case.deliver(SHIPPED, reference, line)
    async with Case(tryton, transport, user="forcer", mark_delivered="line", force_quantity=True) as case:
        _, _, shipments, _ = await twice(case, SHIPPED, reference, line)
        assert [state for state, _, _ in shipments] == ["done"]
    tryton.receive("STOCKED", 1)  # Restore the stock, which other tests share.


# -- orders that the sink must not change


@pytest.mark.parametrize("until", ["", "quote"])
async def test_a_quotation_is_waited_for_until_it_is_confirmed(tryton, each_transport, until):
    async with Case(tryton, each_transport) as case:
        reference = new_reference()
        order = tryton.sell(reference, ("BOOK", 1), until=until)
        with pytest.raises(RetryLater, match="is a quotation") as caught:
            await case.deliver(signal_types.ITEM_ERROR, reference)
        assert caught.value.healthy
        assert tryton.notes(order) == []
        for button in ("quote", "confirm")[bool(until) :]:
            tryton.press("sale.sale", [order], button)
        await case.deliver(signal_types.ITEM_ERROR, reference)
        assert len(tryton.notes(order)) == 1


@pytest.mark.parametrize(("on_unknown", "kind"), [("dead", Permanent), ("skip", Skip)])
async def test_the_wait_for_a_quotation_or_an_unknown_sale_ends_as_the_options_say(tryton, transport, on_unknown, kind):
    async with Case(tryton, transport, unknown_order_retry_for="0s", on_unknown=on_unknown) as case:
        reference = new_reference()
        with pytest.raises(kind, match="no order has this reference"):
            await case.deliver(SHIPPED, reference)
        tryton.sell(reference, ("BOOK", 1), until="quote")
        with pytest.raises(kind, match="is a quotation"):
            await case.deliver(SHIPPED, reference)


async def test_of_sales_with_one_reference_the_one_that_is_not_cancelled_is_meant(tryton, each_transport):
    async with Case(tryton, each_transport) as case:
        reference = new_reference()
        dead = tryton.sell_many([reference, reference], [("BOOK", 1)], until="")
        alive = tryton.sell(reference, ("BOOK", 1))
        tryton.press("sale.sale", dead, "cancel")
        await case.deliver(SHIPPED, reference)
        assert [len(tryton.notes(order)) for order in (*dead, alive)] == [0, 0, 1]


async def test_tracking_pages_with_commas_are_kept_whole(tryton, each_transport):
    async with Case(tryton, each_transport) as case:
        reference = new_reference()
        order = tryton.sell(reference, ("BOOK", 1))
        pages = [f"https://t.example/p?nr=1,2&x={number}" for number in (3, 4, 5)]
        for page in (*pages, *pages):
            await case.deliver(SHIPPED, reference, tracking=page)
        assert [each["tracking"] for each in tryton.shipments(order)] == [", ".join(pages)]


async def test_a_cancelled_order_becomes_a_dead_letter_when_shipped_and_noted_otherwise(tryton, transport):
    async with Case(tryton, transport) as case:
        reference = new_reference()
        order = tryton.sell(reference, ("BOOK", 1), until="")
        tryton.press("sale.sale", [order], "cancel")
        with pytest.raises(Permanent, match=r"order .* is cancelled in Tryton"):
            await case.deliver(SHIPPED, reference)
        await case.deliver(signal_types.ITEM_ERROR, reference)
        assert len(tryton.notes(order)) == 1


async def test_two_orders_with_one_reference_become_dead_letters_and_none_is_waited_for(tryton, transport):
    async with Case(tryton, transport) as case:
        reference = new_reference()
        with pytest.raises(RetryLater, match="as reference or number yet") as caught:
            await case.deliver(SHIPPED, reference)
        assert caught.value.healthy
        tryton.sell_many([reference, reference], [("BOOK", 1)])
        with pytest.raises(Permanent, match="ambiguous: several orders match"):
            await case.deliver(SHIPPED, reference)


async def test_the_order_is_found_by_its_number_and_its_line_by_the_products_code(tryton, transport):
    async with Case(tryton, transport, line_match="code", mark_delivered="line") as case:
        order = tryton.sell(new_reference(), ("BOOK", 1), ("POSTER", 1))
        [row] = tryton.search("sale.sale", [["id", "=", order]], "number")
        await case.deliver(SHIPPED, row["number"], item_reference="POSTER")
        done = [each["brings"] for each in tryton.shipments(order) if each["state"] == "done"]
        assert done == [{"POSTER": 1.0}]


async def test_an_unknown_line_is_a_dead_letter_only_when_marking(tryton, transport):
    reference = new_reference()
    order = tryton.sell(reference, ("BOOK", 1))
    async with Case(tryton, transport, mark_delivered="line") as case:
        with pytest.raises(Permanent, match=r"no line of order .* matches the signal's item \(by id\)"):
            await case.deliver(SHIPPED, reference, item_reference="x")
    async with Case(tryton, transport) as case:
        await case.deliver(SHIPPED, reference, item_reference="x")
        assert tryton.shipments(order)[0]["tracking"] == "TRK1"


async def test_an_order_of_services_gets_a_note(tryton, transport):
    async with Case(tryton, transport) as case:
        reference = new_reference()
        tryton.sell(reference, ("DESIGN", 1))
        _, _, _, notes = await twice(case, SHIPPED, reference)
        assert "The tracking number was not saved on a shipment, because the order has none in Tryton." in notes[0]


# -- rights


async def test_the_preflight_of_a_user_that_may_all_it_needs(tryton, each_transport):
    async with Case(tryton, each_transport, mark_delivered="line", order_match=["number"]) as case:
        check = await case.sink.check()
        assert check.ok, check.details
        assert check.details[0].startswith(f"Tryton {tryton.series}")
        assert check.details[1:] == (
            "the user is gateway",
            "modules: sale, sale_supply_drop_shipment, stock_package_shipping",
            "rights: sales, notes, shipments",
            "sale.sale has number",
        )


@pytest.mark.parametrize(
    ("user", "options", "told"),
    [
        ("nobody", {}, "the user lacks rights (read sale.sale, read sale.line, read stock.move"),
        ("gateway", {"order_match": "x_print_order"}, "sale.sale has no x_print_order"),
        ("gateway", {"force_quantity": True}, "force_quantity needs the user in the group Stock Force Assignment"),
        ("gateway", {"database": "other"}, "other"),
        ("gateway", {"application_key": "wrong", "password": "wrong"}, "401"),
    ],
)
async def test_the_preflight_names_each_problem(tryton, each_transport, user, options, told):
    async with Case(tryton, each_transport, user=user, **options) as case:
        check = await case.sink.check()
        assert not check.ok
        assert told in check.details[-1].replace("answered 404: no such database", "other")
        assert "wrong" not in str(check)


async def test_a_user_without_rights_stops_the_route(tryton, each_transport):
    async with Case(tryton, each_transport, user="nobody") as case:
        with pytest.raises(Misconfigured, match='You are not allowed to access "Sale"'):
            await case.deliver(SHIPPED, new_reference())
    async with Case(tryton, each_transport, application_key="wrong", password="wrong") as case:
        with pytest.raises(Misconfigured, match="401"):
            await case.deliver(SHIPPED, new_reference())


async def test_an_unknown_field_is_a_server_error(tryton, each_transport):
    async with Case(tryton, each_transport, order_match="x_print_order") as case:
        with pytest.raises(RetryLater, match="x_print_order"):
            await case.deliver(SHIPPED, "PO-0")
        case.now += 24 * 3600
        with pytest.raises(Permanent, match="given up after 24 hours"):
            await case.deliver(SHIPPED, "PO-0")


async def test_a_key_is_refused_until_its_user_validates_it(tryton):
    """The steps of the README work, from the request for a key on."""
    if tryton.series < "8":
        pytest.skip("REST is there from 8.0 on")
    key = tryton.ask_for_key("gateway")
    async with Case(tryton, "rest", application_key=key) as case:
        check = await case.sink.check()
        assert not check.ok
        assert "401: Tryton does not accept this key or login, or the key is not validated" in check.details[-1]
        [application] = tryton.search("res.user.application", [["key", "=", key]])
        tryton.press("res.user.application", [application["id"]], "validate_")
        assert (await case.sink.check()).ok


async def test_a_sale_is_known_by_its_reference(tryton, each_transport):
    async with Case(tryton, each_transport) as case:
        reference = new_reference()
        assert await case.sink.knows(reference) is False
        tryton.sell(reference, ("BOOK", 1), until="")
        assert await case.sink.knows(reference) is True
        for other in ("%", f"{reference[:-1]}_", f"{reference}\0", "", "x" * 4000, "\U0001f4a5 ' \" \\"):
            assert await case.sink.knows(other) is False
        assert case.writes == []
