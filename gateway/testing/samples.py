"""Signals and deliveries for tests of sinks, parsed as the gateway does it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gateway import model, protocol
from gateway.model import Delivery, Signal

AT = datetime(2026, 11, 20, 10, 11, 12, tzinfo=UTC)
"""When each signal happens; it is received a minute later."""
NOW = AT.timestamp() + 60

SHIPMENT = {"tracking": "TRK1", "shipping_option": "postal"}
EXTRA: dict[str, dict[str, str]] = {
    model.ORDER_CANCELED: {"cause": "CancelUserRequest", "message": "The customer changed their mind"},
    model.ITEM_CANCELED: {"cause": "CancelCoverSpine", "message": "The spine is 2 mm too wide"},
    model.ITEM_SHIPPED: SHIPMENT,
    model.ITEM_ERROR: {"cause": "Paper jam", "delay": "24"},
    model.ITEM_DELIVERY_STARTED: SHIPMENT,
    model.ITEM_DELIVERY_COMPLETED: SHIPMENT,
    model.ITEM_DELIVERY_FAILED: {**SHIPMENT, "message": "Nobody at home"},
}
"""What each type carries beside the fields that all have."""


def make_payload(type: str = model.ITEM_SHIPPED, **fields: Any) -> dict[str, Any]:
    """What a sender sends, less its key; a field given as None is left out."""
    payload = {
        "type": type,
        "order": "21034900000000",
        "order_reference": "PO-1001",
        "datetime": AT.isoformat(),
    }
    if type.startswith("Item"):
        payload |= {"item": "21034901040001", "item_reference": "1"}
    payload |= EXTRA.get(type, {}) | fields
    return {name: value for name, value in payload.items() if value is not None}


def make_signal(type: str = model.ITEM_SHIPPED, *, account: str = "bookshop", id: int = 1, **fields: Any) -> Signal:
    """A signal; `fields` are the payload's. Raises InvalidSignal where the gateway would refuse it."""
    received = datetime.fromtimestamp(NOW, UTC)
    return replace(protocol.parse(account, make_payload(type, **fields), received), id=id)


def make_delivery(type: str = model.ITEM_SHIPPED, *, route: str = "route", attempt: int = 1, **fields: Any) -> Delivery:
    """A delivery of a signal of that type; `fields` are the payload's."""
    return Delivery(make_signal(type, **fields), route, attempt, created_at=NOW)
