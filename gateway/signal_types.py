"""One table of the signal types: names, stages, parameters, words, severities. A new type is one entry here.

Sources: the vendor's "CloudSignal Webhooks v2.0", and for the ItemDelivery types the vendor's dashboard (v2.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Severity = Literal["info", "warning", "failure", "canceled"]
"""Progress; a problem that the printer solves itself; a failed delivery; a cancellation."""

ICONS: Mapping[Severity, str] = {"info": "", "warning": "⚠️", "failure": "⚠️", "canceled": "❌"}

ORDER_PARAMETERS = ("order", "order_reference", "datetime")
ITEM_PARAMETERS = (*ORDER_PARAMETERS, "item", "item_reference")
SHIPMENT = ("tracking", "shipping_option")


@dataclass(frozen=True, slots=True)
class SignalType:
    """One type of signal.

    `stage` orders the types along an order's life; an unknown type has 0. The store keeps stages: a new type gets a
    free number, and no number ever changes.
    `title` is the event as a headline; `words` is the event within a sentence, made of the title if empty.
    `required` and `optional` name the parameters apart from `apikey` and `type`; gateway.protocol checks their values.
    `alert` is True for the types that sinks for people get by default.
    `example` gives values of the other parameters than ids and time; samples for tests are made of it.
    """

    name: str
    stage: int
    title: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    words: str = ""
    severity: Severity = "info"
    alert: bool = False
    example: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.words:
            object.__setattr__(self, "words", f"{self.title[:1].lower()}{self.title[1:]}")

    @property
    def level(self) -> Literal["order", "item"]:
        """Return "item" if the type tells of one item, "order" if it tells of the whole order."""
        return "item" if "item" in self.required else "order"

    @property
    def icon(self) -> str:
        """Return an emoji for trouble, "" for progress."""
        return ICONS[self.severity]


ORDER_VALIDATED = "CloudprinterOrderValidated"
ORDER_CANCELED = "CloudprinterOrderCanceled"
ITEM_VALIDATED = "ItemValidated"
ITEM_PRODUCE = "ItemProduce"
ITEM_PRODUCED = "ItemProduced"
ITEM_PACKED = "ItemPacked"
ITEM_SHIPPED = "ItemShipped"
ITEM_ERROR = "ItemError"
ITEM_CANCELED = "ItemCanceled"
ITEM_DELIVERY_STARTED = "ItemDeliveryStarted"
ITEM_DELIVERY_COMPLETED = "ItemDeliveryCompleted"
ITEM_DELIVERY_FAILED = "ItemDeliveryFailed"

GATEWAY_ALERT = "GatewayAlert"

ON_THE_WAY = (*SHIPMENT, "url", "cause", "message")
SHIPPED_BY_POST = {"tracking": "TRK1", "shipping_option": "postal"}

TABLE = (
    SignalType(ORDER_VALIDATED, 10, "Order validated", ORDER_PARAMETERS),
    SignalType(ITEM_VALIDATED, 20, "Item validated", ITEM_PARAMETERS),
    SignalType(ITEM_PRODUCE, 30, "Item in production", ITEM_PARAMETERS),
    SignalType(
        ITEM_ERROR,
        40,
        "Print error",
        ITEM_PARAMETERS,
        ("cause", "delay"),
        severity="warning",
        alert=True,
        example={"cause": "Paper jam", "delay": "24"},
    ),
    SignalType(ITEM_PRODUCED, 50, "Item produced", ITEM_PARAMETERS),
    SignalType(ITEM_PACKED, 60, "Item packed", ITEM_PARAMETERS),
    SignalType(ITEM_SHIPPED, 70, "Item shipped", (*ITEM_PARAMETERS, *SHIPMENT), ("url",), example=SHIPPED_BY_POST),
    SignalType(
        ITEM_DELIVERY_STARTED, 80, "Item out for delivery", ITEM_PARAMETERS, ON_THE_WAY, example=SHIPPED_BY_POST
    ),
    SignalType(
        ITEM_DELIVERY_FAILED,
        90,
        "Delivery failed",
        ITEM_PARAMETERS,
        ON_THE_WAY,
        severity="failure",
        example={**SHIPPED_BY_POST, "message": "Nobody at home"},
    ),
    SignalType(ITEM_DELIVERY_COMPLETED, 100, "Item delivered", ITEM_PARAMETERS, ON_THE_WAY, example=SHIPPED_BY_POST),
    SignalType(
        ITEM_CANCELED,
        110,
        "Item cancelled",
        ITEM_PARAMETERS,
        ("cause", "message"),
        words="item cancelled by the printer",
        severity="canceled",
        alert=True,
        example={"cause": "CancelCoverSpine", "message": "The spine is 2 mm too wide"},
    ),
    SignalType(
        ORDER_CANCELED,
        120,
        "Order cancelled",
        (*ORDER_PARAMETERS, "cause", "message"),
        words="order cancelled by the printer",
        severity="canceled",
        alert=True,
        example={"cause": "CancelUserRequest", "message": "The customer changed their mind"},
    ),
)
"""The vendor's types, in the order of an order's life."""

ALERT = SignalType(
    GATEWAY_ALERT,
    0,
    "Gateway alert",
    ("state", "severity", "message", "datetime"),
    ("alert", "watch", "cause", "route", *ITEM_PARAMETERS),
    severity="warning",
    alert=True,
    example={"state": "raised", "severity": "warning", "watch": "not-shipped", "message": "No ItemShipped for 72 h"},
)
"""The type of the signals that the gateway makes itself; gateway.alerts gives their fields. It moves no order on, so it
has stage 0, and is in none of the tables of the vendor's types below."""

