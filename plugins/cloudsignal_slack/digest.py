"""Many signals as one message: how many of what, why, and which came first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from slack_sdk.models.blocks import Block, SectionBlock

from cloudsignal_slack.message import (
    Message,
    as_message,
    footer,
    heading,
    headline,
    markdown,
    marked,
    mentioned,
    when,
    why,
)
from cloudsignal_slack.text import escape
from gateway.sink import Delivery, Signal, signal_type

FIRST = 10
"""Orders that a digest names."""
KINDS = 8
CAUSES = 5
LINE = 250
"""Characters of a line at the most: eleven of them fit into a section."""


def build_digest(deliveries: Sequence[Delivery], mentions: Sequence[str] = (), link: str = "") -> Message:
    """One message for all of these. `link` is where the rest can be seen."""
    signals = [delivery.signal for delivery in deliveries]
    first, last = min(signals, key=lambda s: s.at), max(signals, key=lambda s: s.at)
    kinds = Counter(signal.type for signal in signals)
    icon = next((icon for name, _ in kinds.most_common() if (icon := signal_type(name).icon)), "")
    account = signals[0].account
    title = f"{icon} {len(signals)} signals of {account}".strip()
    blocks: list[Block] = [heading(title), *mentioned(mentions)]
    blocks.append(section("How many", (f"{marked(name)}: {count}" for name, count in kinds.most_common(KINDS))))
    causes = Counter(cause for signal in signals if (cause := why(signal)))
    if causes:
        blocks.append(section("Why", (f"{cause}: {count}" for cause, count in causes.most_common(CAUSES))))
    blocks.append(section("The first orders", first_orders(signals)))
    blocks.append(SectionBlock(text=markdown(f"*From* {when(first)} *to* {when(last)}")))
    blocks.append(footer(f"{account} · {deliveries[0].route} · signals {signals[0].id} to {signals[-1].id}", link))
    counts = ", ".join(f"{count} x {name}" for name, count in kinds.most_common(5))
    return as_message(f"{title}: {counts}", blocks)


def first_orders(signals: Sequence[Signal]) -> Iterator[str]:
    """A line for each of the first orders, in the order of arrival; then how many more there are."""
    orders = {signal.order or signal.order_reference: signal for signal in reversed(signals)}
    named = [*orders.values()][::-1][:FIRST]
    for signal in named:
        yield f"{headline(signal)}: {why(signal)}" if why(signal) else headline(signal)
    if len(orders) > len(named):
        yield f"and {len(orders) - len(named)} more"


def section(name: str, lines: Iterable[str]) -> Block:
    text = "\n".join(f"• {escape(line, LINE)}" for line in lines)
    return SectionBlock(text=markdown(f"*{name}*\n{text}"))
