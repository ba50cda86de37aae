"""Signals and deliveries made by hand, with every field a realistic one unless a test says otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway import model
from gateway.model import Delivery, Signal

ACCOUNT = "bookshop"
ORDER = "21034900000000"
ITEM = "21034901040001"
REFERENCE = "PO-1001"
AT = datetime(2026, 11, 20, 10, 11, 12, tzinfo=UTC)

EXTRA: dict[str, dict[str, str]] = {
    model.ORDER_CANCELED: {"cause": "CancelUserRequest", "message": "The customer changed their mind"},
    model.ITEM_CANCELED: {"cause": "CancelCoverSpine", "message": "The spine is 2 mm too wide"},
    model.ITEM_SHIPPED: {"tracking": "TRK1", "shipping_option": "postal"},
    model.ITEM_ERROR: {"cause": "Paper jam", "delay": "24"},
    model.ITEM_DELIVERY_FAILED: {"tracking": "TRK1", "message": "Nobody at home"},
}
"""What each type carries beside the fields that all have."""


def make_payload(type: str = model.ITEM_SHIPPED, **fields: Any) -> dict[str, Any]:
    """A request's body without its key; a field given as None is left out."""
    payload = {"type": type, "order": ORDER, "order_reference": REFERENCE, "datetime": AT.isoformat()}
    if type.startswith("Item"):
        payload |= {"item": ITEM, "item_reference": "1"}
    payload |= EXTRA.get(type, {}) | fields
    return {name: value for name, value in payload.items() if value is not None}


def make_signal(type: str = model.ITEM_SHIPPED, *, account: str = ACCOUNT, id: int = 1, **fields: Any) -> Signal:
    """A signal as parsed; `fields` are the payload's. Those with other fields have another identity."""
    payload = make_payload(type, **fields)
    sent = payload.get("datetime")
    return Signal(
        account=account,
        type=type,
        order=payload.get("order", ""),
        order_reference=payload.get("order_reference", ""),
        item=payload.get("item"),
        item_reference=payload.get("item_reference"),
        occurred_at=datetime.fromisoformat(sent).astimezone(UTC) if sent else None,
        received_at=AT,
        payload=payload,
        identity=model.identity_of(account, payload),
        id=id,
    )


def make_delivery(
    type: str = model.ITEM_SHIPPED,
    *,
    signal: Signal | None = None,
    route: str = "erp",
    attempt: int = 1,
    created_at: float = AT.timestamp(),
    **fields: Any,
) -> Delivery:
    """A delivery of `signal`, or of one made from `type` and `fields`."""
    return Delivery(signal or make_signal(type, **fields), route, attempt, created_at)
