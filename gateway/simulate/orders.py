"""Realistic signals of simulated orders. Pure: the start time and the random generator are arguments."""

from __future__ import annotations

import heapq
import itertools
import random
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from gateway import signal_types

Event = tuple[datetime, dict[str, str]]
"""The time of an event (UTC), and its signal's payload without `apikey`."""

ITEM_COUNT_WEIGHTS = {1: 60, 2: 25, 3: 10, 4: 5}
"""Weights of the numbers of items in an order."""
TWO_PARCELS_SHARE = 0.4
"""Share of the orders with several items that are shipped in two parcels."""
REPRINT_SHARE = 0.08
"""Share of the items that get a print error and are produced again; of these, the same share once more."""
ITEM_CANCELED_SHARE = 0.04
ORDER_CANCELED_SHARE = 0.04
TRACKED_SHARE = 0.6
"""Share of the parcels with signals about their way to the reader (the types of v2.1)."""
NOT_DELIVERED_SHARE = 0.06
"""Share of the tracked parcels that do not arrive."""

ERROR_CAUSES = (
    "Print error, reprint needed",
    "Binding failed in quality check",
    "Cover scratched in trimming, reprint needed",
    "Paper out of stock",
)
CARRIERS = ("postal", "GLS", "DHL", "UPS", "DPD")
NUMERIC_CAUSE = "190"
"""A cancellation's cause in the vendor's own example, which is in no list of causes."""
IDS = ("order", "item", "order_reference", "item_reference")


def simulate_orders(
    rng: random.Random, start: datetime, over: timedelta, orders: int, prefix: str = "PO-"
) -> Iterator[Event]:
    """Yield the signals of orders that are placed evenly `over` a time from `start` (aware), sorted by time.

    References are the prefix and a number from 10001. Equal arguments and an equal state of `rng` give equal signals.
    """
    start = start.astimezone(UTC).replace(microsecond=0)
    first = rng.randrange(10_000_000, 90_000_000)
    serial = itertools.count()
    waiting: list[tuple[datetime, int, dict[str, str]]] = []
    for number in range(orders):
        placed = start + over * ((number + rng.random()) / orders)
        while waiting and waiting[0][0] < placed:
            at, _, payload = heapq.heappop(waiting)
            yield at, payload
        for at, payload in order_events(rng, f"{first + number}", f"{prefix}{10001 + number}", placed):
            heapq.heappush(waiting, (at, next(serial), payload))
    while waiting:
        at, _, payload = heapq.heappop(waiting)
        yield at, payload


def order_events(rng: random.Random, number: str, reference: str, placed: datetime) -> list[Event]:
    """Return one order's signals, sorted by time."""
    ids = {"order": f"{number}0000", "order_reference": reference}
    count = rng.choices(list(ITEM_COUNT_WEIGHTS), list(ITEM_COUNT_WEIGHTS.values()))[0]
    items = [
        item_events(rng, {**ids, "item": f"{number}{i:04}", "item_reference": f"{reference}-{i}"}, placed)
        for i in range(1, count + 1)
    ]
    packed = [item[-1] for item in items if item[-1][1]["type"] == signal_types.ITEM_PACKED]
    parcels = [parcel_events(rng, parcel) for parcel in split_into_parcels(rng, packed)]
    events = [make_event(signal_types.ORDER_VALIDATED, ids, {}, placed), *itertools.chain(*items, *parcels)]
    events.sort(key=lambda event: event[0])
    return end_with_cancellation(rng, ids, events) if rng.random() < ORDER_CANCELED_SHARE else events


def item_events(rng: random.Random, ids: Mapping[str, str], at: datetime) -> list[Event]:
    """Return an item's signals until it is packed, or canceled before that."""
    steps: list[tuple[str, dict[str, str], tuple[float, float]]] = [
        (signal_types.ITEM_VALIDATED, {}, (0.05, 0.5)),
        (signal_types.ITEM_PRODUCE, {}, (1, 12)),
    ]
    while rng.random() < REPRINT_SHARE:
        steps += [(signal_types.ITEM_ERROR, make_error(rng), (0.5, 4)), (signal_types.ITEM_PRODUCE, {}, (1, 24))]
    steps += [(signal_types.ITEM_PRODUCED, {}, (1, 6)), (signal_types.ITEM_PACKED, {}, (0.25, 3))]
    if rng.random() < ITEM_CANCELED_SHARE:
        steps[rng.randrange(1, len(steps)) :] = [(signal_types.ITEM_CANCELED, make_cancellation(rng), (0.25, 5))]
    events = []
    for kind, extra, hours in steps:
        at = add_hours(rng, at, *hours)
        events.append(make_event(kind, ids, extra, at))
    return events


