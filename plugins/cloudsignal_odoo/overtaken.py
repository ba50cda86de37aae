"""Rules for a signal that comes when its order is already further along. Pure: nothing here asks Odoo."""

from __future__ import annotations

from gateway.sink import Delivery, signal_types

SHIPPED_STAGE = signal_types.STAGES[signal_types.ITEM_SHIPPED]

CANCELED_SCOPES = {signal_types.ITEM_CANCELED: "item", signal_types.ORDER_CANCELED: "order"}


def canceled_scope(delivery: Delivery) -> str:
    """Return "item" or "order" if the printer is known to have cancelled it, "" otherwise."""
    return CANCELED_SCOPES.get(delivery.furthest, "") if delivery.overtaken else ""


def resolved_by(delivery: Delivery) -> str:
    """Return the later type that makes a trouble signal obsolete, "" if a person must still look at it.

    The signal must be old: it came late or is replayed. A fresh signal counts, because an item can fail after shipping.
    The later type must be shipping or beyond: while an item is in production, a late error may still be open.
    """
    old = delivery.signal.late or delivery.replayed
    shipped = delivery.overtaken and signal_types.STAGES.get(delivery.furthest, 0) >= SHIPPED_STAGE
    return delivery.furthest if old and shipped else ""
