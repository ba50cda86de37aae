"""The JSON of orders, their items and their timelines; gateway.operate.views has the other kinds."""

from __future__ import annotations

from typing import Any

from gateway.operate.orders import OrderDetails, Rebuilt, TimelineEntry
from gateway.operate.views import attempt_json, explanation_json, iso
from gateway.order_state import NEVER, PROGRESS, WORDS, ItemState, OrderState, State, word_of

OF_SIGNAL = ("signal", "type", "order", "order_reference")
"""Fields of an explanation that tell of its signal."""
TYPE_OF = {stage: name for name, stage in PROGRESS.items()}
"""The signal type of each stage."""


def time_json(micros: int) -> str | None:
    """Return a state's time in ISO 8601, null for a missing one."""
    return None if micros == NEVER else iso(micros / 1e6)


def state_json(state: State) -> dict[str, Any]:
    """Return the fields that orders and items have both."""
    return {
        "state": word_of(state),
        "stage": TYPE_OF.get(state.stage),
        "since": time_json(state.since),
        "problems": state.problems,
        "first_seen": time_json(state.first_seen),
        "last_seen": time_json(state.last_seen),
        "signals": state.signals,
        "late": state.late,
        "times": {name: time_json(at) for name, at in sorted(state.times.items(), key=lambda pair: pair[1])},
    }


def order_json(order: OrderState) -> dict[str, Any]:
    """Return an order as listed, with the number of its items by state."""
    stages: dict[str, int] = {}
    for stage, number in sorted(order.items.items()):
        word = WORDS.get(stage, str(stage))
        stages[word] = stages.get(word, 0) + number
    names = {"account": order.account, "order": order.order, "order_reference": order.reference}
    return {**names, **state_json(order), "stages": stages}


def item_json(item: ItemState) -> dict[str, Any]:
    """Return an item with its tracking numbers and its latest problem."""
    problem = item.problem
    return {
        "item": item.item,
        "item_reference": item.reference,
        **state_json(item),
        "tracking": [
            {"number": number, "shipping_option": parcel.option[1] or None, "url": parcel.url[1] or None}
            for number, parcel in sorted(item.tracking.items())
        ],
        "problem": problem
        and {
            "type": problem.type,
            "at": time_json(problem.at),
            "open": bool(item.problems),
            "cause": problem.cause or None,
            "message": problem.message or None,
            "delay": problem.delay or None,
        },
    }


def entry_json(entry: TimelineEntry) -> dict[str, Any]:
    """Return a signal of the timeline with each route."""
    row = entry.explained.row
    signal = row.signal
    routes = [
        {
            **{name: value for name, value in explanation_json(row, route).items() if name not in OF_SIGNAL},
            "failed_attempts": [attempt_json(attempt) for attempt in entry.attempts.get(route.route, ())],
        }
        for route in entry.explained.routes
    ]
    return {
        "signal": signal.id,
        "type": signal.type,
        "item": signal.item,
        "occurred_at": signal.occurred_at.isoformat() if signal.occurred_at else None,
        "received_at": signal.received_at.isoformat(),
        "late": signal.late,
        "routes": routes,
    }


def order_details_json(details: OrderDetails) -> dict[str, Any]:
    """Return an order with its items and its timeline. Without a state yet, the fields of a state are missing."""
    names = {"account": details.account, "order": details.order, "state": None}
    return {
        **(order_json(details.state) if details.state else names),
        "items": [item_json(item) for item in details.items],
        "timeline": [entry_json(entry) for entry in details.timeline],
    }


def rebuilt_json(rebuilt: Rebuilt) -> dict[str, Any]:
    """Return the end of making states anew."""
    return {"orders": rebuilt.done, "finished": rebuilt.finished}
