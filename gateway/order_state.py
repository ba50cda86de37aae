"""Order states: adds up an order's signals, purely. gateway.store.contract_orders keeps the results in a table.

An order is one `OrderState` and an `ItemState` for each item. Events go in, changed states come out.

- **Stage.** The latest event by the vendor's time decides; of equal times, the one further along. A late signal never
  moves it back. An order is as far as its least advanced item; without items, as its own signals say. Cancelling an
  order cancels its items.
- **Problem.** An error or a failed delivery. It is open until an event with a later time brings the item further.
- **No matter in which order.** Every field is a sum, a union, a minimum or a maximum over the signals. So any order of
  arrival gives the same state, if each signal is added once. Only `late` tells of arrival: it counts the signals that
  the store marked as late.

Times are whole microseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.signal_types import (
    ITEM_CANCELED,
    ITEM_DELIVERY_COMPLETED,
    ITEM_DELIVERY_STARTED,
    ITEM_PACKED,
    ITEM_PRODUCE,
    ITEM_PRODUCED,
    ITEM_SHIPPED,
    ITEM_VALIDATED,
    ORDER_CANCELED,
    ORDER_VALIDATED,
    STAGES,
    TABLE,
)

NEVER = -(10**18)
"""Microseconds that stand for a missing time, before any that a datetime can have."""
WHOLE_ORDER = ""
"""In place of an item's id, the order itself."""
PROBLEMS = frozenset(entry.name for entry in TABLE if entry.severity in ("warning", "failure"))
"""Types that open a problem and are no stage."""
PROGRESS: Mapping[str, int] = {name: stage for name, stage in STAGES.items() if name not in PROBLEMS and stage}
"""Types that are stages, with their numbers."""
OF_ORDERS = frozenset(entry.name for entry in TABLE if entry.level == "order")
DETAILED = frozenset(entry.name for entry in TABLE if {"tracking", "cause"} & {*entry.required, *entry.optional})
"""Types with a payload that matters to a state."""
CANCELED = STAGES[ORDER_CANCELED]
FINISHED = STAGES[ITEM_SHIPPED]
"""The stage from which on nobody waits for an item: many printers tell nothing of the delivery."""
PROBLEM = "problem"
WORDS: Mapping[int, str] = {
    0: "new",
    STAGES[ORDER_VALIDATED]: "validated",
    STAGES[ITEM_VALIDATED]: "validated",
    STAGES[ITEM_PRODUCE]: "in-production",
    STAGES[ITEM_PRODUCED]: "produced",
    STAGES[ITEM_PACKED]: "packed",
    STAGES[ITEM_SHIPPED]: "shipped",
    STAGES[ITEM_DELIVERY_STARTED]: "out-for-delivery",
    STAGES[ITEM_DELIVERY_COMPLETED]: "delivered",
    STAGES[ITEM_CANCELED]: "canceled",
    STAGES[ORDER_CANCELED]: "canceled",
}
"""Each stage as a state for people. An open problem comes before it, see `word_of`."""
STATES = (*dict.fromkeys(WORDS.values()), PROBLEM)
"""Every state of an order or an item."""
MOST_NUMBERS = 100
"""Tracking numbers kept of an item, the first ones in alphabetical order: a sender must not make states grow."""

Key = tuple[str, str, str]
"""Account, order and item; WHOLE_ORDER for the order itself."""


class Event(NamedTuple):
    """One signal of an order, as far as it matters. `at` is the vendor's time, else the time of receipt.

    `details` has the payload's texts under their names, such as `tracking` and `cause`. It may be empty.
    """

    account: str
    order: str
    item: str
    reference: str
    item_reference: str
    type: str
    at: int
    received_at: int
    late: bool
    details: Mapping[str, str]


class Problem(NamedTuple):
    """An error or a failed delivery. `delay` is the vendor's estimate in hours, as sent."""

    at: int
    stage: int
    type: str
    cause: str
    message: str
    delay: str


class Parcel(NamedTuple):
    """A tracking number's shipping option and page, each with the time of its signal."""

    option: tuple[int, str] = (NEVER, "")
    url: tuple[int, str] = (NEVER, "")


