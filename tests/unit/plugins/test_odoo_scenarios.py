"""Whole lives of orders: sent twice, shuffled or cut anywhere, they end in Odoo as if sent once and in order."""

from __future__ import annotations

import asyncio
import enum
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
import voluptuous as vol
from hypothesis import given, settings
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders

from cloudsignal_odoo import OdooSink, overtaken, texts
from gateway import model, signal_types
from gateway.model import Delivery
from gateway.signal_types import STAGES, TYPE_AT
from gateway.sink import Context, Permanent, Response, RetryLater
from tests.support.factory import AT, make_delivery, make_signal
from tests.support.fake_odoo import DATABASE, KEY, LOGIN, FakeOdoo
from tests.support.stub import Request
from tests.unit.plugins.erp_case import NOW
from tests.unit.plugins.odoo_case import BOTH, CANCELLING

SHIPPED, COMPLETED = signal_types.ITEM_SHIPPED, signal_types.ITEM_DELIVERY_COMPLETED


@dataclass(frozen=True)
class Scenario:
    """An order's life. `signals` are in the order of the events, an hour apart: type, line and other fields."""

    lines: Sequence[float]
    signals: Sequence[tuple[str, str | None, dict[str, str]]]
    options: Mapping[str, Any] = field(default_factory=dict)
    order: Mapping[str, Any] = field(default_factory=dict)

    def happen(self) -> list[Delivery]:
        """Return the deliveries in the order of the events."""
        return accept([self.make(*signal, at) for at, signal in enumerate(self.signals)])

    def make(self, type: str, line: str | None, fields: dict[str, str], at: int) -> model.Signal:
        item = {"item": f"2103490104000{line}", "item_reference": line} if line else {}
        moment = (AT + timedelta(hours=at)).isoformat()
        return make_signal(type, id=at + 1, datetime=moment, **item, **fields)


BY_LINE = [
    (signal_types.ITEM_PRODUCE, "1", {}),
    (signal_types.ITEM_ERROR, "2", {}),
    (SHIPPED, "1", {"tracking": "TRK1"}),
    (SHIPPED, "2", {"tracking": "TRK2"}),
    (SHIPPED, "1", {"tracking": "TRK3"}),
    (COMPLETED, "1", {}),
]
FOUND = {"notes": [signal_types.ITEM_PRODUCE, COMPLETED]}
CANCELED = [
    (signal_types.ITEM_ERROR, "1", {}),
    (signal_types.ITEM_CANCELED, "1", {}),
    (signal_types.ORDER_CANCELED, None, {}),
]
LIVES = {
    "marked by line": Scenario([2, 1], BY_LINE, {**FOUND, "mark_delivered": "line"}),
    "marked by order": Scenario([2, 1], BY_LINE, {**FOUND, "mark_delivered": "order"}),
    "not marked": Scenario([2, 1], BY_LINE, FOUND),
    "two ways": Scenario(
        [1, 3],
        [(SHIPPED, "POD-1", {"tracking": "TRK1"}), (SHIPPED, "POD-2", {"tracking": "TRK2"})],
        {"mark_delivered": "line", "line_match": "default_code"},
        {"kinds": ["outgoing", "dropship"]},
    ),
    "two parcels": Scenario(
        [1],
        [
            (SHIPPED, "1", {"tracking": "TRK1"}),
            (SHIPPED, "1", {"tracking": "TRK2"}),
            (signal_types.ITEM_DELIVERY_FAILED, "1", {}),
            (COMPLETED, "1", {}),
        ],
        {**FOUND, "mark_delivered": "line", "line_match": "none"},
    ),
    "cancelled": Scenario([1, 1], CANCELED, {"on_cancel": "cancel"}),
    "cancellation noted": Scenario([1, 1], CANCELED),
}
CONTRADICTIONS = {
    "shipped, then cancelled": Scenario([1], [BY_LINE[2], CANCELED[2]], {"on_cancel": "cancel"}),
    "delivered, then cancelled": Scenario(
        [1, 1], [BY_LINE[2], CANCELED[2]], {"on_cancel": "cancel", "mark_delivered": "line"}
    ),
    "cancelled, then shipped": Scenario(
        [1], [CANCELED[2], BY_LINE[2]], {"on_cancel": "cancel", "mark_delivered": "line"}
    ),
    "cancellation noted, then shipped": Scenario([1], [CANCELED[2], BY_LINE[2]], {"mark_delivered": "line"}),
    "locked, then cancelled": Scenario([1], CANCELED, {"on_cancel": "cancel"}, {"locked": True}),
}


