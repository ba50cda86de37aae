"""The fold of an order's signals: stages, problems, tracking; and the same state in any order of arrival."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway import signal_types as types
from gateway.order_state import (
    MOST_NUMBERS,
    WHOLE_ORDER,
    Event,
    ItemState,
    Key,
    OrderState,
    Parcel,
    State,
    fold,
    keys_of,
)

STAGES = types.STAGES


def event(type: str, at: int, item: str = "1", order: str = "A", late: bool = False, **details: str) -> Event:
    given = "" if type in (types.ORDER_VALIDATED, types.ORDER_CANCELED) else item
    return Event("shop", order, given, f"PO-{order}", given and f"ref-{given}", type, at, at + 5, late, details)


def item_after(*events: Event) -> ItemState:
    state = fold({}, events)["shop", "A", "1"]
    assert isinstance(state, ItemState)
    return state


def order_after(*events: Event) -> OrderState:
    state = fold({}, events)["shop", "A", WHOLE_ORDER]
    assert isinstance(state, OrderState)
    return state


def fold_in_batches(batches: Iterable[Iterable[Event]]) -> dict[Key, State]:
    """Fold as the follower does: of the known states, each batch gets only those it asks for."""
    states: dict[Key, State] = {}
    for batch in batches:
        events = list(batch)
        keys, orders = keys_of(events)
        states |= fold({key: state for key, state in states.items() if key in keys or key[:2] in orders}, events)
    return states


# -- items


def test_the_latest_event_decides_the_stage() -> None:
    state = item_after(event(types.ITEM_PRODUCE, 10), event(types.ITEM_SHIPPED, 30), event(types.ITEM_PRODUCED, 20))
    assert (state.stage, state.since) == (STAGES[types.ITEM_SHIPPED], 30)
    assert state.times == {types.ITEM_PRODUCE: 10, types.ITEM_SHIPPED: 30, types.ITEM_PRODUCED: 20}


def test_of_equal_times_the_stage_further_along_decides() -> None:
    state = item_after(event(types.ITEM_PACKED, 10), event(types.ITEM_VALIDATED, 10))
    assert state.stage == STAGES[types.ITEM_PACKED]


def test_an_item_that_is_printed_again_is_in_production_again() -> None:
    state = item_after(event(types.ITEM_PRODUCED, 10), event(types.ITEM_PRODUCE, 20))
    assert (state.stage, state.since) == (STAGES[types.ITEM_PRODUCE], 20)


def test_a_problem_is_open_until_the_item_goes_on() -> None:
    before = event(types.ITEM_PRODUCE, 10)
    error = event(types.ITEM_ERROR, 20, cause="Paper jam", delay="24")
    state = item_after(before, error)
    assert state.problems == 1
    assert state.stage == STAGES[types.ITEM_PRODUCE]
    assert state.problem
    assert state.problem[2:] == (types.ITEM_ERROR, "Paper jam", "", "24")
    assert item_after(error, event(types.ITEM_PRODUCED, 15)).problems == 1
    assert item_after(error, event(types.ITEM_PRODUCED, 25)).problems == 0


def test_a_failed_delivery_is_a_problem_and_keeps_its_tracking_number() -> None:
    state = item_after(
        event(types.ITEM_SHIPPED, 10, tracking="T1", shipping_option="postal"),
        event(types.ITEM_DELIVERY_FAILED, 20, tracking="T2", message="Nobody at home"),
    )
    assert state.problems == 1
    assert state.stage == STAGES[types.ITEM_SHIPPED]
    assert sorted(state.tracking) == ["T1", "T2"]


def test_a_tracking_number_keeps_the_latest_option_and_page_that_were_sent() -> None:
    state = item_after(
        event(types.ITEM_SHIPPED, 10, tracking=" T1 ", shipping_option="postal", url="https://a"),
        event(types.ITEM_DELIVERY_STARTED, 20, tracking="T1", shipping_option="express"),
    )
    assert state.tracking == {"T1": Parcel((20, "express"), (10, "https://a"))}


def test_the_number_of_tracking_numbers_is_bounded() -> None:
    many = [event(types.ITEM_SHIPPED, number, tracking=f"T{number:04}") for number in range(MOST_NUMBERS + 50)]
    assert sorted(item_after(*many).tracking) == [f"T{number:04}" for number in range(MOST_NUMBERS)]


def test_an_unknown_type_counts_and_changes_no_stage() -> None:
    state = item_after(event(types.ITEM_PRODUCE, 10), event("ItemFolded", 20))
    assert (state.stage, state.signals, state.times) == (STAGES[types.ITEM_PRODUCE], 2, {types.ITEM_PRODUCE: 10})


def test_first_and_last_seen_are_times_of_receipt() -> None:
    state = item_after(event(types.ITEM_PRODUCED, 20), event(types.ITEM_PRODUCE, 10, late=True))
    assert (state.first_seen, state.last_seen, state.signals, state.late) == (15, 25, 2, 1)


# -- orders


def test_an_order_is_as_far_as_its_least_advanced_item() -> None:
    order = order_after(
        event(types.ORDER_VALIDATED, 1), event(types.ITEM_SHIPPED, 30, "1"), event(types.ITEM_PRODUCE, 20, "2")
    )
    assert order.stage == STAGES[types.ITEM_PRODUCE]
    assert order.items == {STAGES[types.ITEM_SHIPPED]: 1, STAGES[types.ITEM_PRODUCE]: 1}
    assert (order.since, order.signals, order.reference) == (30, 3, "PO-A")


def test_an_order_without_items_is_as_far_as_its_own_signals() -> None:
    order = order_after(event(types.ORDER_VALIDATED, 1))
    assert (order.stage, order.since) == (STAGES[types.ORDER_VALIDATED], 1)


def test_canceling_an_order_cancels_its_items_also_those_that_come_later() -> None:
    states = fold(
        {},
        [
            event(types.ITEM_ERROR, 10, "1"),
            event(types.ORDER_CANCELED, 30),
            event(types.ORDER_VALIDATED, 40),
            event(types.ITEM_VALIDATED, 20, "2"),
            event(types.ITEM_SHIPPED, 50, "3"),
        ],
    )
    assert {key[2]: state.stage for key, state in states.items()} == {
        "": STAGES[types.ITEM_SHIPPED],
        "1": STAGES[types.ORDER_CANCELED],
        "2": STAGES[types.ORDER_CANCELED],
        "3": STAGES[types.ITEM_SHIPPED],
    }
    assert states["shop", "A", ""].problems == 0


def test_an_order_counts_its_items_with_open_problems() -> None:
    errors = [event(types.ITEM_ERROR, 10, "1"), event(types.ITEM_ERROR, 10, "2")]
    assert order_after(*errors).problems == 2
    assert order_after(*errors, event(types.ITEM_PRODUCED, 20, "2")).problems == 1


# -- no matter in which order

EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from([*STAGES, "Unheard"]),
        st.integers(0, 8),
        st.sampled_from(["1", "2"]),
        st.sampled_from(["A", "B"]),
        st.booleans(),
        tracking=st.sampled_from(["", "T1", "T2"]),
        url=st.sampled_from(["", "https://a", "https://b"]),
        cause=st.sampled_from(["", "jam"]),
    ),
    max_size=14,
)


@given(EVENTS, st.randoms(use_true_random=False), st.integers(1, 5))
def test_any_order_of_arrival_and_any_batches_give_the_same_states(events: list[Event], random: Any, size: int) -> None:
    expected = fold({}, events)
    shuffled = random.sample(events, len(events))
    batches = [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
    assert fold_in_batches(batches) == expected


@given(EVENTS)
def test_counts_of_an_order_agree_with_its_items(events: list[Event]) -> None:
    states = fold({}, events)
    for order in (state for state in states.values() if isinstance(state, OrderState)):
        items = [s for s in states.values() if isinstance(s, ItemState) and s.order == order.order]
        assert sum(order.items.values()) == len(items)
        assert order.problems == sum(item.problems for item in items)
        assert all(order.items[item.stage] for item in items)


@given(EVENTS, EVENTS)
def test_the_known_states_stay_as_they_are(before: list[Event], after: list[Event]) -> None:
    known = fold({}, before)
    copy = deepcopy(known)
    fold(known, after)
    assert known == copy
