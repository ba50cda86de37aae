"""Odoo's pitfalls, found on real servers, by number in the README. Those of deliveries are in another file."""

import asyncio
import re

import pytest

from cloudsignal_odoo import OdooSink
from gateway import signal_types
from gateway.sink import Misconfigured, Permanent, RetryLater
from tests.support.factory import make_delivery
from tests.support.fake_odoo import account
from tests.support.odoo_records import SUBTYPES, OdooError
from tests.support.stub import Answer
from tests.unit.plugins.odoo_case import BOTH, CANCELLING, PAGE, Case

pytestmark = pytest.mark.gen_test

SHIPPED = signal_types.ITEM_SHIPPED


def test_the_page_numbers_each_of_them():
    section = PAGE.partition("## Odoo's pitfalls")[2].partition("\n## ")[0]
    assert re.findall(r"^(\d+)\. ", section, re.MULTILINE) == [str(number) for number in range(1, 15)]


# -- 3: action_cancel does nothing on 17 without a context, and cancels what is delivered


@pytest.mark.parametrize("version", BOTH)
async def test_a_cancellation_is_made_without_a_wizard(version):
    async with Case(version, CANCELLING, on_cancel="cancel") as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ORDER_CANCELED)
        assert case.odoo.row("sale.order", order)["state"] == "cancel"


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize(
    ("order", "hindrance"),
    [({"locked": True}, "the order is locked"), ({}, "at least one item has been shipped")],
    ids=["locked", "delivered"],
)
async def test_a_locked_or_delivered_order_is_not_even_asked_to_cancel(version, order, hindrance):
    async with Case(version, CANCELLING, on_cancel="cancel", mark_delivered="line") as case:
        number = case.odoo.add_order("PO-1001", **order)
        if not order:
            await case.deliver(SHIPPED)
        await case.deliver(signal_types.ORDER_CANCELED)
        assert case.odoo.row("sale.order", number)["state"] == "sale"
        assert f"Not cancelled in Odoo: {hindrance}." in case.odoo.notes(number)[-1]["body"]
        assert len(case.odoo.activities(number)) == 1
        assert "sale.order/action_cancel" not in case.fake.calls()


# -- 4: 404 with a page means that the database is down, with JSON it is final


@pytest.mark.parametrize("version", BOTH)
async def test_a_database_that_is_down_is_waited_for_and_a_record_that_is_gone_is_not(version, monkeypatch):
    async with Case(version) as case:
        order = case.odoo.add_order("PO-1001")
        case.fake.database_down = True
        with pytest.raises(RetryLater):
            await case.deliver(SHIPPED)
        case.fake.database_down = False
        transfer = case.odoo.transfers(order)[0]["id"]
        monkeypatch.setitem(case.odoo.tables, "stock.picking", GoneOnceFound(case.odoo.tables["stock.picking"]))
        with pytest.raises(Permanent, match="does not exist or has been deleted"):
            await case.deliver(SHIPPED)
        assert transfer in case.odoo.tables["stock.picking"].gone


class GoneOnceFound(dict):
    """Records that someone deletes after they are found and before they are read."""

    def __init__(self, rows):
        super().__init__(rows)
        self.gone = set()

    def __contains__(self, number):
        self.gone.add(number)
        return False


# -- 5: 500 with JSON is final for an error of Python, not for one of PostgreSQL


@pytest.mark.parametrize("version", BOTH)
async def test_a_request_that_can_t_be_served_becomes_a_dead_letter(version):
    async with Case(version, order_match=["x_print_order"]) as case:
        with pytest.raises(Permanent, match=r"Invalid field sale\.order\.x_print_order"):
            await case.deliver(SHIPPED)
    async with Case(version) as case:
        with pytest.raises(Permanent, match="NUL"):
            await case.deliver(SHIPPED, order_reference="PO\0")


@pytest.mark.parametrize("version", BOTH)
async def test_two_transactions_that_met_are_repeated(version):
    async with Case(version) as case:
        order = case.odoo.add_order("PO-1001")
        error = account(OdooError(500, "psycopg2.errors.SerializationFailure", "could not serialize access"))
        told = Answer(500, error) if version >= 19 else Answer(200, {"id": 1, "error": {"message": "", "data": error}})
        await case.deliver(SHIPPED)
        case.fake.faults.extend([*[case.fake.serve] * 3, told])
        with pytest.raises(RetryLater, match="could not serialize"):
            await case.deliver(signal_types.ITEM_ERROR)
        await case.deliver(signal_types.ITEM_ERROR)
        assert len(case.odoo.notes(order)) == 2


# -- 6: times are in UTC, without T and offset


@pytest.mark.parametrize("version", BOTH)
async def test_times_have_odoos_form(version):
    async with Case(version) as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(SHIPPED, datetime="2026-11-20T00:30:00+01:00")
        assert case.odoo.notes(order)[0]["date"] == "2026-11-19 23:30:00"


