"""Unusual signals that the gateway accepts, for the test that a sink raises nothing but its own errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway import exact_json, signal_types

LAST_DATETIME = "9999-12-31T23:59:59.999999+00:00"
ODD_NAME = "<!channel> =1+1 ' \" \\ {} %s ../ \U0001f4a5 \u202e"
ODD_TEXT = f"{ODD_NAME}\x00\r\n\t"
LONG = ODD_TEXT + "x" * 4000
ODD_SIGNALS: tuple[Mapping[str, Any], ...] = (
    {"type": "ItemInvented"},
    {"type": "=X", "order": 7, "datetime": "never", "item": {}, "cause": ["a"], "message": {"a": None}, "url": True},
    {"type": "ItemInvented", "order": None, "order_reference": None, "item": None, "item_reference": None},
    {"type": signal_types.ITEM_ERROR, "order_reference": ODD_NAME, "cause": LONG, "delay": ODD_TEXT},
    {
        "type": signal_types.ITEM_SHIPPED,
        "item_reference": ODD_NAME,
        "tracking": ODD_TEXT,
        "shipping_option": ODD_TEXT,
        "url": ODD_TEXT,
    },
    {
        "type": signal_types.ITEM_CANCELED,
        "order": ODD_NAME,
        "cause": ODD_TEXT,
        "message": LONG,
        "datetime": LAST_DATETIME,
    },
    {"type": signal_types.ORDER_CANCELED, "order_reference": "x" * 255, "cause": "190", "message": "\ud7ff\ufffe"},
    {"type": signal_types.ITEM_SHIPPED, "tracking": "", "shipping_option": " "},
    {"type": signal_types.ITEM_ERROR, "delay": 24.0, "weight": exact_json.Number("1e400"), "parcels": [1, {"n": 0.5}]},
    {
        "type": "ItemInvented",
        "tracking": exact_json.Number("9400111899223197428490"),
        "delay": exact_json.Number("1.10"),
    },
    *({"type": known.name, **dict.fromkeys(known.required)} for known in signal_types.TABLE),
)
"""Fields of unusual signals that the gateway accepts."""
