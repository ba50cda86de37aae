"""Messages in Slack's Block Kit, with a plain text for notifications: for a signal, and for the root of a thread."""

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

from cloudsignal_slack.text import escape
from gateway.sink import Delivery, Signal, icon_of, is_cleared, one_line, signal_type, signal_types, title_of

MAX_HEADER = HeaderBlock.text_max_length
MAX_SECTION = SectionBlock.text_max_length
MAX_FIELD = 600
"""Characters of a field. Slack allows 2,000, but a longer field hides the others."""
MAX_FALLBACK = 1000
"""Characters of the plain text, which notifications cut much earlier."""
Message = dict[str, Any]


def build_message(delivery: Delivery, mentions: Sequence[str] = (), link: str = "") -> Message:
    """Return the message for a signal. `mentions` are in Slack's syntax, `link` is the order's page.

    Raises slack_sdk's SlackObjectFormationError if a block is beyond Slack's limits.
    """
    signal = delivery.signal
    blocks = [heading(headline(signal)), *mention_blocks(mentions)]
    blocks.append(SectionBlock(fields=[markdown(f"*{name}*\n{text}") for name, text in fields(signal)]))
    blocks.extend(SectionBlock(text=markdown(text)) for text in cause_and_message(signal))
    late = "came late" if delivery.overtaken else ""
    blocks.append(footer(f"{signal.account} · {delivery.route} · signal {signal.id}", link, late))
    return make_message(summary(signal), blocks)


def build_root(delivery: Delivery, mentions: Sequence[str] = (), link: str = "") -> Message:
    """Return the root message of an order's thread: the order's state, by its furthest signal."""
    signal = delivery.signal
    line = headline(signal) if delivery.furthest == signal.type else headline_of_type(delivery.furthest, signal)
    known = {"Account": signal.account, "Order reference": signal.order_reference, "Order": signal.order}
    shown = [(name, escape(one_line(text), MAX_FIELD)) for name, text in known.items() if one_line(text)]
    blocks = [heading(line), *mention_blocks(mentions)]
    blocks.append(
        SectionBlock(fields=[markdown(f"*{name}*\n{text}") for name, text in [*shown, ("Last", local_time(signal))]])
    )
    if not delivery.overtaken and not is_cleared(signal):
        blocks.extend(SectionBlock(text=markdown(text)) for text in cause_and_message(signal))
    blocks.append(footer(f"{signal.account} · {delivery.route} · every signal is in the thread", link))
    return make_message(f"{line} ({signal.account})", blocks)


def make_message(text: str, blocks: Sequence[Block]) -> Message:
    """Return a message with blocks, and a text for notifications."""
    return {"text": escape(text, MAX_FALLBACK), "blocks": [block.to_dict() for block in blocks]}


# -- blocks


def heading(text: str) -> Block:
    return HeaderBlock(text=PlainTextObject(text=escape(text, MAX_HEADER), emoji=False))


def mention_blocks(mentions: Sequence[str]) -> list[Block]:
    return [SectionBlock(text=markdown(" ".join(mentions)))] if mentions else []


def footer(text: str, link: str = "", note: str = "") -> Block:
    told = " · ".join(["CloudSignal", escape(text, MAX_FIELD), *filter(None, [note])])
    return ContextBlock(elements=[markdown(f"{told} · <{link}|Open in the console>" if link else told)])


def markdown(text: str) -> MarkdownTextObject:
    """Return text as verbatim mrkdwn: Slack makes no links and no mentions of names in it."""
    return MarkdownTextObject(text=text, verbatim=True)


# -- texts


def title(type: str) -> str:
    return one_line(signal_type(type).title)


def title_with_icon(type: str) -> str:
    """Return a type's title, after its icon if it has one."""
    return f"{signal_type(type).icon} {title(type)}".strip()


def headline(signal: Signal) -> str:
    """Return a signal's event and order in a line."""
    return with_order(f"{icon_of(signal)} {title_of(signal)}".strip(), signal)


def headline_of_type(type: str, signal: Signal) -> str:
    """Return an event and the signal's order in a line."""
    return with_order(title_with_icon(type), signal)


def with_order(text: str, signal: Signal) -> str:
    reference = one_line(signal.order_reference or signal.order)
    return f"{text}: {reference}" if reference else text


def summary(signal: Signal) -> str:
    """Return the text of a notification."""
    line = f"{headline(signal)} ({signal.account})"
    return f"{line}: {cause_or_message(signal)}" if cause_or_message(signal) else line


def cause_or_message(signal: Signal) -> str:
    """Return the cause in words, else the printer's message, in one line."""
    return one_line(cause_of(signal) or signal.text("message"))


def cause_of(signal: Signal) -> str:
    """Return the cause in words. An alert has its own in the headline."""
    return "" if signal.type == signal_types.GATEWAY_ALERT else signal.cause


def fields(signal: Signal) -> Iterator[tuple[str, str]]:
    """Yield names and escaped texts of the signal's known fields, at most ten."""
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
    if signal.type == signal_types.GATEWAY_ALERT:
        known |= {"Route": signal.text("route"), "Alert": signal.text("alert")}
    for name, text in known.items():
        if line := one_line(text):
            yield name, escape(line, MAX_FIELD)
    yield "Time", local_time(signal)


def cause_and_message(signal: Signal) -> Iterator[str]:
    """Yield the cause in words and the printer's message, each as a section's text."""
    for name, text in (("Cause", cause_of(signal)), ("Message", signal.text("message"))):
        if text.strip():
            yield f"*{name}*\n{escape(text, MAX_SECTION - len(name) - 3)}"


def in_hours(delay: str) -> str:
    """Return a delay in words. The sender gives hours, as text; text that is no number is shown as sent."""
    if re.fullmatch(r"\d{1,6}", delay):
        return "1 hour" if int(delay) == 1 else f"{int(delay)} hours"
    return delay


def local_time(signal: Signal) -> str:
    """Return the time in Slack's date syntax: each reader sees their own zone. Without it, the time is in UTC."""
    plain = signal.at.strftime("%Y-%m-%d %H:%M UTC")
    seconds = int(signal.at.timestamp())
    return f"<!date^{seconds}^{{date_short_pretty}} {{time}}|{plain}>" if 0 < seconds < 2**31 else plain
