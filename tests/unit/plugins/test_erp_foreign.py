"""Answers of a proxy, or of another product, in place of the ERP's: each is repeated, and no signal is lost."""

import pytest

from gateway import signal_types
from gateway.sink import RetryLater
from tests.support.foreign_answers import BODIES, STATUSES, foreign_answer
from tests.support.stub import Answer
from tests.unit.plugins import odoo_case, tryton_case

pytestmark = pytest.mark.gen_test

SHIPPED = signal_types.ITEM_SHIPPED
CASES = {
    "Odoo by JSON-2": lambda **options: odoo_case.Case(19, **options),
    "Odoo by JSON-RPC": lambda **options: odoo_case.Case(17, **options),
    "Tryton by REST": lambda **options: tryton_case.Case("8.0", **options),
    "Tryton by JSON-RPC": lambda **options: tryton_case.Case("7.0", **options),
}
each_erp = pytest.mark.parametrize("make", CASES.values(), ids=CASES)


def add_order(case):
    """Make the order of the signals, and return a function that counts its notes."""
    if isinstance(case, odoo_case.Case):
        order = case.odoo.add_order("PO-1001")
        return lambda: len(case.odoo.notes(order))
    order = case.tryton.sell("PO-1001", ("BOOK", 1))
    return lambda: len(case.tryton.notes(order))


async def requests_of(make, type):
    """Return the number of requests of a delivery, once the transport is known."""
    async with make() as case:
        add_order(case)
        await case.deliver(type, message="to learn the transport")
        before = len(case.fake.requests)
        await case.deliver(type)
        return len(case.fake.requests) - before


@each_erp
@pytest.mark.parametrize("kind", BODIES)
async def test_whatever_a_proxy_answers_is_repeated_and_the_signal_arrives_once(make, kind):
    async with make() as case:
        notes = add_order(case)
        await case.deliver(signal_types.ITEM_ERROR, message="to learn the transport")
        for status in STATUSES:
            case.fake.faults.append(foreign_answer(status, kind))
            with pytest.raises(RetryLater) as caught:
                await case.deliver(SHIPPED)
            assert type(caught.value) is not RetryLater or not caught.value.healthy
            assert str(status) in str(caught.value)
            for word in ("nginx", "Reason", "Route", "subscription", "upstream", "Maintenance"):
                assert word not in str(caught.value)
        await case.deliver(SHIPPED)
        assert notes() == 2


@each_erp
@pytest.mark.parametrize("kind", BODIES)
async def test_a_proxy_that_answers_from_the_start_is_no_setting(make, kind):
    """The first question, for the version, tells no more about the settings than a later one."""
    async with make() as case:
        notes = add_order(case)
        for status in STATUSES:
            case.fake.always = foreign_answer(status, kind)
            with pytest.raises(RetryLater):
                await case.deliver(SHIPPED)
        assert not (check := await case.sink.check()).ok
        assert "proxy" in check.details[-1]
        case.fake.always = None
        await case.deliver(SHIPPED)
        assert notes() == 1


@each_erp
async def test_maintenance_may_begin_and_end_between_any_two_requests(make):
    """A proxy answers one request, whichever it is, and the ERP all others. The effect is there once."""
    total = await requests_of(make, SHIPPED)
    async with make() as case:
        notes = add_order(case)
        await case.deliver(signal_types.ITEM_ERROR, message="to learn the transport")
        for at in range(total):
            case.fake.faults.extend([*[case.fake.serve] * at, foreign_answer(405, "nginx")])
            with pytest.raises(RetryLater):
                await case.deliver(SHIPPED, tracking=f"TRK{at}")
            await case.deliver(SHIPPED, tracking=f"TRK{at}")
        assert notes() == 1 + total


@each_erp
@pytest.mark.parametrize("first", [1, 2, 3])
async def test_maintenance_may_begin_and_end_within_the_first_questions(make, first):
    async with make() as case:
        notes = add_order(case)
        case.fake.faults.extend([*[foreign_answer(404, "nginx")] * first])
        for _ in range(1 + first):
            try:
                await case.deliver(SHIPPED)
            except RetryLater:
                continue
        assert notes() == 1


@each_erp
@pytest.mark.parametrize(
    ("answer", "done"),
    [
        (foreign_answer(405, "nginx"), False),
        (foreign_answer(413, "nginx"), False),
        (foreign_answer(302, "empty"), False),
        (foreign_answer(503, "haproxy"), False),
        (foreign_answer(200, "maintenance"), True),
        (foreign_answer(200, "health"), True),
        (foreign_answer(500, "nginx"), True),
        (foreign_answer(504, "gateway"), True),
        (foreign_answer(520, "text"), True),
        (foreign_answer(524, "text"), True),
        (foreign_answer(408, "empty"), True),
    ],
    ids=str,
)
async def test_a_write_that_may_have_reached_the_erp_is_not_repeated_at_once(make, answer, done):
    last = await requests_of(make, SHIPPED) - 1
    async with make() as case:
        add_order(case)
        await case.deliver(SHIPPED, message="to learn the transport")
        case.fake.faults.extend([*[case.fake.serve] * last, answer])
        with pytest.raises(RetryLater) as caught:
            await case.deliver(SHIPPED)
        assert case.fake.calls()[-1] in {"sale.order/message_post", "ir.note/create"}
        assert (caught.value.firm, (caught.value.after or 0) >= 120) == (done, done)


@each_erp
@pytest.mark.parametrize("status", [403, 405, 429, 503])
async def test_a_proxys_retry_after_is_honoured(make, status):
    async with make() as case:
        add_order(case)
        case.fake.always = Answer(status, "<p>later</p>", {"Retry-After": "77"})
        with pytest.raises(RetryLater) as caught:
            await case.deliver(SHIPPED)
        assert caught.value.after == 77


async def test_a_redirect_says_what_to_set():
    async with CASES["Odoo by JSON-2"]() as case:
        case.fake.always = foreign_answer(301, "nginx")
        assert (await case.sink.check()).details[-1] == (
            "version: answered 301, a redirect, not Odoo's answer: if it stays, set url to the final address"
        )