def accept(signals: Sequence[model.Signal]) -> list[Delivery]:
    """Return the deliveries as the store hands them out if they arrive in this order, with lateness and furthest type.

    A signal that arrives again is a replay, with everything that is known by then.
    """
    deliveries: list[Delivery] = []
    known: list[model.Signal] = []
    for signal in signals:
        near = [one for one in known if not one.item or not signal.item or one.item == signal.item]
        first = next((one for one in known if one.identity == signal.identity), None)
        known.append(first or replace(signal, late=any(one.at > signal.at for one in near)))
        furthest = TYPE_AT[max(STAGES[one.type] for one in [*near, signal])]
        delivery = make_delivery(signal=known[-1])
        deliveries.append(replace(delivery, furthest=furthest, replayed=first is not None))
    return deliveries


# -- running


class Cut(enum.StrEnum):
    """A cut at a call: it fails before or after Odoo's work, or the attempt is cancelled there."""

    BEFORE = "the connection breaks before the work"
    AFTER = "the answer is lost"
    CANCEL_BEFORE = "cancelled before the work"
    CANCEL_AFTER = "cancelled after the work"


CUTS = {17: (Cut.BEFORE, Cut.CANCEL_AFTER), 19: (Cut.AFTER, Cut.CANCEL_BEFORE)}
"""Each call is cut before and after its work, by a failure and by a cancellation; not all on each version."""


class World:
    """An order in a fake Odoo and a sink that calls it without a network. Each cut is followed by a new sink."""

    def __init__(self, scenario: Scenario, version: int, cuts: Mapping[int, Cut]) -> None:
        self.fake = FakeOdoo(version, groups=CANCELLING)
        self.order = self.fake.odoo.add_order("PO-1001", scenario.lines, **scenario.order)
        given = {"url": "http://odoo.test", "database": DATABASE, "api_key": KEY, "login": LOGIN, **scenario.options}
        self.options = vol.Schema(dict(OdooSink.options))(given)
        self.cuts = cuts
        self.calls = 0
        self.dead: list[str] = []
        self.sink = self.make_sink()

    def make_sink(self) -> OdooSink:
        context = Context(account="bookshop", tenant="acme", route="erp", now=lambda: NOW)
        sink = OdooSink(self.options, context)
        sink.client.server.send = self.send
        return sink

    async def send(self, method: str, url: str, json: Any = None, headers: Mapping[str, str] | None = None) -> Response:
        cut = self.cuts.get(self.calls)
        self.calls += 1
        await self.fail(cut, Cut.BEFORE, Cut.CANCEL_BEFORE)
        path = url.removeprefix("http://odoo.test")
        answer = self.fake.answer(Request(method, path, "", HTTPHeaders(headers or {}), orjson.dumps(json)))
        await self.fail(cut, Cut.AFTER, Cut.CANCEL_AFTER)
        if isinstance(answer.body, str):
            return Response(answer.status, {"content-type": "text/html"}, answer.body.encode())
        return Response(answer.status, {"content-type": "application/json"}, orjson.dumps(answer.body))

    async def fail(self, cut: Cut | None, breaks: Cut, cancels: Cut) -> None:
        if cut == breaks:
            raise RetryLater(cut)
        if cut == cancels:
            task = asyncio.current_task()
            assert task
            task.cancel()
            await asyncio.sleep(0)

    async def deliver(self, delivery: Delivery) -> None:
        """Deliver, with as many attempts as needed."""
        for _ in range(len(self.cuts) + 1):
            attempt = asyncio.ensure_future(self.sink.deliver(delivery))
            await asyncio.wait({attempt})
            error = None if attempt.cancelled() else attempt.exception()
            if not attempt.cancelled() and error is None:
                return
            if isinstance(error, Permanent):
                self.dead.append(delivery.signal.type)
                return
            assert attempt.cancelled() or isinstance(error, RetryLater), error
            self.sink = self.make_sink()
        raise AssertionError("more attempts than cuts")

    def state(self) -> dict[str, Any]:
        """Return the order's visible state: shipped and open quantities and tracking numbers of each line."""
        odoo = self.fake.odoo
        lines: dict[int, tuple[float, float, frozenset[str]]] = {}
        for move in odoo.moves(self.order):
            done, still, numbers = lines.get(move["sale_line_id"], (0.0, 0.0, frozenset()))
            transfer = odoo.row("stock.picking", move["picking_id"])
            found = numbers.union((transfer["carrier_tracking_ref"] or "").split(","))
            shipped = move["state"] == "done"
            quantity = move["product_uom_qty"]
            still += 0 if shipped or move["state"] == "cancel" else quantity
            lines[move["sale_line_id"]] = (done + shipped * quantity, still, found - {""})
        return {
            "order": odoo.row("sale.order", self.order)["state"],
            "lines": lines,
            "notes": Counter(note["message_id"] for note in odoo.notes(self.order)),
        }

    def activities(self) -> Counter[tuple[str, int, str]]:
        rows = self.fake.odoo.activities(self.order)
        return Counter((row["summary"], row["user_id"], row["date_deadline"]) for row in rows)