@dataclass(slots=True)
class ItemState:
    """The state of one item. `times` has the first time of each type; `last_seen` is a time of receipt.

    `since` is the vendor's time of the event that decided the stage, NEVER if there is none.
    """

    account: str
    order: str
    item: str
    reference: str = ""
    stage: int = 0
    since: int = NEVER
    first_seen: int = 10**18
    last_seen: int = NEVER
    signals: int = 0
    late: int = 0
    times: dict[str, int] = field(default_factory=dict)
    problem: Problem | None = None
    tracking: dict[str, Parcel] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return self.account, self.order, self.item

    @property
    def problems(self) -> int:
        """Return 1 if the item has an open problem, else 0."""
        return int(self.problem is not None and self.problem[:2] > (self.since, self.stage))

    def reach(self, at: int, stage: int) -> None:
        """Move to a stage, unless a later one is known."""
        self.since, self.stage = max((self.since, self.stage), (at, stage))


@dataclass(slots=True)
class OrderState:
    """The state of an order: of its own signals, and of its items.

    `items` counts the items by stage, `problems` those with an open problem. `since` is the latest time at which the
    order or an item reached a stage. `own_at`, `own_stage` and `canceled_at` come from the signals of the whole order.
    `signals` and `late` include the items' signals.
    """

    account: str
    order: str
    reference: str = ""
    first_seen: int = 10**18
    last_seen: int = NEVER
    signals: int = 0
    late: int = 0
    times: dict[str, int] = field(default_factory=dict)
    own_at: int = NEVER
    own_stage: int = 0
    canceled_at: int = NEVER
    since: int = NEVER
    items: dict[int, int] = field(default_factory=dict)
    problems: int = 0

    item = WHOLE_ORDER

    @property
    def key(self) -> Key:
        return self.account, self.order, WHOLE_ORDER

    @property
    def stage(self) -> int:
        """Return the stage of the least advanced item; without items, that of the order's own signals."""
        return min(self.items) if self.items else self.own_stage

    def reach(self, at: int, stage: int) -> None:
        """Take a stage of the order's own signals, unless a later one is known."""
        if (at, stage) > (self.own_at, self.own_stage):
            self.own_at, self.own_stage = at, stage
            self.since = max(self.since, at)


State = ItemState | OrderState


def word_of(state: State) -> str:
    """Return the state in a word, one of STATES. Stages of later versions are shown as the stage before."""
    if state.problems:
        return PROBLEM
    return WORDS[max(stage for stage in WORDS if stage <= state.stage)]


def stages_of(word: str) -> tuple[int, ...]:
    """Return the stages that a word of WORDS stands for."""
    return tuple(stage for stage, name in WORDS.items() if name == word)


class Fold:
    """Adds events to known states. `known` has the states of all keys that `keys_of` names, as far as there are any."""

    def __init__(self, known: Mapping[Key, State]) -> None:
        self._known = known
        self.changed: dict[Key, State] = {}

    def add(self, event: Event) -> None:
        """Add one event. Each signal may be added once."""
        order = self._order(event.account, event.order)
        saw(order, event)
        order.reference = preferred(order.reference, event.reference)
        if not event.item or event.type in OF_ORDERS:
            note_time(order, event)
            if stage := PROGRESS.get(event.type):
                order.reach(event.at, stage)
                if stage == CANCELED:
                    order.canceled_at = max(order.canceled_at, event.at)
                    self._cancel_items(order)
            return
        item = self._item(order, event.item)
        stage, problems = item.stage, item.problems
        saw(item, event)
        item.reference = preferred(item.reference, event.item_reference)
        note_time(item, event)
        if reached := PROGRESS.get(event.type):
            item.reach(event.at, reached)
        if event.details:
            note_details(item, event)
        elif event.type in PROBLEMS:
            note_problem(item, event)
        update(order, item, stage, problems)

    def _order(self, account: str, name: str) -> OrderState:
        key = (account, name, WHOLE_ORDER)
        found = self.changed.get(key)
        if found is None:
            known = self._known.get(key)
            found = self.changed[key] = OrderState(account, name) if known is None else copied(known)
        assert isinstance(found, OrderState)
        return found

    def _item(self, order: OrderState, name: str) -> ItemState:
        key = (order.account, order.order, name)
        found = self.changed.get(key)
        if found is None:
            known = self._known.get(key)
            if known is None:
                found = ItemState(*key)
                if order.canceled_at != NEVER:
                    found.reach(order.canceled_at, CANCELED)
                order.items[found.stage] = order.items.get(found.stage, 0) + 1
            else:
                found = copied(known)
            self.changed[key] = found
        assert isinstance(found, ItemState)
        return found

    def _cancel_items(self, order: OrderState) -> None:
        names = {key[2] for states in (self._known, self.changed) for key in states if key[:2] == order.key[:2]}
        for name in names - {WHOLE_ORDER}:
            item = self._item(order, name)
            stage, problems = item.stage, item.problems
            item.reach(order.canceled_at, CANCELED)
            update(order, item, stage, problems)