# -- 7: Odoo escapes a note's text, and not an activity's


@pytest.mark.parametrize("version", BOTH)
async def test_markup_in_a_message_stays_text(version):
    async with Case(version) as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ITEM_ERROR, cause="file <b>x</b> & more\0\nsecond line")
        escaped = "file &lt;b&gt;x&lt;/b&gt; &amp; more second line"
        assert escaped in case.odoo.notes(order)[0]["body"]
        assert escaped in case.odoo.activities(order)[0]["note"]


# -- 8: mail.mt_comment would be mailed to followers


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("type", [SHIPPED, signal_types.ITEM_ERROR, signal_types.ORDER_CANCELED])
async def test_no_follower_is_mailed(version, type):
    async with Case(version) as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(type)
        assert [note["subtype_id"] for note in case.odoo.notes(order)] == [SUBTYPES["mail.mt_note"]]


# -- 10: a Message-Id is not unique


async def test_an_equal_message_id_on_another_order_does_not_count():
    async with Case() as case:
        other, order = case.odoo.add_order("PO-1"), case.odoo.add_order("PO-1001")
        message_id = f"<{make_delivery(signal_types.ITEM_ERROR).key}@cloudsignal.invalid>"
        case.odoo.add("mail.message", model="sale.order", res_id=other, message_id=message_id)
        case.odoo.add("mail.message", model="stock.picking", res_id=order, message_id=message_id)
        await case.deliver(signal_types.ITEM_ERROR)
        assert len(case.odoo.notes(order)) == 1


@pytest.mark.parametrize("version", BOTH)
async def test_a_note_committed_between_two_looks_is_not_posted_again(version):
    async with Case(version) as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ITEM_SHIPPED)
        message = case.odoo.tables["mail.message"].popitem()

        async def commit(request):
            case.odoo.tables["mail.message"].update([message])
            return case.fake.answer(request)

        case.fake.faults.extend([case.fake.serve] * 3 + [commit])
        await case.deliver(signal_types.ITEM_SHIPPED)
        assert len(case.odoo.notes(order)) == 1


async def test_two_print_orders_of_one_sales_order_keep_both_numbers():
    async with Case() as case:
        order = case.odoo.add_order("PO-1001")
        numbers = [f"TRK{i}" for i in range(6)]
        await asyncio.gather(*(case.deliver(signal_types.ITEM_SHIPPED, order=n, tracking=n) for n in numbers))
        assert set(case.tracking(order)[0].split(",")) == set(numbers)


# -- 11: a write may be committed after the client gave up


@pytest.mark.parametrize("version", BOTH)
async def test_a_write_that_is_committed_late_is_not_repeated_before(version):
    """Odoo commits the note after the client has given up; the next attempt waits and finds it."""
    async with Case(version) as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ITEM_ERROR, message="to learn the transport")
        case.fake.faults.extend([case.fake.serve] * 5 + [case.fake.delay])
        with pytest.raises(RetryLater) as caught:
            await case.deliver(signal_types.ITEM_ERROR)
        assert case.fake.calls()[-1] == "sale.order/message_post"
        assert caught.value.after >= 120
        case.fake.commit_late()
        await case.deliver(signal_types.ITEM_ERROR)
        assert len(case.odoo.notes(order)) == len(case.odoo.activities(order)) == 2


def test_the_client_waits_longer_than_odoo_works():
    assert OdooSink.read_timeout > 120
    assert OdooSink.timeout > OdooSink.read_timeout


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("slow", range(4))
async def test_no_write_begins_that_could_not_be_waited_for(version, slow):
    """A read uses up nearly all of the attempt's time, so the write is left to the next attempt."""
    async with Case(version) as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ITEM_ERROR)
        written = len(case.odoo.notes(order))

        async def slowly(request):
            case.now += OdooSink.timeout - OdooSink.read_timeout + 1
            return case.fake.answer(request)

        case.fake.faults.extend([*[case.fake.serve] * slow, slowly])
        with pytest.raises(RetryLater, match="too slow for another write"):
            await case.deliver(SHIPPED)
        assert case.fake.calls()[-1].endswith(("read", "search_read"))
        assert (case.tracking(order), len(case.odoo.notes(order))) == ([False], written)
        await case.deliver(SHIPPED)
        assert (case.tracking(order), len(case.odoo.notes(order))) == (["TRK1"], written + 1)


# -- 14: 17 is the oldest supported version


async def test_an_odoo_too_old_is_named():
    async with Case(16) as case:
        with pytest.raises(Misconfigured, match=r"Odoo 17 or later is needed; this is 16\.0"):
            await case.deliver(signal_types.ITEM_SHIPPED)
