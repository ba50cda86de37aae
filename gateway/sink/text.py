"""Texts for people: a signal as a note in a target, and a target's own message in an error."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.model import Delivery, Signal
from gateway.signal_types import GATEWAY_ALERT, Severity, signal_type
from gateway.sink.masking import mask_secrets

SENDER = "Cloudprinter"
MAX_FIELD_LENGTH = 1000
"""Characters of a free-text field that `one_line` keeps: enough to read, and short enough for a note."""
MAX_MESSAGE_LENGTH = 300
"""Characters of a target's own message that `first_line` keeps: logs and dead letters repeat it."""
MAX_SEARCHED_LENGTH = 20_000
"""Characters of a message that are searched for its first line and for secrets. A longer one would take too long."""
MAX_SPELLING = 12
"""Characters that one character of a secret has in its longest usual spelling."""


CLEARED_ICON = "✅"


def is_cleared(signal: Signal) -> bool:
    """Return True for an alert of the gateway whose condition is over: good news, of a type that tells of trouble."""
    return signal.type == GATEWAY_ALERT and signal.text("state") == "cleared"


def severity_of(signal: Signal) -> Severity:
    """Return the severity of a signal: that of its type, and "info" for an alert that is cleared."""
    return "info" if is_cleared(signal) else signal_type(signal.type).severity


def title_of(signal: Signal) -> str:
    """Return the headline of a signal: its type's title, and for an alert the name of its watch or its cause."""
    if signal.type != GATEWAY_ALERT:
        return one_line(signal_type(signal.type).title)
    return f"Alert {one_line(signal.text('watch') or signal.text('cause'))}".strip()


def icon_of(signal: Signal) -> str:
    """Return an emoji for trouble, a tick for an alert that is cleared, "" for progress."""
    return CLEARED_ICON if is_cleared(signal) else signal_type(signal.type).icon


def describe_type(type: str) -> str:
    """Return a type's event in a few words, such as "item shipped"; for an unknown type, its name."""
    return one_line(signal_type(type).words)


def note_prefix(type: str) -> str:
    """Return the beginning of the notes that `compose_note` writes on signals of that type."""
    return f"{SENDER}: {describe_type(type)}"


def describe_signal(signal: Signal) -> str:
    """Describe a signal in a phrase: the event, the item, and the signal's details."""
    parts = [describe_type(signal.type)]
    if signal.item_reference or signal.item:
        parts.append(f"item {one_line(signal.item_reference or signal.item or '')}")
    for label, value in (
        ("shipping option:", signal.text("shipping_option")),
        ("tracking number:", signal.text("tracking")),
        ("tracking page:", signal.text("url")),
        ("cause:", signal.cause),
        ("message:", signal.text("message")),
        ("expected delay in hours:", signal.text("delay")),
    ):
        if value := one_line(value).rstrip("."):
            parts.append(f"{label} {value}")
    if signal.missing:
        parts.append(f"missing in the signal: {', '.join(signal.missing)}")
    return ", ".join(parts)


def compose_note(delivery: Delivery, remarks: Iterable[str], *marks: str) -> str:
    """Compose a paragraph about a delivery: the signal, the sink's `remarks`, and `marks` to find the note by."""
    sentences = [f"{SENDER}: {describe_signal(delivery.signal)}.", *(f"{remark}." for remark in remarks)]
    return " ".join([*sentences, f"Print order {one_line(delivery.signal.order) or '?'}.", *marks])


def one_line(text: str, limit: int = MAX_FIELD_LENGTH) -> str:
    """Return text as one line of at most `limit` characters, without control characters: databases may refuse them."""
    line = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", " ", text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def first_line(message: object, secrets: Iterable[str]) -> str:
    """Return the first line of a target's message, with secrets masked and then shortened; "" for an empty one."""
    text, known = str(message or ""), list(secrets)
    masked = mask_secrets(text[:MAX_SEARCHED_LENGTH], known)
    if len(text) > MAX_SEARCHED_LENGTH:  # a secret may be cut in half there
        masked = masked[: -max([1, *(MAX_SPELLING * len(secret) for secret in known)])]
    lines = (one_line(line, MAX_MESSAGE_LENGTH) for line in masked.splitlines())
    return next(filter(None, lines), "")
