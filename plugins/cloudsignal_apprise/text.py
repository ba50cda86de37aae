"""The message's title and body: templates, whose `{names}` stand for what is known of the signal."""

from __future__ import annotations

import re

import voluptuous as vol

from gateway.sink import Delivery

NAMES = (
    "type",
    "account",
    "order",
    "order_reference",
    "item",
    "item_reference",
    "cause",
    "message",
    "delay",
    "tracking",
    "shipping_option",
    "url",
    "time",
)
BRACED = re.compile(r"\{(\w*)\}")

TITLE = "{type}: {order_reference}"
BODY = """\
Account: {account}
Order: {order_reference} ({order})
Item: {item_reference} ({item})
Cause: {cause}
Message: {message}
Delay in hours: {delay}
Tracking: {tracking} ({shipping_option})
Tracking page: {url}
Time: {time}
"""


def template(value: object) -> str:
    """Text in which each name in braces is known."""
    if not isinstance(value, str) or not value.strip():
        raise vol.Invalid("expected text")
    if set(BRACED.findall(value)) - set(NAMES):
        raise vol.Invalid(f"expected no names in braces but: {', '.join(NAMES)}")
    return value


def fill(template: str, delivery: Delivery) -> str:
    """The template filled; a line whose names all stand for nothing is left out."""
    known = describe(delivery)
    lines = []
    for line in template.splitlines():
        names = BRACED.findall(line)
        if not names or any(known[name] for name in names):
            filled = BRACED.sub(lambda match: known[match[1]], line)
            lines.append(filled.replace(" ()", "").rstrip())
    return "\n".join(lines)


def describe(delivery: Delivery) -> dict[str, str]:
    """A text a name; what the sender wrote is put on one line, without control characters."""
    signal = delivery.signal
    texts = {
        **{name: signal.text(name) for name in NAMES},
        "type": signal.type,
        "account": signal.account,
        "order": signal.order,
        "order_reference": signal.order_reference,
        "item": signal.item or "",
        "item_reference": signal.item_reference or "",
        "cause": signal.cause,
        "time": signal.at.strftime("%Y-%m-%d %H:%M UTC"),
    }
    return {name: " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text).split()) for name, text in texts.items()}
