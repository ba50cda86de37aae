"""A signal as a message: Block Kit, with a plain text for notifications."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from slack_sdk.models.blocks import (
    Block,
    ContextBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)

from cloudsignal_slack.text import escape, one_line
from gateway import model
from gateway.sink import ALERTS, Delivery, Signal

TITLES = {
    model.ORDER_VALIDATED: "Order validated",
    model.ORDER_CANCELED: "Order cancelled",
    model.ITEM_VALIDATED: "Item validated",
    model.ITEM_PRODUCE: "Item in production",
    model.ITEM_PRODUCED: "Item produced",
    model.ITEM_PACKED: "Item packed",
    model.ITEM_SHIPPED: "Item shipped",
    model.ITEM_ERROR: "Print error",
    model.ITEM_CANCELED: "Item cancelled",
    model.ITEM_DELIVERY_STARTED: "Item out for delivery",
    model.ITEM_DELIVERY_COMPLETED: "Item delivered",
    model.ITEM_DELIVERY_FAILED: "Delivery failed",
}
TROUBLE = {
    model.ITEM_ERROR: "⚠️",
    model.ITEM_DELIVERY_FAILED: "⚠️",
    model.ITEM_CANCELED: "❌",
    model.ORDER_CANCELED: "❌",
}

HEADER = HeaderBlock.text_max_length
SECTION = SectionBlock.text_max_length
FIELD = 600
"""Of the 2000 characters that a section's field may have: more is no overview."""
FALLBACK = 1000


def build_message(delivery: Delivery, mentions: Sequence[str] = ()) -> dict[str, Any]:
    """The webhook's payload. `mentions` are in Slack's syntax and stand on top of an alert.

    Raises slack_sdk's SlackObjectFormationError where a block were beyond Slack's limits.
    """
    signal = delivery.signal
    blocks: list[Block] = [HeaderBlock(text=PlainTextObject(text=escape(headline(signal), HEADER), emoji=False))]
    if mentions and signal.type in ALERTS:
        blocks.append(SectionBlock(text=markdown(" ".join(mentions))))
    blocks.append(SectionBlock(fields=[markdown(f"*{name}*\n{text}") for name, text in fields(signal)]))
    blocks.extend(SectionBlock(text=markdown(text)) for text in told(signal))
    footer = escape(f"CloudSignal · {signal.account} · {delivery.route} · signal {signal.id}", FIELD)
    blocks.append(ContextBlock(elements=[markdown(footer)]))
    return {"text": escape(summary(signal), FALLBACK), "blocks": [block.to_dict() for block in blocks]}


def markdown(text: str) -> MarkdownTextObject:
    """Verbatim: Slack makes no links and no mentions of names and addresses that it finds in the text."""
    return MarkdownTextObject(text=text, verbatim=True)


def title(signal: Signal) -> str:
    return TITLES.get(signal.type) or one_line(signal.type)


def headline(signal: Signal) -> str:
    """What happened to which order, in a line."""
    reference = one_line(signal.order_reference or signal.order)
    marked = f"{TROUBLE[signal.type]} {title(signal)}" if signal.type in TROUBLE else title(signal)
    return f"{marked}: {reference}" if reference else marked


def summary(signal: Signal) -> str:
    """What a notification says."""
    why = one_line(signal.cause or signal.text("message"))
    line = f"{headline(signal)} ({signal.account})"
    return f"{line}: {why}" if why else line


def fields(signal: Signal) -> Iterator[tuple[str, str]]:
    """Name and text of what is known of the signal, at most ten, escaped."""
    known = {
        "Account": signal.account,
        "Order reference": signal.order_reference,
        "Order": signal.order,
        "Item": signal.item or "",
        "Item reference": signal.item_reference or "",
        "Tracking": signal.text("tracking"),
        "Shipping": signal.text("shipping_option"),
        "Tracking page": signal.text("url"),
        "Expected delay": in_hours(signal.text("delay")),
    }
    for name, text in known.items():
        if line := one_line(text):
            yield name, escape(line, FIELD)
    yield "Time", when(signal)


def told(signal: Signal) -> Iterator[str]:
    """The cause in words and the printer's message, each a section's text."""
    for name, text in (("Cause", signal.cause), ("Message", signal.text("message"))):
        if text.strip():
            yield f"*{name}*\n{escape(text, SECTION - len(name) - 3)}"


def in_hours(delay: str) -> str:
    """The sender gives the delay in hours, as text; what is no number is shown as it came."""
    if re.fullmatch(r"\d{1,6}", delay):
        return "1 hour" if int(delay) == 1 else f"{int(delay)} hours"
    return delay


def when(signal: Signal) -> str:
    """The time, shown to each reader in their own zone; in UTC where Slack can't tell."""
    plain = signal.at.strftime("%Y-%m-%d %H:%M UTC")
    seconds = int(signal.at.timestamp())
    return f"<!date^{seconds}^{{date_short_pretty}} {{time}}|{plain}>" if 0 < seconds < 2**31 else plain
