"""Simulated orders tell only possible stories, and equal seeds give equal signals."""

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from itertools import chain, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import model, protocol, signal_types
from gateway.simulate import Event, disturb, simulate_orders

START = datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)

LETTERS = {
    signal_types.ITEM_VALIDATED: "V",
    signal_types.ITEM_PRODUCE: "P",
    signal_types.ITEM_ERROR: "E",
    signal_types.ITEM_PRODUCED: "D",
    signal_types.ITEM_PACKED: "K",
    signal_types.ITEM_SHIPPED: "S",
    signal_types.ITEM_DELIVERY_STARTED: "T",
    signal_types.ITEM_DELIVERY_COMPLETED: "C",
    signal_types.ITEM_DELIVERY_FAILED: "F",
    signal_types.ITEM_CANCELED: "X",
}
WHOLE = "VP(EP)*DKS(T[CF])?"
CANCELED = "V(P(EP)*(E|D)?)?X"
BROKEN_OFF = "V(P(EP)*(E|DK?)?)?"
"""Patterns of an item's signals, one letter each; BROKEN_OFF is for the items of a canceled order."""


def simulate(seed: int, orders: int, **more: str) -> list[Event]:
    return list(simulate_orders(random.Random(seed), START, DAY, orders, **more))


EVENTS = st.builds(simulate, st.integers(0, 2**32), st.integers(1, 12))


def by_order(events: list[Event]) -> dict[str, list[dict[str, str]]]:
    stories = defaultdict(list)
    for _, payload in events:
        stories[payload["order"]].append(payload)
    return stories


