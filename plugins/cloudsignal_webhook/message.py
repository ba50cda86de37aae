"""A signal as a Standard Webhooks event, and its signature (github.com/standard-webhooks, spec 1.0)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Any

from gateway.sink import Delivery, Signal, dump_json


def build_body(delivery: Delivery) -> bytes:
    """Return the body, equal at each attempt. The payload is as sent; the normalised fields stand beside it."""
    return dump_json(
        {"type": delivery.signal.type, "timestamp": event_time(delivery.signal), "data": make_data(delivery.signal)}
    )


def make_data(signal: Signal) -> dict[str, Any]:
    """Return the event's data: the normalised fields and the payload."""
    return {
        "account": signal.account,
        "order": signal.order,
        "order_reference": signal.order_reference,
        "item": signal.item,
        "item_reference": signal.item_reference,
        "cause": signal.cause or None,
        "received_at": signal.received_at.isoformat(),
        "payload": signal.payload,
    }


def event_time(signal: Signal) -> str:
    """Return the time of the event in ISO 8601, UTC."""
    return signal.at.isoformat()


def sign(key: str, timestamp: int, body: bytes, secrets: Iterable[bytes]) -> dict[str, str]:
    """Return the three headers, with one signature per secret: a receiver may know any of them."""
    signed = f"{key}.{timestamp}.".encode() + body
    digests = (hmac.digest(secret, signed, hashlib.sha256) for secret in secrets)
    signatures = " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
    return {"webhook-id": key, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}
