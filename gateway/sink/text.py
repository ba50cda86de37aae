"""Words for people: what a signal tells, as a note or a task in a target has it, and what a target says itself."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.model import Delivery, Signal
from gateway.signal_types import signal_type

SENDER = "Cloudprinter"
LONGEST = 1000
"""Characters kept of a field that the sender filled freely."""
LONGEST_ANSWER = 300
"""Characters kept of a target's own message."""


def describe_type(type: str) -> str:
    """Return a type's event in a few words, such as "item shipped"; for an unknown type, its name."""
    return one_line(signal_type(type).words)


def note_prefix(type: str) -> str:
    """How a note of `compose_note`'s on a signal of that type begins."""
    return f"{SENDER}: {describe_type(type)}"


def describe_signal(signal: Signal) -> str:
    """What happened: the event, the item and what the signal tells of it."""
    parts = [describe_type(signal.type)]
    if signal.item_reference or signal.item:
        parts.append(f"item {one_line(signal.item_reference or signal.item or '')}")
    for label, value in (
        ("by", signal.text("shipping_option")),
        ("tracking", signal.text("tracking")),
        ("see", signal.text("url")),
        ("cause:", signal.cause),
        ("message:", signal.text("message")),
        ("expected delay in hours:", signal.text("delay")),
    ):
        if value := one_line(value).rstrip("."):
            parts.append(f"{label} {value}")
    return ", ".join(parts)


def compose_note(delivery: Delivery, remarks: Iterable[str], *marks: str) -> str:
    """A paragraph on a delivery. `remarks` say what the sink did or left undone; by the `marks` the note is found."""
    told = [f"{SENDER}: {describe_signal(delivery.signal)}.", *(f"{remark}." for remark in remarks)]
    return " ".join([*told, f"Print order {one_line(delivery.signal.order) or '?'}.", *marks])


def one_line(text: str) -> str:
    """One line without control characters, which PostgreSQL or a note's reader can't take; cut if very long."""
    line = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", " ", text).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def first_line(message: object, secrets: Iterable[str]) -> str:
    """The first line of what a target said, short and without the secrets that it was sent; "" for nothing."""
    lines = [line.strip() for line in str(message or "").splitlines()]
    text = next((line for line in lines if line), "")
    for secret in secrets:
        text = text.replace(secret, "***")
    return " ".join(text.split())[:LONGEST_ANSWER]


def has_tracking(present: str, number: str) -> bool:
    """Return True if the comma-joined numbers include the new one."""
    return merge_tracking(present, number) == merge_tracking(present, "")


def merge_tracking(present: str, number: str) -> str:
    """The numbers there, then the new one unless it is among them: `A,B`. None is ever taken away."""
    numbers = [part.strip() for part in f"{present},{number}".split(",")]
    return ",".join(dict.fromkeys(part for part in numbers if part))
