"""A signal as a message, and an order's state as the root of its thread: Block Kit, with a plain text for
notifications."""

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
from gateway.sink import Delivery, Signal, signal_type

HEADER = HeaderBlock.text_max_length
SECTION = SectionBlock.text_max_length
FIELD = 600
"""Of the 2000 characters that a section's field may have: more is no overview."""
FALLBACK = 1000
Message = dict[str, Any]


def build_message(delivery: Delivery, mentions: Sequence[str] = (), link: str = "") -> Message:
    """What is said of a signal. `mentions` are in Slack's syntax, `link` is the order's page.

    Raises slack_sdk's SlackObjectFormationError where a block were beyond Slack's limits.
    """
    signal = delivery.signal
    blocks = [heading(headline(signal)), *mentioned(mentions)]
    blocks.append(SectionBlock(fields=[markdown(f"*{name}*\n{text}") for name, text in fields(signal)]))
    blocks.extend(SectionBlock(text=markdown(text)) for text in told(signal))
    late = "came late" if delivery.overtaken else ""
    blocks.append(footer(f"{signal.account} · {delivery.route} · signal {signal.id}", link, late))
    return as_message(summary(signal), blocks)


def build_root(delivery: Delivery, mentions: Sequence[str] = (), link: str = "") -> Message:
    """How far the order is, on top of its thread: as its furthest signal says, whichever came last."""
    signal = delivery.signal
    line = titled(delivery.furthest, signal)
    known = {"Account": signal.account, "Order reference": signal.order_reference, "Order": signal.order}
    shown = [(name, escape(one_line(text), FIELD)) for name, text in known.items() if one_line(text)]
    blocks = [heading(line), *mentioned(mentions)]
    blocks.append(
        SectionBlock(fields=[markdown(f"*{name}*\n{text}") for name, text in [*shown, ("Last", when(signal))]])
    )
    if not delivery.overtaken:
        blocks.extend(SectionBlock(text=markdown(text)) for text in told(signal))
    blocks.append(footer(f"{signal.account} · {delivery.route} · every signal is in the thread", link))
    return as_message(f"{line} ({signal.account})", blocks)


def as_message(text: str, blocks: Sequence[Block]) -> Message:
    return {"text": escape(text, FALLBACK), "blocks": [block.to_dict() for block in blocks]}


# -- blocks


def heading(text: str) -> Block:
    return HeaderBlock(text=PlainTextObject(text=escape(text, HEADER), emoji=False))


def mentioned(mentions: Sequence[str]) -> list[Block]:
    return [SectionBlock(text=markdown(" ".join(mentions)))] if mentions else []


def footer(text: str, link: str = "", note: str = "") -> Block:
    told = " · ".join(["CloudSignal", escape(text, FIELD), *filter(None, [note])])
    return ContextBlock(elements=[markdown(f"{told} · <{link}|Open in the console>" if link else told)])


def markdown(text: str) -> MarkdownTextObject:
    """Verbatim: Slack makes no links and no mentions of names and addresses that it finds in the text."""
    return MarkdownTextObject(text=text, verbatim=True)


# -- texts


def title(type: str) -> str:
    return one_line(signal_type(type).title)


def marked(type: str) -> str:
    """Return a type's title, after its icon if it has one."""
    return f"{signal_type(type).icon} {title(type)}".strip()


def headline(signal: Signal) -> str:
    """What happened to which order, in a line."""
    return titled(signal.type, signal)


def titled(type: str, signal: Signal) -> str:
    reference = one_line(signal.order_reference or signal.order)
    return f"{marked(type)}: {reference}" if reference else marked(type)


def summary(signal: Signal) -> str:
    """What a notification says."""
    line = f"{headline(signal)} ({signal.account})"
    return f"{line}: {why(signal)}" if why(signal) else line


def why(signal: Signal) -> str:
    return one_line(signal.cause or signal.text("message"))


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