def by_item(story: list[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    stories = defaultdict(list)
    for payload in story:
        if "item" in payload:
            stories[payload["item"]].append(payload)
    return stories


def is_canceled(story: list[dict[str, str]]) -> bool:
    return any(payload["type"] == signal_types.ORDER_CANCELED for payload in story)


@given(EVENTS)
def test_every_payload_is_a_valid_signal_of_its_moment(events: list[Event]) -> None:
    for at, payload in events:
        signal = protocol.parse("bookshop", payload, START)
        assert signal.type in signal_types.TYPES
        assert signal.occurred_at == at.replace(microsecond=0)
        assert set(payload) - {"type"} <= {*chain(*parameters(signal.type))}


def parameters(kind: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return signal_types.TYPES[kind].required, signal_types.TYPES[kind].optional


@given(EVENTS)
def test_no_signal_comes_twice(events: list[Event]) -> None:
    identities = [model.identity_of("bookshop", payload) for _, payload in events]
    assert len(set(identities)) == len(identities)


@given(st.integers(), st.integers(1, 20))
def test_a_seed_tells_the_same_to_the_byte(seed: int, orders: int) -> None:
    assert json.dumps(simulate(seed, orders), default=str) == json.dumps(simulate(seed, orders), default=str)


def test_another_seed_tells_of_other_orders() -> None:
    assert not set(by_order(simulate(1, 50))) & set(by_order(simulate(2, 50)))


@given(EVENTS)
def test_signals_come_by_time(events: list[Event]) -> None:
    assert all(one[0] <= two[0] for one, two in pairwise(events))


@given(EVENTS)
def test_an_order_is_validated_before_anything_else(events: list[Event]) -> None:
    for story in by_order(events).values():
        assert [n for n, payload in enumerate(story) if payload["type"] == signal_types.ORDER_VALIDATED] == [0]


@given(EVENTS)
def test_nothing_follows_an_orders_cancellation_and_nothing_was_shipped(events: list[Event]) -> None:
    for story in filter(is_canceled, by_order(events).values()):
        types = [payload["type"] for payload in story]
        assert types.index(signal_types.ORDER_CANCELED) == len(types) - 1
        assert signal_types.ITEM_SHIPPED not in types


@given(EVENTS)
def test_every_item_has_a_possible_story(events: list[Event]) -> None:
    for story in by_order(events).values():
        possible = f"{WHOLE}|{CANCELED}" + (f"|{BROKEN_OFF}" if is_canceled(story) else "")
        for item in by_item(story).values():
            letters = "".join(LETTERS[payload["type"]] for payload in item)
            assert re.fullmatch(possible, letters), letters


@given(EVENTS)
def test_an_items_times_rise(events: list[Event]) -> None:
    for story in by_order(events).values():
        for item in by_item(story).values():
            assert all(one["datetime"] < two["datetime"] for one, two in pairwise(item))


@given(EVENTS)
def test_items_of_a_parcel_are_shipped_together(events: list[Event]) -> None:
    for story in by_order(events).values():
        shipped = [payload for payload in story if payload["type"] == signal_types.ITEM_SHIPPED]
        parcels = {payload["tracking"] for payload in shipped}
        assert len(parcels) <= 2
        assert len({(payload["tracking"], payload["datetime"], payload["shipping_option"]) for payload in shipped}) == (
            len(parcels)
        )


@given(EVENTS)
def test_ids_look_like_the_vendors(events: list[Event]) -> None:
    for number, story in enumerate(sorted(by_order(events).values(), key=lambda story: story[0]["order"]), 10001):
        order = story[0]["order"]
        assert re.fullmatch(r"\d{8}0000", order)
        assert {payload["order_reference"] for payload in story} == {f"PO-{number}"}
        for item, signals in by_item(story).items():
            assert re.fullmatch(order[:8] + r"000[1-4]", item)
            assert {payload["item_reference"] for payload in signals} == {f"PO-{number}-{item[-1]}"}


def test_references_take_a_prefix() -> None:
    assert {payload["order_reference"] for _, payload in simulate(1, 3, prefix="web/")} == {
        "web/10001",
        "web/10002",
        "web/10003",
    }


def test_orders_are_placed_all_over_the_time() -> None:
    placed = [at for at, payload in simulate(3, 24) if payload["type"] == signal_types.ORDER_VALIDATED]
    assert [int((at - START) / timedelta(hours=1)) for at in placed] == list(range(24))


def test_a_start_in_another_zone_is_told_in_utc() -> None:
    elsewhere = START.astimezone(timezone(timedelta(hours=5)))
    assert list(simulate_orders(random.Random(1), elsewhere, DAY, 2)) == simulate(1, 2)


def test_signals_are_made_as_they_are_asked_for() -> None:
    endless = simulate_orders(random.Random(1), START, timedelta(days=1e6), 10**9)
    assert next(endless)[1]["type"] == signal_types.ORDER_VALIDATED
    assert len(list(islice(endless, 1000))) == 1000


def test_a_busy_day_has_everything_in_it() -> None:
    events = simulate(1, 2000)
    types = Counter(payload["type"] for _, payload in events)
    canceled = (signal_types.ITEM_CANCELED, signal_types.ORDER_CANCELED)
    causes = {payload["cause"] for _, payload in events if payload["type"] in canceled}
    errors = [payload for _, payload in events if payload["type"] == signal_types.ITEM_ERROR]
    stories = by_order(events).values()
    assert set(types) == set(signal_types.TYPES)
    assert causes == {"190", *signal_types.CAUSES}
    assert {frozenset({"cause", "delay"} & set(error)) for error in errors} >= {
        frozenset({"cause", "delay"}),
        frozenset(),
    }
    assert {len(by_item(story)) for story in stories} >= {1, 2, 3, 4}
    assert any(len({p["tracking"] for p in story if "tracking" in p}) == 2 for story in stories)
    assert types[signal_types.ORDER_VALIDATED] == 2000 > 10 * types[signal_types.ORDER_CANCELED]
    assert types[signal_types.ITEM_PRODUCE] > types[signal_types.ITEM_PRODUCED] > 10 * types[signal_types.ITEM_CANCELED]


def test_no_orders_no_signals() -> None:
    assert simulate(1, 0) == []


# -- late ones and duplicates ----------------------------------------------------------------------


@given(EVENTS)
def test_undisturbed_is_unchanged(events: list[Event]) -> None:
    assert list(disturb(events, random.Random(1))) == events


@given(EVENTS)
def test_duplicates_follow_at_once(events: list[Event]) -> None:
    assert list(disturb(events, random.Random(1), duplicates=1.0)) == [event for event in events for _ in range(2)]


@given(EVENTS, st.integers())
def test_late_signals_come_after_the_next_of_their_order(events: list[Event], seed: int) -> None:
    sent = list(disturb(events, random.Random(seed), shuffle=0.3))
    assert sorted(map(repr, sent)) == sorted(map(repr, events))
    shuffled = by_order(sent)
    for order, story in by_order(events).items():
        assert all(abs(story.index(payload) - place) <= 1 for place, payload in enumerate(shuffled[order]))


def test_the_shares_are_kept() -> None:
    events = simulate(1, 1000)
    late = list(disturb(events, random.Random(2), shuffle=0.1))
    doubled = list(disturb(events, random.Random(2), duplicates=0.1))
    places = {id(event): place for place, event in enumerate(events)}
    overtaken = sum(one > two for story in places_by_order(late, places) for one, two in pairwise(story))
    assert overtaken == pytest.approx(0.08 * len(events), rel=0.1)  # a late last one, or two in a row, overtake less
    assert len(doubled) - len(events) == pytest.approx(0.1 * len(events), rel=0.1)


def places_by_order(events: list[Event], places: dict[int, int]) -> Iterable[list[int]]:
    found = defaultdict(list)
    for event in events:
        found[event[1]["order"]].append(places[id(event)])
    return found.values()