TYPES: Mapping[str, SignalType] = MappingProxyType({entry.name: entry for entry in TABLE})
NAMES = (*TYPES, GATEWAY_ALERT)
"""The types that a route may name."""
STAGES: Mapping[str, int] = {entry.name: entry.stage for entry in TABLE}
TYPE_AT: Mapping[int, str] = {entry.stage: entry.name for entry in TABLE}
ALERTS = frozenset(entry.name for entry in (*TABLE, ALERT) if entry.alert)
TROUBLE = frozenset(entry.name for entry in TABLE if entry.severity != "info")
"""The vendor's types that tell of something wrong."""


def signal_type(name: str) -> SignalType:
    """Return the entry of a type. An unknown type gets an entry with its name as title, and stage 0."""
    if name == GATEWAY_ALERT:
        return ALERT
    return TYPES.get(name) or SignalType(name, 0, name, (), words=name)


CAUSES: Mapping[str, str] = {
    "CancelCoverSpine": "wrong cover spine width",
    "CancelBookSize": "wrong size or orientation of the book block",
    "CancelCoverSize": "wrong size or orientation of the cover",
    "CancelBookCorrupt": "corrupt book block file",
    "CancelCoverCorrupt": "corrupt cover file",
    "CancelBookTrim": "wrong trim size of the book block",
    "CancelCoverTrim": "wrong trim size of the cover",
    "CancelPageCount": "wrong page count",
    "CancelUnknownFont": "unknown fonts",
    "CancelBookMargins": "wrong margins of the book block",
    "CancelCoverMargins": "wrong margins of the cover",
    "CancelBookRip": "RIP error in the book block",
    "CancelCoverRip": "RIP error in the cover",
    "CancelUserRequest": "user or customer request",
    "CancelInkjetCoverage": "ink coverage too high",
    "CancelDownloadError": "file download error",
    "CancelValidateError": "validation error",
    "CancelInvalidAddress": "invalid shipping address",
    "CancelTestOrder": "test order",
    "CancelFilesCorrupt": "corrupt files",
    "CancelMiscError": "miscellaneous error",
}
"""Cancellation causes, from the vendor's page "Common cancellation causes" v1.0; others are shown as sent."""
