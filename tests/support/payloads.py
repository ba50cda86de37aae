"""Example payloads of every type. KEY is the key in the vendor's document."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

KEY = "13b37bb1ed6d3403e158abe719b4f6d0"
OTHER_KEY = "00000000000000000000000000000bad"

_ORDER = {"order": "123456780000", "order_reference": "654321", "datetime": "2017-01-21T13:23:42+00:00"}
_ITEM = {
    "order": "123456780000",
    "item": "123456780001",
    "order_reference": "654321",
    "item_reference": "321",
    "datetime": "2017-01-21T13:23:42+00:00",
}

VENDOR: dict[str, dict[str, Any]] = {
    "CloudprinterOrderValidated": {**_ORDER},
    "CloudprinterOrderCanceled": {**_ORDER, "cause": "190", "message": "Example message"},
    "ItemValidated": {**_ITEM},
    "ItemProduce": {**_ITEM},
    "ItemProduced": {**_ITEM},
    "ItemPacked": {**_ITEM},
    "ItemShipped": {**_ITEM, "tracking": "1A2B3C4D5E6F", "shipping_option": "GLS"},
    "ItemError": {**_ITEM, "cause": "Print error, reprint needed", "delay": "24"},
    "ItemCanceled": {**_ITEM, "cause": "190", "message": "Example message"},
}
"""The example request of each type in the vendor's document of v2.0, but for `apikey` and `type`."""

DELIVERY: dict[str, dict[str, Any]] = {
    "ItemDeliveryStarted": {**_ITEM, "tracking": "1A2B3C4D5E6F", "shipping_option": "GLS"},
    "ItemDeliveryCompleted": {**_ITEM, "url": "https://track.example/1A2B3C4D5E6F"},
    "ItemDeliveryFailed": {**_ITEM, "cause": "Recipient unknown", "message": "Returned to sender"},
}
"""The types of v2.1."""

EXAMPLES: dict[str, dict[str, Any]] = {
    name: {"type": name, **fields} for name, fields in {**VENDOR, **DELIVERY}.items()
}
"""A valid payload of every type, without a key."""

SANDBOX: dict[str, Any] = {
    "type": "ItemShipped",
    "order": "21034900000000",
    "item": "21034901040001",
    "order_reference": "wp-a18310ee15a8d8ef9010fee2fea95686",
    "item_reference": "99",
    "tracking": "SANDBOX_99",
    "shipping_option": "postal",
    "datetime": "2024-05-02T09:14:07+00:00",
}
"""A signal of the vendor's sandbox, without a key."""


def example(name: str = "ItemShipped", **changes: Any) -> dict[str, Any]:
    """Return a valid payload with fields changed or added; `...` removes a field."""
    payload = {**EXAMPLES[name], **changes}
    return {field: value for field, value in payload.items() if value is not ...}


def key_of(account: str) -> str:
    """Return the key of an account in tests that run several accounts; KEY for the bookshop."""
    return KEY if account == "bookshop" else hashlib.sha256(account.encode()).hexdigest()[:32]


def request(payload: dict[str, Any], key: Any = KEY) -> bytes:
    """Return the body of a request; with `...` as the key it has none."""
    return orjson.dumps(payload if key is ... else {"apikey": key, **payload})
