"""What a signal still means once the order is known to be further along. Pure: nothing here asks Odoo."""

from __future__ import annotations

from gateway.sink import Delivery, signal_types

SHIPPED_STAGE = signal_types.STAGES[signal_types.ITEM_SHIPPED]

CANCELED_SCOPES = {signal_types.ITEM_CANCELED: "item", signal_types.ORDER_CANCELED: "order"}


def canceled_scope(delivery: Delivery) -> str:
    """What the printer is known to have cancelled though the signal tells of its progress: item, order or ""."""
    return CANCELED_SCOPES.get(delivery.furthest, "") if delivery.overtaken else ""


def resolved_by(delivery: Delivery) -> str:
    """The type that leaves nothing to do about the trouble the signal tells of, "" where a person is needed.

    Only what is known to be old counts, for an item can also fail after it was shipped: the signal came late, or is
    replayed. And only what is past printing: a late error may not be mended yet while the item is in production.
    """
    old = delivery.signal.late or delivery.replayed
    beyond = delivery.overtaken and signal_types.STAGES.get(delivery.furthest, 0) >= SHIPPED_STAGE
    return delivery.furthest if old and beyond else ""
