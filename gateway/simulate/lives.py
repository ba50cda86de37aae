"""Realistic lives of orders, as the signals that tell them. Pure: time and chance are given."""

from __future__ import annotations

import heapq
import itertools
import random
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from gateway import signal_types

Event = tuple[datetime, dict[str, str]]
"""When something happened (UTC), and the signal's payload without `apikey`."""

ITEMS = {1: 60, 2: 25, 3: 10, 4: 5}
"""How many items orders have, weighted."""
TWO_PARCELS = 0.4
"""Share of the orders with several items; the shares below are of items, parcels or orders likewise."""
REPRINTED = 0.08
ITEM_CANCELED = 0.04
ORDER_CANCELED = 0.04
FOLLOWED = 0.6
"""Parcels with signals of v2.1, on the way to the reader."""
NOT_DELIVERED = 0.06

ERRORS = (
    "Print error, reprint needed",
    "Binding failed in quality check",
    "Cover scratched in trimming, reprint needed",
    "Paper out of stock",
)
CARRIERS = ("postal", "GLS", "DHL", "UPS", "DPD")
CANCEL_CODE = "190"
IDS = ("order", "item", "order_reference", "item_reference")


def order_lives(
    rng: random.Random, start: datetime, over: timedelta, orders: int, prefix: str = "PO-"
) -> Iterator[Event]:
    """The signals of orders placed evenly `over` a time from `start` (aware), by when they happened.

    References are the prefix and a number from 10001. The same arguments, and state of `rng`, give the same signals.
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
        for at, payload in play_order(rng, f"{first + number}", f"{prefix}{10001 + number}", placed):
            heapq.heappush(waiting, (at, next(serial), payload))
    while waiting:
        at, _, payload = heapq.heappop(waiting)
        yield at, payload


def play_order(rng: random.Random, number: str, reference: str, placed: datetime) -> list[Event]:
    """One order's signals, by when they happened."""
    ids = {"order": f"{number}0000", "order_reference": reference}
    count = rng.choices(list(ITEMS), list(ITEMS.values()))[0]
    items = [
        play_item(rng, {**ids, "item": f"{number}{i:04}", "item_reference": f"{reference}-{i}"}, placed)
        for i in range(1, count + 1)
    ]
    packed = [item[-1] for item in items if item[-1][1]["type"] == signal_types.ITEM_PACKED]
    parcels = [play_parcel(rng, parcel) for parcel in fill_parcels(rng, packed)]
    events = [make_event(signal_types.ORDER_VALIDATED, ids, {}, placed), *itertools.chain(*items, *parcels)]
    events.sort(key=lambda event: event[0])
    return cancel(rng, ids, events) if rng.random() < ORDER_CANCELED else events


def play_item(rng: random.Random, ids: Mapping[str, str], at: datetime) -> list[Event]:
    """An item's signals until it is packed, or canceled on the way."""
    steps: list[tuple[str, dict[str, str], tuple[float, float]]] = [
        (signal_types.ITEM_VALIDATED, {}, (0.05, 0.5)),
        (signal_types.ITEM_PRODUCE, {}, (1, 12)),
    ]
    while rng.random() < REPRINTED:
        steps += [(signal_types.ITEM_ERROR, make_error(rng), (0.5, 4)), (signal_types.ITEM_PRODUCE, {}, (1, 24))]
    steps += [(signal_types.ITEM_PRODUCED, {}, (1, 6)), (signal_types.ITEM_PACKED, {}, (0.25, 3))]
    if rng.random() < ITEM_CANCELED:
        steps[rng.randrange(1, len(steps)) :] = [(signal_types.ITEM_CANCELED, make_cancellation(rng), (0.25, 5))]
    events = []
    for kind, extra, hours in steps:
        at = later(rng, at, *hours)
        events.append(make_event(kind, ids, extra, at))
    return events


