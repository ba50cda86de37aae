"""Watches: decides which orders are late and which accounts are silent. Pure: states and a time in, conditions out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.alerts import Condition
from gateway.model import Watch
from gateway.order_state import WHOLE_ORDER, ItemState, State
from gateway.signal_types import ITEM_ERROR, STAGES, TYPES

LONGEST_DELAY = 366 * 24.0
"""Hours. A longer delay is no estimate of a printer, and is ignored."""

LEARNED_FROM = 28 * 86400.0
"""Seconds of an account's past from which its rhythm is learned: four weekends."""
GAP_NUMBER = 3
"""The gap that counts, the longest being number 1: weekends make four in the time, one-off outages are left out."""
GAP_FACTOR = 2.0
"""The account is silent after so many times that gap."""
SHORTEST_SILENCE = 6 * 3600.0
"""Seconds. No account is called silent earlier by a rhythm that was learned: counts of signals are by hour."""


def is_order_watch(watch: Watch) -> bool:
    """Return True if the watch is about whole orders, False if it is about items."""
    return TYPES[watch.after].level == "order"


def waiting_stages(watch: Watch) -> tuple[int, int]:
    """Return the stages at which items wait: the first, and the one at which they wait no more.

    A print error is no stage, so items may wait at any earlier stage. An order is as far as its least advanced item,
    which may have no stage yet.
    """
    first = 0 if watch.after == ITEM_ERROR or is_order_watch(watch) else STAGES[watch.after]
    return first, STAGES[watch.expect]


def find_lateness(watch: Watch, state: State, now: float) -> Condition | None:
    """Return the condition of an order or item that waits at a stage of the watch, None if it is not overdue.

    An item's state does not have its order's reference, so the condition has none either.
    """
    first, last = waiting_stages(watch)
    begun = began_at(watch, state)
    if begun is None or not first <= state.stage < last or is_order_watch(watch) != (state.item == WHOLE_ORDER):
        return None
    at, within = begun
    if at + within > now:
        return None
    text = f"No {watch.expect} within {show_duration(within)} after {watch.after} ({show_time(at)})"
    is_item = isinstance(state, ItemState)
    return Condition(
        state.account,
        text,
        watch=watch.name,
        subject=f"{state.order} {state.item}".strip(),
        order=state.order,
        order_reference="" if is_item else state.reference,
        item=state.item,
        item_reference=state.reference if is_item else "",
    )


def began_at(watch: Watch, state: State) -> tuple[float, float] | None:
    """Return when the time of the watch began, and its length; None if the watch does not concern the state."""
    if watch.after == ITEM_ERROR:
        if not isinstance(state, ItemState) or state.problem is None or state.problem.type != ITEM_ERROR:
            return None
        delay = read_delay(state.problem.delay)
        within = delay if delay is not None else watch.within
        return None if within is None or not state.problems else (state.problem.at / 1e6, within)
    at = state.times.get(watch.after)
    return None if at is None or watch.within is None else (at / 1e6, watch.within)


def read_delay(delay: str) -> float | None:
    """Return the seconds of a print error's delay, which is in hours; None for text that is no number of hours."""
    hours = float(delay) if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", delay.strip()) else 0.0
    return hours * 3600 if 0 < hours <= LONGEST_DELAY else None


# -- silence


def find_silence(watch: Watch, account: str, last: float, silent_for: float | None, now: float) -> Condition | None:
    """Return the condition of an account without a signal since `last`; None if it is not silent for too long.

    `silent_for` is the watch's own time, or the learned one; None if nothing was learned yet.
    """
    if silent_for is None or last + silent_for > now:
        return None
    text = f"No signal for {show_duration(silent_for)}; the last came {show_time(last)}"
    return Condition(account, text, watch=watch.name)


def learn_silence(hours: Sequence[float]) -> float | None:
    """Return the seconds after which an account is silent, from the hours in which it had signals, in order.

    The hours begin in the last LEARNED_FROM before the last signal. None if there are too few to tell a rhythm.
    """
    gaps = sorted((after - before for before, after in itertools.pairwise(hours)), reverse=True)
    if len(gaps) < GAP_NUMBER:
        return None
    return max(SHORTEST_SILENCE, GAP_FACTOR * gaps[GAP_NUMBER - 1])


# -- words


def show_duration(seconds: float) -> str:
    """Return a duration as the configuration writes it: 72h, 3d, 1.5h."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length and seconds % length == 0 and (unit != "d" or seconds > 3 * length):
            return f"{seconds / length:g} {unit}"
    return f"{seconds / 3600:.4g} h" if seconds >= 3600 else f"{seconds:g} s"


def show_time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
