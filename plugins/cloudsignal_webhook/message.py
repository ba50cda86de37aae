"""What is sent: a signal as a Standard Webhooks event, and its signature (github.com/standard-webhooks, spec 1.0)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Any

import orjson

from gateway.sink import Delivery, Signal


def build_body(delivery: Delivery) -> bytes:
    """The same bytes at each attempt. What the gateway knows stands beside the payload, which is as it was sent."""
    return orjson.dumps(
        {"type": delivery.signal.type, "timestamp": utc(delivery.signal), "data": data(delivery.signal)}
    )


def data(signal: Signal) -> dict[str, Any]:
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


def utc(signal: Signal) -> str:
    """When it happened, ISO 8601 in UTC."""
    return signal.at.isoformat()


def sign(key: str, timestamp: int, body: bytes, secrets: Iterable[bytes]) -> dict[str, str]:
    """The three headers; one signature a secret, any of which a receiver may know."""
    signed = f"{key}.{timestamp}.".encode() + body
    digests = (hmac.digest(secret, signed, hashlib.sha256) for secret in secrets)
    signatures = " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
    return {"webhook-id": key, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}