def split_into_parcels(rng: random.Random, packed: Sequence[Event]) -> list[Sequence[Event]]:
    """Return the packed items as one parcel or two."""
    split = rng.randrange(1, len(packed)) if len(packed) > 1 and rng.random() < TWO_PARCELS_SHARE else len(packed)
    return [parcel for parcel in (packed[:split], packed[split:]) if parcel]


def parcel_events(rng: random.Random, packed: Sequence[Event]) -> list[Event]:
    """Return a parcel's signals, one per item and step. It is shipped after its last item is packed."""
    tracking = "".join(rng.choices(string.ascii_uppercase + string.digits, k=12))
    shipment = {"tracking": tracking, "shipping_option": rng.choice(CARRIERS)}
    tracked = rng.random() < TRACKED_SHARE
    if tracked:
        shipment["url"] = f"https://track.example/{tracking}"
    at = add_hours(rng, max(at for at, _ in packed), 1, 8)
    steps = [(at, signal_types.ITEM_SHIPPED, shipment)]
    if tracked:
        started = add_hours(rng, at, 2, 20)
        steps.append((started, signal_types.ITEM_DELIVERY_STARTED, shipment))
        steps.append((add_hours(rng, started, 4, 48), *choose_delivery_result(rng, shipment)))
    return [make_event(kind, payload, extra, at) for at, kind, extra in steps for _, payload in packed]


def choose_delivery_result(rng: random.Random, shipment: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Return type and fields of a tracked parcel's last signal."""
    if rng.random() < NOT_DELIVERED_SHARE:
        trouble = {"cause": "Recipient unknown", "message": "The parcel is on its way back"}
        return signal_types.ITEM_DELIVERY_FAILED, {**shipment, **trouble}
    return signal_types.ITEM_DELIVERY_COMPLETED, shipment


def end_with_cancellation(rng: random.Random, ids: Mapping[str, str], events: Sequence[Event]) -> list[Event]:
    """Cut an order's signals at a random point before anything is shipped, and append its cancellation."""
    shipped = next(
        (n for n, (_, payload) in enumerate(events) if payload["type"] == signal_types.ITEM_SHIPPED), len(events)
    )
    kept = list(events[: rng.randrange(1, shipped)])
    at = add_hours(rng, kept[-1][0], 0.1, 2)
    return [*kept, make_event(signal_types.ORDER_CANCELED, ids, make_cancellation(rng), at)]


def make_error(rng: random.Random) -> dict[str, str]:
    """Return a print error's cause and delay. Either may be missing: the protocol says they are optional."""
    error = {"cause": rng.choice(ERROR_CAUSES), "delay": rng.choice(("12", "24", "48"))}
    return {name: text for name, text in error.items() if rng.random() < 0.9}


def make_cancellation(rng: random.Random) -> dict[str, str]:
    cause = rng.choice((NUMERIC_CAUSE, *signal_types.CAUSES))
    return {"cause": cause, "message": signal_types.CAUSES.get(cause, "Canceled on request").capitalize()}


def make_event(kind: str, ids: Mapping[str, str], extra: Mapping[str, str], at: datetime) -> Event:
    """Return an event with the payload's fields in the order of the vendor's document."""
    known = {name: ids[name] for name in IDS if name in ids}
    return at, {"type": kind, **known, **extra, "datetime": at.isoformat(timespec="seconds")}


def add_hours(rng: random.Random, at: datetime, low: float, high: float) -> datetime:
    """Return a random time between `low` and `high` hours after `at`."""
    return at + timedelta(seconds=rng.randint(int(low * 3600), int(high * 3600)))


def disturb(
    events: Iterable[Event], rng: random.Random, shuffle: float = 0.0, duplicates: float = 0.0
) -> Iterator[Event]:
    """Delay a share of the events until after the next one of their order, and repeat another share at once."""
    delayed: dict[str, Event] = {}
    for event in events:
        order = event[1]["order"]
        if order not in delayed and rng.random() < shuffle:
            delayed[order] = event
            continue
        yield event
        if rng.random() < duplicates:
            yield event
        if order in delayed:
            yield delayed.pop(order)
    yield from delayed.values()
