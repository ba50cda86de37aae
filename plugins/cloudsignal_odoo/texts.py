"""What people read in Odoo: the note's plain text, the activity's summary and its HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from gateway.sink import Delivery, Signal, compose_note, signal_type

MAX_DELAY_HOURS = 365 * 24.0
MESSAGE_DOMAIN = "@cloudsignal.invalid>"
"""The end of each note's Message-Id. `.invalid` can be nobody's host (RFC 2606)."""


def tag(delivery: Delivery) -> str:
    """`[0123456789ab]`: the beginning of the signal's key, by which its note and activity are known again."""
    return f"[{delivery.key[:12]}]"


def message_id(delivery: Delivery) -> str:
    """The note's Message-Id: the mark that all of the signal's work is done."""
    return f"<{delivery.key}{MESSAGE_DOMAIN}"


def note(delivery: Delivery, remarks: Sequence[str] = ()) -> str:
    """One paragraph of plain text, which Odoo escapes; `remarks` say what was done or left undone besides."""
    return compose_note(delivery, remarks, tag(delivery))


def summary(delivery: Delivery) -> str:
    """Return an activity's summary: the trouble, and the signal's tag."""
    kind = signal_type(delivery.signal.type)
    canceled = {"order": "Printer cancelled the order", "item": "Printer cancelled an item"}[kind.level]
    return f"{canceled if kind.severity == 'canceled' else kind.title} {tag(delivery)}"


def activity_html(delivery: Delivery, remarks: Sequence[str] = ()) -> str:
    """The note's text as HTML, which Odoo takes as it is: so escaped here."""
    return f"<p>{html.escape(note(delivery, remarks))}</p>"


def due_on(signal: Signal, now: float) -> date:
    """The day (UTC) by which to look into it: now, and the delay that the printer expects (hours, as text)."""
    try:
        hours = float(signal.text("delay") or 0)
    except ValueError:
        hours = 0.0
    hours = min(max(hours, 0.0), MAX_DELAY_HOURS) if math.isfinite(hours) else 0.0
    return (datetime.fromtimestamp(now, UTC) + timedelta(hours=hours)).date()


def odoo_time(at: datetime) -> str:
    """`YYYY-MM-DD HH:MM:SS` in UTC: Odoo refuses ISO 8601's T and offset."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
