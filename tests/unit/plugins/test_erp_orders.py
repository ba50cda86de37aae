"""Which order a signal is about: cancelled twins, quotations, and the end of the wait, for both ERPs."""

import pytest

from gateway import signal_types
from gateway.sink import Permanent, RetryLater, Skip
from tests.support.factory import AT
from tests.unit.plugins import odoo_case, tryton_case

pytestmark = pytest.mark.gen_test

SHIPPED = signal_types.ITEM_SHIPPED
TYPES = [SHIPPED, signal_types.ITEM_ERROR, signal_types.ITEM_CANCELED, signal_types.ORDER_CANCELED]


class Odoo(odoo_case.Case):
    alive, dead, quotations = "sale", "cancel", ("draft", "sent")

    def order(self, state, reference="PO-1001"):
        return self.odoo.add_order(reference, state=state)

    def row(self, order):
        return self.odoo.row("sale.order", order)

    def confirm(self, order):
        self.row(order)["state"] = self.alive

    def notes(self, order):
        return len(self.odoo.notes(order))


class Tryton(tryton_case.Case):
    alive, dead, quotations = "processing", "cancelled", ("draft", "quotation")

    def order(self, state, reference="PO-1001"):
        return self.tryton.sell(reference, ("BOOK", 1), state=state)

    def row(self, order):
        return self.tryton.row("sale.sale", order)

    def confirm(self, order):
        self.row(order)["state"] = self.alive
        self.tryton.process(order)

    def notes(self, order):
        return len(self.tryton.notes(order))


CASES = {
    "Odoo 17": lambda **options: Odoo(17, odoo_case.CANCELLING, **options),
    "Odoo 19": lambda **options: Odoo(19, odoo_case.CANCELLING, **options),
    "Tryton 7.0": lambda **options: Tryton("7.0", **options),
    "Tryton 8.0": lambda **options: Tryton("8.0", **options),
}
each_erp = pytest.mark.parametrize("make", CASES.values(), ids=CASES)


# -- several orders with one reference


@each_erp
@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("before", [0, 1, 5])
@pytest.mark.parametrize("after", [0, 1, 5])
async def test_of_several_orders_the_one_that_is_not_cancelled_is_meant(make, type, before, after):
    async with make() as case:
        earlier = [case.order(case.dead) for _ in range(before)]
        alive = case.order(case.alive)
        later = [case.order(case.dead) for _ in range(after)]
        await case.deliver(type)
        await case.deliver(type)
        assert case.notes(alive) == 1
        assert sum(map(case.notes, earlier + later)) == 0


@each_erp
@pytest.mark.parametrize("dead", [0, 3])
async def test_of_several_living_orders_none_is_meant(make, dead):
    async with make() as case:
        orders = [case.order(case.alive), *(case.order(case.dead) for _ in range(dead)), case.order(case.alive)]
        with pytest.raises(Permanent, match="ambiguous: several orders match"):
            await case.deliver(SHIPPED)
        assert sum(map(case.notes, orders)) == 0


@each_erp
async def test_the_twin_may_have_the_reference_in_another_field(make):
    async with make() as case:
        case.order(case.dead, reference="S00002")
        named = case.order(case.alive, reference="another")
        await case.deliver(SHIPPED, order_reference="S00002")
        assert case.notes(named) == 1


@each_erp
@pytest.mark.parametrize("quotation", [0, 1])
async def test_a_quotation_with_cancelled_twins_is_waited_for(make, quotation):
    async with make() as case:
        case.order(case.dead)
        order = case.order(case.quotations[quotation])
        with pytest.raises(RetryLater, match="is a quotation"):
            await case.deliver(SHIPPED)
        case.confirm(order)
        await case.deliver(SHIPPED)
        assert case.notes(order) == 1


