"""What people read in Odoo: the note's plain text, the activity's summary and its HTML."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from gateway import model
from gateway.sink import Delivery, Signal

LONGEST = 1000
"""Characters kept of a field that the sender filled freely."""
MAX_DELAY = 365 * 24.0
MESSAGE_DOMAIN = "@cloudsignal.invalid>"
"""The end of each note's Message-Id. `.invalid` can be nobody's host (RFC 2606)."""

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

SUMMARIES = {
    model.ORDER_CANCELED: "Printer cancelled the order",
    model.ITEM_CANCELED: "Printer cancelled an item",
    model.ITEM_ERROR: "Print error",
    model.ITEM_DELIVERY_FAILED: "Delivery failed",
}
"""The types that call for a person, and what the activity says."""


def tag(delivery: Delivery) -> str:
    """`[0123456789ab]`: the beginning of the signal's key, by which its note and activity are known again."""
    return f"[{delivery.key[:12]}]"


def message_id(delivery: Delivery) -> str:
    """The note's Message-Id: the mark that all of the signal's work is done."""
    return f"<{delivery.key}{MESSAGE_DOMAIN}"


def note(delivery: Delivery, remarks: Sequence[str] = ()) -> str:
    """One paragraph of plain text, which Odoo escapes; `remarks` say what was done or left undone besides."""
    told = [f"{describe(delivery.signal)}.", *(f"{remark}." for remark in remarks)]
    return " ".join([*told, f"Print order {clean(delivery.signal.order) or '?'}.", tag(delivery)])


def opening(type: str) -> str:
    """How the note of a signal of that type begins."""
    return f"Cloudprinter: {EVENTS.get(type, clean(type))}"


def describe(signal: Signal) -> str:
    """What happened: the event, the item and what the signal tells of it."""
    parts = [opening(signal.type)]
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


def summary(delivery: Delivery) -> str:
    return f"{SUMMARIES[delivery.signal.type]} {tag(delivery)}"


def activity_html(delivery: Delivery, remarks: Sequence[str] = ()) -> str:
    """The note's text as HTML, which Odoo takes as it is: so escaped here."""
    return f"<p>{html.escape(note(delivery, remarks))}</p>"


def due_on(signal: Signal, now: float) -> date:
    """The day (UTC) by which to look into it: now, and the delay that the printer expects (hours, as text)."""
    try:
        hours = float(signal.text("delay") or 0)
    except ValueError:
        hours = 0.0
    hours = min(max(hours, 0.0), MAX_DELAY) if math.isfinite(hours) else 0.0
    return (datetime.fromtimestamp(now, UTC) + timedelta(hours=hours)).date()


def odoo_time(at: datetime) -> str:
    """`YYYY-MM-DD HH:MM:SS` in UTC: Odoo refuses ISO 8601's T and offset."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def clean(text: str) -> str:
    """One line without control characters, which PostgreSQL or a note's reader can't take; cut if very long."""
    line = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", " ", text).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def merge_tracking(present: str, number: str) -> str:
    """The numbers there, then the new one unless it is among them: `A,B`. None is ever taken away."""
    numbers = [part.strip() for part in f"{present},{number}".split(",")]
    return ",".join(dict.fromkeys(part for part in numbers if part))
