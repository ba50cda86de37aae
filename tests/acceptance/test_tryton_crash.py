"""Attempts cut short, repeated or reordered on a real Tryton end as if each signal came once and in order."""

import random
from datetime import timedelta

import pytest

from gateway import signal_types
from gateway.sink import Permanent
from tests.acceptance.tryton_case import SHIPPED, Case, as_accepted, delivery_of, new_reference
from tests.support.factory import AT

pytestmark = pytest.mark.gen_test

SCENARIOS = {
    "note": (signal_types.ITEM_ERROR, {}, ["BOOK"]),
    "tracking": (SHIPPED, {}, ["BOOK"]),
    "line": (SHIPPED, {"mark_delivered": "line"}, ["BOOK", "POSTER"]),
    "drop": (SHIPPED, {"mark_delivered": "line"}, ["DROPPED"]),
    "item cancelled": (signal_types.ITEM_CANCELED, {"on_cancel": "cancel"}, ["BOOK"]),
    "order cancelled": (signal_types.ORDER_CANCELED, {"on_cancel": "cancel"}, ["BOOK", "POSTER"]),
}


def sell(tryton, codes, count):
    """Make that many equal orders. Return their references, ids and first lines."""
    references = [new_reference() for _ in range(count)]
    lines = [(code, 2) for code in codes]
    if "DROPPED" in codes:
        # Orders that are bought together would share one drop shipment.
        orders = [order for each in references for order in (tryton.sell(each, *lines), tryton.purchase()) if order]
    else:
        orders = tryton.sell_many(references, lines)
    return [(reference, order, tryton.lines(order)[0]) for reference, order in zip(references, orders, strict=True)]


async def undisturbed(case, type, codes):
    """Run an attempt. Return the numbers of its writing calls, its number of calls, and the order's end state."""
    [(reference, order, line)] = sell(case.tryton, codes, 1)
    case.calls, case.writes = 0, []
    await case.deliver(type, reference, line)
    return list(case.writes), case.calls, case.tryton.picture(order)


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_an_attempt_that_ends_after_any_write_is_repeated_and_leaves_no_trace(tryton, scenario):
    type, options, codes = SCENARIOS[scenario]
    async with Case(tryton, **options) as case:
        writes, _, expected = await undisturbed(case, type, codes)
        assert writes
        for after, (reference, order, line) in zip(writes, sell(tryton, codes, len(writes)), strict=True):
            delivery = delivery_of(type, reference, line)
            await case.cut(delivery, after)
            await case.sink.deliver(delivery)
            assert tryton.picture(order) == expected, f"cut after call {after}: {case.paths[-1]}"


async def test_attempts_that_end_after_each_call_in_turn_come_to_the_same_end(tryton):
    """Attempts are cut and cancelled in turn, each one call later than the one before."""
    type, options, codes = SCENARIOS["line"]
    async with Case(tryton, **options) as case:
        _, calls, expected = await undisturbed(case, type, codes)
        assert calls > 20
        [(reference, order, line)] = sell(tryton, codes, 1)
        delivery = delivery_of(type, reference, line)
        for after in range(calls):
            await case.cut(delivery, after, cancelling=bool(after % 2))
        await case.sink.deliver(delivery)
        assert tryton.picture(order) == expected


# -- in another order


def life(reference, first, second):
    """Return the signals of an order of two lines, in the order of the events."""
    told = [
        (signal_types.ORDER_VALIDATED, None, {}),
        (signal_types.ITEM_PRODUCED, first, {}),
        (signal_types.ITEM_ERROR, second, {}),
        (SHIPPED, first, {"tracking": "TRK1"}),
        (SHIPPED, first, {"tracking": "TRK2"}),
        (signal_types.ITEM_DELIVERY_COMPLETED, first, {}),
        (SHIPPED, second, {"tracking": "TRK3"}),
        (signal_types.ITEM_DELIVERY_FAILED, second, {}),
    ]
    return [
        delivery_of(type, reference, line, datetime=(AT + timedelta(hours=hour)).isoformat(), **fields)
        for hour, (type, line, fields) in enumerate(told)
    ]


