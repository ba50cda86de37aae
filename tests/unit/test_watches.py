"""Watches: lateness from the times of an order's types, deadlines of print errors, and silence, given or learned."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import signal_types as types
from gateway.model import Watch
from gateway.order_state import ItemState, OrderState, Problem
from gateway.signal_types import STAGES
from gateway.watches import (
    find_lateness,
    find_silence,
    learn_silence,
    read_delay,
    show_duration,
    waiting_stages,
)

NOW = 1_795_000_000.0
HOUR = 3600.0
SHIPPING = Watch("not-shipped", types.ITEM_PRODUCED, types.ITEM_SHIPPED, 72 * HOUR)
PRODUCING = Watch("not-produced", types.ORDER_VALIDATED, types.ITEM_PRODUCE, 48 * HOUR)
MENDING = Watch("not-mended", types.ITEM_ERROR, types.ITEM_PRODUCED)


def micros(hours_ago: float) -> int:
    return round((NOW - hours_ago * HOUR) * 1e6)


def item(stage: str, *, problem: Problem | None = None, **hours_ago: float) -> ItemState:
    times = {type: micros(hours) for type, hours in hours_ago.items()}
    found = ItemState("bookshop", "1", "2", "7", STAGES.get(stage, 0), max(times.values(), default=0), times=times)
    found.problem = problem
    return found


def order(stage: str, items: dict[int, int] | None = None, **hours_ago: float) -> OrderState:
    times = {type: micros(hours) for type, hours in hours_ago.items()}
    found = OrderState("bookshop", "1", "PO-1", times=times, items=items or {})
    found.own_stage = STAGES[stage]
    return found


def error(hours_ago: float, delay: str = "", type: str = types.ITEM_ERROR) -> Problem:
    return Problem(micros(hours_ago), STAGES[type], type, "Paper jam", "", delay)


# -- lateness


def test_an_item_is_late_after_the_time_of_the_watch() -> None:
    assert find_lateness(SHIPPING, item(types.ITEM_PRODUCED, ItemProduced=71.9), NOW) is None
    found = find_lateness(SHIPPING, item(types.ITEM_PRODUCED, ItemProduced=72), NOW)
    assert found
    assert (found.key, found.order, found.item) == (("bookshop", "not-shipped", "", "1 2"), "1", "2")
    assert (found.item_reference, found.order_reference, found.severity) == ("7", "", "warning")
    assert found.message == "No ItemShipped within 72 h after ItemProduced (2026-11-15 11:06 UTC)"


def test_a_stage_between_does_not_end_the_wait_and_one_beyond_does() -> None:
    assert find_lateness(SHIPPING, item(types.ITEM_PACKED, ItemProduced=80, ItemPacked=1), NOW)
    assert not find_lateness(SHIPPING, item(types.ITEM_SHIPPED, ItemProduced=80, ItemShipped=1), NOW)
    assert not find_lateness(SHIPPING, item(types.ITEM_DELIVERY_COMPLETED, ItemProduced=80), NOW)
    assert not find_lateness(SHIPPING, item(types.ITEM_CANCELED, ItemProduced=80), NOW)


def test_what_has_not_begun_is_not_late() -> None:
    assert not find_lateness(SHIPPING, item(types.ITEM_PRODUCE, ItemProduce=99), NOW)
    assert not find_lateness(SHIPPING, item(types.ITEM_PACKED, ItemPacked=99), NOW)


def test_an_order_is_late_if_its_least_advanced_item_is() -> None:
    late = order(types.ORDER_VALIDATED, CloudprinterOrderValidated=48)
    found = find_lateness(PRODUCING, late, NOW)
    assert found
    assert (found.subject, found.order_reference, found.item) == ("1", "PO-1", "")
    produced, validated = STAGES[types.ITEM_PRODUCE], STAGES[types.ITEM_VALIDATED]
    assert not find_lateness(PRODUCING, order(types.ORDER_VALIDATED, {produced: 2}, CloudprinterOrderValidated=99), NOW)
    for least in (validated, 0):
        items = {produced: 1, least: 1}
        assert find_lateness(PRODUCING, order(types.ORDER_VALIDATED, items, CloudprinterOrderValidated=99), NOW)


def test_a_watch_of_orders_leaves_items_alone_and_one_of_items_orders() -> None:
    assert not find_lateness(PRODUCING, item(types.ITEM_VALIDATED, CloudprinterOrderValidated=99), NOW)
    assert not find_lateness(SHIPPING, order(types.ORDER_VALIDATED, {50: 1}, ItemProduced=99), NOW)


@pytest.mark.parametrize(("watch", "stages"), [(SHIPPING, (50, 70)), (PRODUCING, (0, 30)), (MENDING, (0, 50))], ids=str)
def test_a_watch_asks_for_what_waits_at_its_stages(watch: Watch, stages: tuple[int, int]) -> None:
    assert waiting_stages(watch) == stages


# -- print errors


def test_a_print_error_has_the_deadline_that_the_printer_tells() -> None:
    problem = error(24, "24")
    found = find_lateness(MENDING, item(types.ITEM_PRODUCE, problem=problem, ItemProduce=30), NOW)
    assert found
    assert found.message.startswith("No ItemProduced within 24 h after ItemError (")
    assert not find_lateness(MENDING, item(types.ITEM_PRODUCE, problem=error(24, "25"), ItemProduce=30), NOW)


def test_a_print_error_that_is_mended_is_not_late() -> None:
    mended = item(types.ITEM_PRODUCED, problem=error(24, "1"), ItemProduced=2)
    assert not find_lateness(MENDING, mended, NOW)
    resumed = item(types.ITEM_PRODUCE, problem=error(24, "1"), ItemProduce=2)
    assert not find_lateness(MENDING, resumed, NOW)


@pytest.mark.parametrize(
    ("delay", "within", "late"), [("soon", None, False), ("soon", HOUR, True), ("25", HOUR, False)]
)
def test_without_a_number_of_hours_the_watch_has_the_deadline(delay: str, within: float | None, late: bool) -> None:
    watch = Watch("not-mended", types.ITEM_ERROR, types.ITEM_PRODUCED, within)
    state = item(types.ITEM_PRODUCE, problem=error(24, delay), ItemProduce=30)
    assert bool(find_lateness(watch, state, NOW)) is late


def test_a_failed_delivery_is_no_print_error() -> None:
    failed = error(24, "1", types.ITEM_DELIVERY_FAILED)
    assert not find_lateness(MENDING, item(types.ITEM_PRODUCE, problem=failed, ItemProduce=30), NOW)


@pytest.mark.parametrize(
    ("text", "hours"),
    [("24", 24), ("1.5", 1.5), (" 48 ", 48), ("0", None), ("-3", None), ("soon", None), ("", None), ("99999", None)],
)
def test_a_delay_is_a_number_of_hours(text: str, hours: float | None) -> None:
    assert read_delay(text) == (hours and hours * HOUR)


# -- silence


def test_an_account_is_silent_after_the_time_of_the_watch() -> None:
    watch = Watch("quiet", silent_for=72 * HOUR)
    assert find_silence(watch, "bookshop", NOW - 71 * HOUR, watch.silent_for, NOW) is None
    found = find_silence(watch, "bookshop", NOW - 72 * HOUR, watch.silent_for, NOW)
    assert found
    assert (found.key, found.order) == (("bookshop", "quiet", "", ""), "")
    assert found.message == "No signal for 72 h; the last came 2026-11-15 11:06 UTC"


def test_without_a_rhythm_nobody_is_silent() -> None:
    assert find_silence(Watch("quiet"), "bookshop", 0.0, None, NOW) is None


def test_a_rhythm_is_learned_from_the_gaps_that_come_again() -> None:
    days = [day * 24 * HOUR for day in range(28) if day % 7 < 5]
    assert learn_silence(days) == 2 * 72 * HOUR  # weekends
    outage = [0.0, *(250 * HOUR + hour * HOUR for hour in range(100))]
    assert learn_silence(outage) == 6 * HOUR
    assert learn_silence(days[:3]) is None
    assert learn_silence([]) is None


@given(st.lists(st.integers(0, 28 * 24), unique=True, max_size=40))
def test_a_learned_silence_is_never_short(hours: list[int]) -> None:
    found = learn_silence([hour * HOUR for hour in sorted(hours)])
    assert found is None or found >= 6 * HOUR


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(72 * HOUR, "72 h"), (7 * 24 * HOUR, "7 d"), (90, "90 s"), (1800, "30 m"), (5400, "90 m"), (4000, "1.111 h")],
)
def test_durations_are_shown_as_the_configuration_writes_them(seconds: float, text: str) -> None:
    assert show_duration(seconds) == text


def test_a_condition_keeps_its_key_while_it_lasts() -> None:
    states: list[Any] = [item(types.ITEM_PRODUCED, ItemProduced=80), item(types.ITEM_PACKED, ItemProduced=80)]
    found = [find_lateness(SHIPPING, state, NOW + later) for state, later in zip(states, (0, 60), strict=True)]
    assert len({each.key for each in found if each}) == 1
