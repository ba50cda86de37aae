"""Signals and deliveries for tests. Every field is realistic unless the test gives it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway import model, signal_types
from gateway.model import Delivery, Signal
from gateway.testing.samples import AT, make_payload

ACCOUNT = "bookshop"


def make_signal(type: str = signal_types.ITEM_SHIPPED, *, account: str = ACCOUNT, id: int = 1, **fields: Any) -> Signal:
    """Make a signal as parsed; `fields` are the payload's. Other fields make another identity."""
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
    type: str = signal_types.ITEM_SHIPPED,
    *,
    signal: Signal | None = None,
    route: str = "erp",
    attempt: int = 1,
    created_at: float = AT.timestamp(),
    **fields: Any,
) -> Delivery:
    """Make a delivery of `signal`, or of a signal made from `type` and `fields`."""
    return Delivery(signal or make_signal(type, **fields), route, attempt, created_at)