def settled(picture):
    """Return the state without remarks, which depend on the moment."""
    state, sent, shipments, notes = picture
    return state, sent, shipments, sorted(note.replace(LINE_WAITS, "") for note in notes)


LINE_WAITS = " Not marked as shipped yet: other lines of the shipment have not been shipped."
NOTES = [signal_types.ORDER_VALIDATED, signal_types.ITEM_PRODUCED, signal_types.ITEM_DELIVERY_COMPLETED]


@pytest.mark.parametrize("mark", ["none", "line", "order"])
async def test_a_life_that_is_shuffled_and_sent_twice_ends_as_if_sent_once_in_order(tryton, mark):
    async with Case(tryton, mark_delivered=mark, notes=NOTES) as case:
        pictures = []
        for seed in range(3):
            reference = new_reference()
            order = tryton.sell(reference, ("BOOK", 2), ("POSTER", 1))
            deliveries = life(reference, *tryton.lines(order))
            if seed:
                deliveries = deliveries * 2
                random.Random(seed).shuffle(deliveries)
            for delivery in as_accepted(deliveries):
                await case.sink.deliver(delivery)
            pictures.append(settled(tryton.picture(order)))
        _, sent, shipments, notes = pictures[0]
        assert sent == ("waiting" if mark == "none" else "sent")
        assert sorted(number for _, tracking, _ in shipments for number in tracking) == ["TRK1", "TRK2", "TRK3"]
        assert len(notes) == 8
        assert pictures[1:] == pictures[:1] * 2


async def test_a_late_shipped_after_delivered_moves_nothing_back(tryton):
    async with Case(tryton, mark_delivered="line", notes=NOTES) as case:
        reference = new_reference()
        order = tryton.sell(reference, ("BOOK", 1))
        [line] = tryton.lines(order)
        delivered = delivery_of(
            signal_types.ITEM_DELIVERY_COMPLETED, reference, line, datetime="2026-11-22T10:00:00+00:00"
        )
        for delivery in as_accepted([delivered, delivery_of(SHIPPED, reference, line)]):
            await case.sink.deliver(delivery)
        _, sent, shipments, notes = tryton.picture(order)
        assert (sent, shipments, len(notes)) == ("sent", [("done", ["TRK1"], [("BOOK", 1.0)])], 2)
        late = as_accepted([delivered, delivery_of(SHIPPED, reference, line, tracking="TRK2")])[1]
        assert late.signal.late
        assert late.overtaken
        await case.sink.deliver(late)
        _, sent, shipments, _ = tryton.picture(order)
        assert (sent, shipments) == ("sent", [("done", ["TRK1", "TRK2"], [("BOOK", 1.0)])])


async def test_cancelled_and_shipped_contradict_each_other_and_nothing_goes_backwards(tryton):
    """A cancellation after shipping leaves the shipment; shipping after a cancellation is a dead letter."""
    async with Case(tryton, mark_delivered="line", on_cancel="cancel") as case:
        for types in ((SHIPPED, signal_types.ORDER_CANCELED), (signal_types.ORDER_CANCELED, SHIPPED)):
            reference = new_reference()
            order = tryton.sell(reference, ("BOOK", 1))
            [line] = tryton.lines(order)
            first, second = as_accepted([delivery_of(type, reference, line) for type in types])
            await case.sink.deliver(first)
            expected = tryton.picture(order)[:3]
            if types[0] == SHIPPED:
                await case.sink.deliver(second)
            else:
                for delivery in (second, delivery_of(SHIPPED, reference, line)):
                    with pytest.raises(Permanent, match="cancelled"):
                        await case.sink.deliver(delivery)
            assert tryton.picture(order)[:3] == expected
