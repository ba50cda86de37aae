"""An attempt that is cut short anywhere is repeated and leaves no trace."""

import asyncio
from contextlib import suppress

import pytest

from gateway import signal_types
from gateway.sink import RetryLater
from tests.support.stub import LOST
from tests.unit.plugins.odoo_case import BOTH, Case

pytestmark = pytest.mark.gen_test

SCENARIOS = [
    (signal_types.ITEM_SHIPPED, {}),
    (signal_types.ITEM_SHIPPED, {"mark_delivered": "line"}),
    (signal_types.ITEM_SHIPPED, {"mark_delivered": "order", "line_match": "default_code"}),
    (signal_types.ITEM_ERROR, {}),
    (signal_types.ITEM_DELIVERY_FAILED, {}),
    (signal_types.ITEM_CANCELED, {}),
    (signal_types.ORDER_CANCELED, {}),
    (signal_types.ORDER_CANCELED, {"on_cancel": "cancel"}),
]
REFERENCE = {"default_code": "POD-1"}


async def run(version, type, options, at=None, after=False):
    """Run an attempt, cut it at request `at` (if given) and repeat it. Return its requests and Odoo's records."""
    async with Case(version, groups=("inventory", "sales"), **options) as case:
        case.odoo.add_order("PO-1001", [2, 1])
        fields = (
            {"item_reference": REFERENCE.get(options.get("line_match"), "1")}
            if type != signal_types.ORDER_CANCELED
            else {}
        )
        if at is not None:
            await case.deliver_cut(at, after, type, **fields)
        await case.deliver(type, **fields)
        return len(case.fake.requests), case.odoo.snapshot()


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize(("type", "options"), SCENARIOS)
@pytest.mark.parametrize("after", [False, True], ids=["before the work", "after the work"])
async def test_a_cut_at_any_request_leaves_no_trace(version, type, options, after):
    requests, expected = await run(version, type, options)
    assert requests >= 5
    for at in range(requests):
        _, found = await run(version, type, options, at, after)
        assert found == expected, f"cut at request {at}"


@pytest.mark.parametrize("type", [signal_types.ITEM_SHIPPED, signal_types.ITEM_ERROR])
async def test_an_attempt_cancelled_at_any_request_is_repeated(type):
    async with Case(mark_delivered="line") as case:
        order = case.odoo.add_order("PO-1001")
        for at in range(5):
            reached, over = asyncio.Event(), asyncio.Event()
            case.fake.faults.extend([*[case.fake.serve] * at, hang(reached, over)])
            attempt = asyncio.ensure_future(case.deliver(type))
            await reached.wait()
            attempt.cancel()
            with suppress(asyncio.CancelledError):
                await attempt
            over.set()
        await case.deliver(type)
        assert len(case.odoo.notes(order)) == 1
        assert len(case.odoo.activities(order)) == (type == signal_types.ITEM_ERROR)


def hang(reached, over):
    """Return a fault that reports its request and never does its work."""

    async def wait(request):
        reached.set()
        await over.wait()
        return LOST

    return wait


async def test_a_read_without_an_answer_asks_for_no_wait():
    async with Case() as case:
        case.odoo.add_order("PO-1001")
        case.fake.cut_at(1)
        with pytest.raises(RetryLater) as caught:
            await case.deliver(signal_types.ITEM_ERROR)
        assert caught.value.after is None


async def test_an_odoo_that_is_not_there_is_retried():
    async with Case() as case:
        await case.fake.stop()
        with pytest.raises(RetryLater, match="can't connect"):
            await case.deliver(signal_types.ITEM_ERROR)
