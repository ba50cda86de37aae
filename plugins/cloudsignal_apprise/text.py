"""The message's title and body: templates with placeholders such as `{order}` for the signal's fields."""

from __future__ import annotations

import re

import voluptuous as vol

from gateway.sink import Delivery, one_line, shaped

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
    "watch",
    "state",
    "route",
    "tracking",
    "shipping_option",
    "url",
    "time",
)
MAX_VALUE = 5000
"""Characters of a value in a message: the longest cause or message that the gateway accepts, and room for words."""

PLACEHOLDER = re.compile(r"\{(\w*)\}")

TITLE = "{type}: {order_reference}"
BODY = """\
Account: {account}
Order: {order_reference} ({order})
Item: {item_reference} ({item})
Cause: {cause}
Message: {message}
Watch: {watch}
State: {state}
Route: {route}
Delay in hours: {delay}
Tracking: {tracking} ({shipping_option})
Tracking page: {url}
Time: {time}
"""


@shaped(type="string", pattern=r"\S")
def template(value: object) -> str:
    """Check a template: text with no placeholders but the known ones."""
    if not isinstance(value, str) or not value.strip():
        raise vol.Invalid("expected text")
    if set(PLACEHOLDER.findall(value)) - set(NAMES):
        raise vol.Invalid(f"expected no names in braces but: {', '.join(NAMES)}")
    return value


def fill(template: str, delivery: Delivery) -> str:
    """Fill a template. A line is left out if it has placeholders and all of them are empty."""
    values = values_of(delivery)
    lines = []
    for line in template.splitlines():
        names = PLACEHOLDER.findall(line)
        if not names or any(values[name] for name in names):
            filled = PLACEHOLDER.sub(lambda match: values[match[1]], line)
            lines.append(filled.replace(" ()", "").rstrip())
    return "\n".join(lines)


def values_of(delivery: Delivery) -> dict[str, str]:
    """Return the value of each placeholder: one line, without control characters."""
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
    return {name: one_line(text, MAX_VALUE) for name, text in texts.items()}