def fill_parcels(rng: random.Random, packed: Sequence[Event]) -> list[Sequence[Event]]:
    """The packed items in one parcel or two."""
    split = rng.randrange(1, len(packed)) if len(packed) > 1 and rng.random() < TWO_PARCELS else len(packed)
    return [parcel for parcel in (packed[:split], packed[split:]) if parcel]


def play_parcel(rng: random.Random, packed: Sequence[Event]) -> list[Event]:
    """A parcel's signals, each once an item: it is shipped when its last item is packed."""
    tracking = "".join(rng.choices(string.ascii_uppercase + string.digits, k=12))
    shipment = {"tracking": tracking, "shipping_option": rng.choice(CARRIERS)}
    followed = rng.random() < FOLLOWED
    if followed:
        shipment["url"] = f"https://track.example/{tracking}"
    at = later(rng, max(at for at, _ in packed), 1, 8)
    steps = [(at, signal_types.ITEM_SHIPPED, shipment)]
    if followed:
        started = later(rng, at, 2, 20)
        steps.append((started, signal_types.ITEM_DELIVERY_STARTED, shipment))
        steps.append((later(rng, started, 4, 48), *end_delivery(rng, shipment)))
    return [make_event(kind, payload, extra, at) for at, kind, extra in steps for _, payload in packed]


def end_delivery(rng: random.Random, shipment: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The type and the fields of a delivery's last signal."""
    if rng.random() < NOT_DELIVERED:
        trouble = {"cause": "Recipient unknown", "message": "The parcel is on its way back"}
        return signal_types.ITEM_DELIVERY_FAILED, {**shipment, **trouble}
    return signal_types.ITEM_DELIVERY_COMPLETED, shipment


def cancel(rng: random.Random, ids: Mapping[str, str], events: Sequence[Event]) -> list[Event]:
    """An order's signals up to some moment before anything is shipped, and then its cancellation."""
    shipped = next(
        (n for n, (_, payload) in enumerate(events) if payload["type"] == signal_types.ITEM_SHIPPED), len(events)
    )
    kept = list(events[: rng.randrange(1, shipped)])
    at = later(rng, kept[-1][0], 0.1, 2)
    return [*kept, make_event(signal_types.ORDER_CANCELED, ids, make_cancellation(rng), at)]


def make_error(rng: random.Random) -> dict[str, str]:
    """Cause and delay; either may be missing, as the protocol has it."""
    error = {"cause": rng.choice(ERRORS), "delay": rng.choice(("12", "24", "48"))}
    return {name: text for name, text in error.items() if rng.random() < 0.9}


def make_cancellation(rng: random.Random) -> dict[str, str]:
    cause = rng.choice((CANCEL_CODE, *signal_types.CAUSES))
    return {"cause": cause, "message": signal_types.CAUSES.get(cause, "Canceled on request").capitalize()}


def make_event(kind: str, ids: Mapping[str, str], extra: Mapping[str, str], at: datetime) -> Event:
    """Fields in the order in which the vendor's document shows them."""
    known = {name: ids[name] for name in IDS if name in ids}
    return at, {"type": kind, **known, **extra, "datetime": at.isoformat(timespec="seconds")}


def later(rng: random.Random, at: datetime, low: float, high: float) -> datetime:
    """Between `low` and `high` hours after."""
    return at + timedelta(seconds=rng.randint(int(low * 3600), int(high * 3600)))


def disturb(
    events: Iterable[Event], rng: random.Random, shuffle: float = 0.0, duplicates: float = 0.0
) -> Iterator[Event]:
    """The events with a share coming late, after the next of the same order, and a share coming twice."""
    held: dict[str, Event] = {}
    for event in events:
        order = event[1]["order"]
        if order not in held and rng.random() < shuffle:
            held[order] = event
            continue
        yield event
        if rng.random() < duplicates:
            yield event
        if order in held:
            yield held.pop(order)
    yield from held.values()
