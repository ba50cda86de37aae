"""What people read in Tryton: the note's plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway import model
from gateway.sink import Delivery, Signal

LONGEST = 1000
"""Characters kept of a field that the sender filled freely."""

EVENTS = {
    model.ORDER_VALIDATED: "order validated",
    model.ORDER_CANCELED: "order cancelled by the printer",
    model.ITEM_VALIDATED: "item validated",
    model.ITEM_PRODUCE: "item in production",
    model.ITEM_PRODUCED: "item produced",
    model.ITEM_PACKED: "item packed",
    model.ITEM_SHIPPED: "item shipped",
    model.ITEM_ERROR: "print error",
    model.ITEM_CANCELED: "item cancelled by the printer",
    model.ITEM_DELIVERY_STARTED: "item out for delivery",
    model.ITEM_DELIVERY_COMPLETED: "item delivered",
    model.ITEM_DELIVERY_FAILED: "delivery failed",
}


def tag(delivery: Delivery) -> str:
    """`[key]`, by which the signal's note is known again: the mark that all of its work is done."""
    return f"[{delivery.key}]"


def note(delivery: Delivery, remarks: Sequence[str] = (), line: int | None = None) -> str:
    """One paragraph of plain text; `remarks` say what was done or left undone, `line` which one is shipped."""
    told = [f"Cloudprinter: {describe(delivery.signal)}.", *(f"{remark}." for remark in remarks)]
    marks = [tag(delivery)] if line is None else [f"[line {line} shipped]", tag(delivery)]
    return " ".join([*told, f"Print order {clean(delivery.signal.order) or '?'}.", *marks])


def noted_line(message: str) -> int | None:
    """The line that a note says is shipped. Only what stands before the tag counts: no sender writes there."""
    match = re.search(r" \[line (\d+) shipped\] \[[0-9a-f]+\]\s*$", message)
    return int(match[1]) if match else None


def describe(signal: Signal) -> str:
    """What happened: the event, the item and what the signal tells of it."""
    parts = [EVENTS.get(signal.type, clean(signal.type))]
    if signal.item_reference or signal.item:
        parts.append(f"item {clean(signal.item_reference or signal.item or '')}")
    for label, value in (
        ("by", signal.text("shipping_option")),
        ("tracking", signal.text("tracking")),
        ("see", signal.text("url")),
        ("cause:", signal.cause),
        ("message:", signal.text("message")),
        ("expected delay in hours:", signal.text("delay")),
    ):
        if value := clean(value).rstrip("."):
            parts.append(f"{label} {value}")
    return ", ".join(parts)


def clean(text: str) -> str:
    """One line without control characters, which PostgreSQL or a note's reader can't take; cut if very long."""
    line = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", " ", text).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def merge_tracking(present: str, number: str) -> str:
    """The numbers there, then the new one unless it is among them: `A,B`. None is ever taken away."""
    numbers = [part.strip() for part in f"{present},{number}".split(",")]
    return ",".join(dict.fromkeys(part for part in numbers if part))
