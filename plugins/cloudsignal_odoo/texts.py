"""The texts in Odoo: a note in plain text, an activity's summary, and an activity in HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from gateway.sink import Delivery, Signal, compose_note, signal_type

MAX_DELAY_HOURS = 365 * 24.0
"""Hours; a longer delay named by the printer counts as a year, so that the due date exists."""
MESSAGE_DOMAIN = "@cloudsignal.invalid>"
"""The end of each note's Message-Id. No host can have a name in `.invalid` (RFC 2606)."""


def tag(delivery: Delivery) -> str:
    """Return `[0123456789ab]`: the beginning of the signal's key, by which its note and activity are found again."""
    return f"[{delivery.key[:12]}]"


def message_id(delivery: Delivery) -> str:
    """Return the note's Message-Id, the mark that all of the signal's work is done."""
    return f"<{delivery.key}{MESSAGE_DOMAIN}"


def note(delivery: Delivery, remarks: Sequence[str] = ()) -> str:
    """Return one paragraph of plain text, which Odoo escapes. `remarks` add what was done or left undone."""
    return compose_note(delivery, remarks, tag(delivery))


def summary(delivery: Delivery) -> str:
    """Return an activity's summary: the trouble, and the signal's tag."""
    kind = signal_type(delivery.signal.type)
    canceled = {"order": "Printer cancelled the order", "item": "Printer cancelled an item"}[kind.level]
    return f"{canceled if kind.severity == 'canceled' else kind.title} {tag(delivery)}"


def activity_html(delivery: Delivery) -> str:
    """Return the note's text as HTML. Odoo does not escape an activity, so the text is escaped here."""
    return f"<p>{html.escape(note(delivery))}</p>"


def due_on(signal: Signal, now: float) -> date:
    """Return an activity's due date (UTC): now plus the delay that the printer expects, in hours as text."""
    try:
        hours = float(signal.text("delay") or 0)
    except ValueError:
        hours = 0.0
    hours = min(max(hours, 0.0), MAX_DELAY_HOURS) if math.isfinite(hours) else 0.0
    return (datetime.fromtimestamp(now, UTC) + timedelta(hours=hours)).date()


def odoo_time(at: datetime) -> str:
    """Return `YYYY-MM-DD HH:MM:SS` in UTC: Odoo refuses ISO 8601's T and offset."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