@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("alive_first", [True, False])
async def test_a_cancellation_that_was_cut_short_beside_a_cancelled_twin_is_completed(at, alive_first):
    """Once the order is cancelled too, it is told from its twin by its time of change."""
    async with CASES["Odoo 19"](on_cancel="cancel") as case:
        await case.sink.client.transport()
        states = [case.alive, case.dead] if alive_first else [case.dead, case.alive]
        orders = [case.order(state) for state in states]
        alive = orders[states.index(case.alive)]
        await case.deliver_cut(at, True, signal_types.ORDER_CANCELED)
        await case.deliver(signal_types.ORDER_CANCELED)
        assert [case.row(order)["state"] for order in orders] == ["cancel", "cancel"]
        assert [case.notes(order) for order in orders] == [int(order == alive) for order in orders]


# -- the wait for an order and for its confirmation


@each_erp
@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("quotation", [0, 1])
async def test_a_quotation_is_waited_for_like_an_unknown_order(make, type, quotation):
    async with make(unknown_order_retry_for="2h") as case:
        order = case.order(case.quotations[quotation])
        with pytest.raises(RetryLater, match="order S00001 is a quotation; it is not confirmed yet") as caught:
            await case.deliver(type)
        assert caught.value.healthy
        case.now = AT.timestamp() + 2 * 3600 - 1
        with pytest.raises(RetryLater):
            await case.deliver(type)
        case.now += 1
        with pytest.raises(Permanent, match="S00001 is a quotation; given up waiting for its confirmation"):
            await case.deliver(type)
        case.confirm(order)
        await case.deliver(type)
        assert case.notes(order) == 1


@each_erp
@pytest.mark.parametrize("ends", [("dead", Permanent), ("skip", Skip)], ids=str)
@pytest.mark.parametrize("wait", ["0s", "30m", "48h"])
@pytest.mark.parametrize("quotation", [True, False])
async def test_on_unknown_is_the_end_of_the_wait(make, ends, wait, quotation):
    on_unknown, kind = ends
    async with make(unknown_order_retry_for=wait, on_unknown=on_unknown) as case:
        if quotation:
            case.order(case.quotations[0])
        if wait != "0s":
            with pytest.raises(RetryLater) as caught:
                await case.deliver(SHIPPED)
            assert caught.value.healthy
            end = {"30m": "2026-11-20 10:41:12", "48h": "2026-11-22 10:11:12"}[wait]
            assert str(caught.value).endswith(f"yet; waited for until {end} UTC")
        case.now = AT.timestamp() + case.sink.settings["unknown_order_retry_for"]
        for _ in range(2):
            with pytest.raises(kind, match="is a quotation; given up" if quotation else "no order has this reference"):
                await case.deliver(SHIPPED)


@each_erp
async def test_on_unknown_says_nothing_about_orders_that_are_known(make):
    async with make(unknown_order_retry_for="0s", on_unknown="skip") as case:
        order = case.order(case.alive)
        await case.deliver(SHIPPED)
        assert case.notes(order) == 1
        case.order(case.alive)
        with pytest.raises(Permanent, match="ambiguous"):
            await case.deliver(SHIPPED)


@each_erp
async def test_a_signal_that_was_done_stays_done_if_its_order_becomes_a_quotation_again(make):
    async with make() as case:
        order = case.order(case.alive)
        await case.deliver(SHIPPED)
        case.now += 72 * 3600
        case.row(order)["state"] = case.quotations[0]
        await case.deliver(SHIPPED)
        assert case.notes(order) == 1


# -- held signals


@each_erp
@pytest.mark.parametrize("state", ["alive", "dead", "quotation"])
async def test_an_order_is_known_in_any_state(make, state):
    async with make() as case:
        states = {"alive": case.alive, "dead": case.dead, "quotation": case.quotations[0]}
        assert await case.sink.knows("PO-1001") is False
        case.order(states[state])
        assert await case.sink.knows("PO-1001") is True
        assert await case.sink.knows("PO-100%") is False
