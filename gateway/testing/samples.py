"""Signals and deliveries for tests of sinks, parsed as the gateway does it."""

from __future__ import annotations

from dataclasses import fields as fields_of
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway import protocol
from gateway.alerts import RAISED, Condition, make_alert_signal
from gateway.model import Delivery, Signal, identity_of
from gateway.signal_types import GATEWAY_ALERT, ITEM_SHIPPED, signal_type

AT = datetime(2026, 11, 20, 10, 11, 12, tzinfo=UTC)
"""The time of each signal. It is received a minute later."""
NOW = AT.timestamp() + 60


def make_payload(type: str = ITEM_SHIPPED, **fields: Any) -> dict[str, Any]:
    """Return a sender's payload without its key. A field given as None is left out."""
    known = signal_type(type)
    payload = {
        "type": type,
        "order": "21034900000000",
        "order_reference": "PO-1001",
        "datetime": AT.isoformat(),
    }
    if known.level == "item" or type.startswith("Item"):
        payload |= {"item": "21034901040001", "item_reference": "1"}
    payload |= dict(known.example) | fields
    return {name: value for name, value in payload.items() if value is not None}


def make_signal(type: str = ITEM_SHIPPED, *, account: str = "bookshop", id: int = 1, **fields: Any) -> Signal:
    """Return a signal with these payload fields. Required parameters may be empty, as with `incomplete: accept`.

    Raises InvalidSignal if the gateway would refuse it.
    """
    received = datetime.fromtimestamp(NOW, UTC)
    if type == GATEWAY_ALERT:
        return replace(make_alert(account, make_payload(type, **fields)), id=id)
    return replace(protocol.parse(account, make_payload(type, **fields), received, incomplete=True), id=id)


def make_alert(account: str, payload: dict[str, Any]) -> Signal:
    """Return a signal of the gateway's own type, which it never takes from outside."""
    named = {field.name for field in fields_of(Condition)} & payload.keys()
    given: dict[str, Any] = {"message": "", **{name: payload[name] for name in named}}
    condition = Condition(account, **given)
    return make_alert_signal(1, condition, str(payload.get("state", RAISED)), NOW)


def make_delivery(type: str = ITEM_SHIPPED, *, route: str = "route", attempt: int = 1, **fields: Any) -> Delivery:
    """Return a delivery of a signal with that type and these payload fields."""
    return Delivery(make_signal(type, **fields), route, attempt, created_at=NOW)


def make_earlier(delivery: Delivery) -> Delivery:
    """Return a delivery of another signal, with the same fields and an earlier time."""
    signal = delivery.signal
    at = signal.at - timedelta(minutes=1)
    payload = {**signal.payload, "datetime": at.isoformat()}
    identity = identity_of(signal.account, payload)
    earlier = replace(signal, payload=payload, identity=identity, occurred_at=at, id=max(0, signal.id - 1))
    return replace(delivery, signal=earlier, created_at=delivery.created_at - 60)