async def live(
    scenario: Scenario, version: int, deliveries: Sequence[Delivery], cuts: Mapping[int, Cut] | None = None
) -> World:
    world = World(scenario, version, cuts or {})
    for delivery in deliveries:
        await world.deliver(delivery)
    return world


def run(*args: Any) -> World:
    return asyncio.run(live(*args))


def assert_same(found: World, expected: World, deliveries: Sequence[Delivery]) -> None:
    """Compare two states, except the activities of trouble that was resolved when its signal came."""
    assert found.state() == expected.state()
    trouble = [delivery for delivery in deliveries if delivery.signal.type in signal_types.TROUBLE]
    overcome = {
        texts.summary(delivery) for delivery in trouble if not delivery.replayed and overtaken.resolved_by(delivery)
    }
    assert found.activities() == Counter(
        {key: count for key, count in expected.activities().items() if key[0] not in overcome}
    )
    assert set(found.dead) == set(expected.dead)


# -- tests


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("name", LIVES)
def test_in_order_each_life_ends_as_expected(name, version):
    scenario = LIVES[name]
    world = run(scenario, version, scenario.happen())
    state = world.state()
    assert world.dead == []
    assert set(state["notes"].values()) == {1}
    assert len(state["notes"]) == len(scenario.signals)
    assert state["order"] == ("cancel" if name == "cancelled" else "sale")
    numbers = frozenset(signal[2]["tracking"] for signal in scenario.signals if "tracking" in signal[2])
    found = [line[2] for line in state["lines"].values()]
    assert frozenset().union(*found) == numbers
    if scenario.options.get("mark_delivered"):
        assert all(still == 0 for _, still, _ in state["lines"].values())


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("name", [*LIVES, *CONTRADICTIONS])
def test_cut_at_each_call_it_ends_the_same(name, version):
    scenario = {**LIVES, **CONTRADICTIONS}[name]
    deliveries = scenario.happen()
    expected = run(scenario, version, deliveries)
    for call in range(expected.calls):
        for cut in CUTS[version]:
            found = run(scenario, version, deliveries, {call: cut})
            assert found.calls > expected.calls, "the cut was not reached"
            assert_same(found, expected, deliveries)


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("name", LIVES)
@given(data=st.data())
@settings(max_examples=15, deadline=None, derandomize=True)
def test_twice_and_shuffled_and_cut_it_ends_the_same(name, version, data):
    scenario = LIVES[name]
    signals = [delivery.signal for delivery in scenario.happen()]
    deliveries = accept(data.draw(st.permutations([*signals, *signals])))
    cuts = data.draw(st.dictionaries(st.integers(0, 120), st.sampled_from(Cut), max_size=5))
    found = run(scenario, version, deliveries, cuts)
    assert_same(found, run(scenario, version, scenario.happen()), deliveries)


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_sent_twice_ends_the_same(name, version):
    scenario = CONTRADICTIONS[name]
    signals = [delivery.signal for delivery in scenario.happen()]
    deliveries = accept([*signals, *signals])
    expected = run(scenario, version, scenario.happen())
    assert_same(run(scenario, version, deliveries), expected, deliveries)
    assert expected.dead == ([SHIPPED] if name.endswith("then shipped") else [])
    assert expected.state()["order"] == ("cancel" if name == "cancelled, then shipped" else "sale")