def fold(known: Mapping[Key, State], events: Iterable[Event]) -> dict[Key, State]:
    """Return the states that the events change, changed. `known` stays as it is."""
    adding = Fold(known)
    for event in events:
        adding.add(event)
    return adding.changed


def keys_of(events: Iterable[Event]) -> tuple[set[Key], set[tuple[str, str]]]:
    """Return the keys of the states that `fold` needs, and the orders of which it needs all items."""
    keys: set[Key] = set()
    orders = set()
    for event in events:
        keys.add((event.account, event.order, WHOLE_ORDER))
        keys.add((event.account, event.order, event.item))
        if event.type == ORDER_CANCELED:
            orders.add((event.account, event.order))
    return keys, orders


def saw(state: State, event: Event) -> None:
    """Count a signal."""
    state.first_seen = min(state.first_seen, event.received_at)
    state.last_seen = max(state.last_seen, event.received_at)
    state.signals += 1
    state.late += event.late


def note_time(state: State, event: Event) -> None:
    """Note the first time of a known type."""
    if event.type not in STAGES:
        return
    known = state.times.get(event.type)
    if known is None or event.at < known:
        state.times[event.type] = event.at


def note_details(item: ItemState, event: Event) -> None:
    """Note a tracking number and a problem."""
    details = event.details
    if number := details.get("tracking", "").strip():
        parcel = item.tracking.get(number, Parcel())
        given = [(event.at, details.get(name, "")) for name in ("shipping_option", "url")]
        pairs = zip(parcel, given, strict=True)
        item.tracking[number] = Parcel(*(max(old, new) if new[1] else old for old, new in pairs))
        if len(item.tracking) > MOST_NUMBERS:
            del item.tracking[max(item.tracking)]
    if event.type in PROBLEMS:
        note_problem(item, event)


def note_problem(item: ItemState, event: Event) -> None:
    """Keep the latest problem."""
    texts = (event.details.get(name, "") for name in ("cause", "message", "delay"))
    problem = Problem(event.at, STAGES[event.type], event.type, *texts)
    item.problem = problem if item.problem is None else max(item.problem, problem)


def update(order: OrderState, item: ItemState, stage: int, problems: int) -> None:
    """Bring an item's change into its order; it had that stage and so many open problems before."""
    if item.stage != stage:
        order.items[stage] -= 1
        if not order.items[stage]:
            del order.items[stage]
        order.items[item.stage] = order.items.get(item.stage, 0) + 1
    order.since = max(order.since, item.since)
    order.problems += item.problems - problems


def preferred(known: str, given: str) -> str:
    """Return the reference to show. If a vendor sends several, it is the last in alphabetical order."""
    return max(known, given)


def copied(state: State) -> State:
    """Return a copy to change."""
    new = copy(state)
    new.times = dict(state.times)
    if isinstance(new, ItemState):
        new.tracking = dict(new.tracking)
    else:
        new.items = dict(new.items)
    return new
