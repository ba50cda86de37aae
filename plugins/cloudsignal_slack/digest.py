"""A digest: many signals as one message, with counts per type and cause and the first orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from slack_sdk.models.blocks import Block, SectionBlock

from cloudsignal_slack.message import (
    Message,
    cause_or_message,
    footer,
    heading,
    headline,
    local_time,
    make_message,
    markdown,
    mention_blocks,
)
from cloudsignal_slack.text import escape
from gateway.sink import Delivery, Signal, icon_of, title_of

MAX_ORDERS = 10
"""Orders that a digest names."""
MAX_TYPES = 8
"""Types with a count of their own, the most frequent ones."""
MAX_CAUSES = 5
"""Causes with a count of their own, the most frequent ones."""
MAX_LINE = 250
"""Characters of a line. Eleven such lines fit into a section, which may have 3,000."""


def build_digest(deliveries: Sequence[Delivery], mentions: Sequence[str] = (), link: str = "") -> Message:
    """Return one message for all of these deliveries. `link` is the console's URL."""
    signals = [delivery.signal for delivery in deliveries]
    first, last = min(signals, key=lambda s: s.at), max(signals, key=lambda s: s.at)
    kinds = Counter(signal.type for signal in signals)
    titles = Counter(f"{icon_of(signal)} {title_of(signal)}".strip() for signal in signals)
    icons = Counter(icon for signal in signals if (icon := icon_of(signal)))
    icon = icons.most_common(1)[0][0] if icons else ""
    account = signals[0].account
    title = f"{icon} {len(signals)} signals of {account}".strip()
    blocks: list[Block] = [heading(title), *mention_blocks(mentions)]
    blocks.append(section("How many", (f"{name}: {count}" for name, count in titles.most_common(MAX_TYPES))))
    causes = Counter(cause for signal in signals if (cause := cause_or_message(signal)))
    if causes:
        blocks.append(section("Why", (f"{cause}: {count}" for cause, count in causes.most_common(MAX_CAUSES))))
    blocks.append(section("The first orders", first_orders(signals)))
    blocks.append(SectionBlock(text=markdown(f"*From* {local_time(first)} *to* {local_time(last)}")))
    blocks.append(footer(f"{account} · {deliveries[0].route} · signals {signals[0].id} to {signals[-1].id}", link))
    counts = ", ".join(f"{count} x {name}" for name, count in kinds.most_common(5))
    return make_message(f"{title}: {counts}", blocks)


def first_orders(signals: Sequence[Signal]) -> Iterator[str]:
    """Yield a line for each of the first orders, in the order of arrival, then the number of the others."""
    orders = {signal.order or signal.order_reference: signal for signal in reversed(signals)}
    named = [*orders.values()][::-1][:MAX_ORDERS]
    for signal in named:
        yield f"{headline(signal)}: {cause_or_message(signal)}" if cause_or_message(signal) else headline(signal)
    if len(orders) > len(named):
        yield f"and {len(orders) - len(named)} more"


def section(name: str, lines: Iterable[str]) -> Block:
    """Return a section with a bold name and a list."""
    text = "\n".join(f"• {escape(line, MAX_LINE)}" for line in lines)
    return SectionBlock(text=markdown(f"*{name}*\n{text}"))
