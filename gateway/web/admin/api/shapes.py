"""Shapes of the API's answers, as voluptuous schemas: the fields of gateway.operate.views with their types."""

from __future__ import annotations

from typing import Any

import voluptuous as vol

from gateway.operate.lookups import STATES
from gateway.web.admin.api.fields import Field, one_of

TEXT = str
NUMBER = int
FLAG = bool
NAMES = [str]


def or_none(shape: Any) -> vol.Any:
    """Return the shape of a value that may be null."""
    return vol.Any(None, shape)


def shape(**fields: Any) -> dict[Any, Any]:
    """Return the shape of an object that always has all of these fields."""
    return {vol.Required(name): value for name, value in fields.items()}


def anything(value: Any) -> Any:
    return value


MOMENT = Field(anything, {"type": "string", "format": "date-time"})
SECONDS = Field(anything, {"type": "number", "minimum": 0})
OBJECT = Field(anything, {"type": "object"})
ANY_VALUE = Field(anything, {})

KEY = shape(label=TEXT, last_used=or_none(MOMENT), expires=or_none(MOMENT))
ROUTE_HEALTH = shape(route=TEXT, state=TEXT, why=TEXT, pending=NUMBER, dead=NUMBER)
ACCOUNT = shape(
    account=TEXT,
    tenant=TEXT,
    endpoint=or_none(TEXT),
    keys=[KEY],
    last_signal=or_none(MOMENT),
    state=one_of("running", "paused", "failing", "misconfigured"),
    pending=NUMBER,
    oldest_at=or_none(MOMENT),
    oldest_seconds=or_none(SECONDS),
    routes=[ROUTE_HEALTH],
    left_at=or_none(MOMENT),
)
ROUTE = shape(
    account=TEXT,
    route=TEXT,
    sink=or_none(TEXT),
    state=one_of("running", "paused", "failing", "misconfigured", "off", "not configured"),
    paused_at=or_none(MOMENT),
    why=TEXT,
    reason=TEXT,
    probe_at=or_none(MOMENT),
    pending=NUMBER,
    due=NUMBER,
    dead=NUMBER,
    oldest_at=or_none(MOMENT),
    oldest_seconds=or_none(SECONDS),
)
SIGNAL = shape(
    id=NUMBER,
    identity=TEXT,
    account=TEXT,
    type=TEXT,
    order=TEXT,
    order_reference=TEXT,
    item=or_none(TEXT),
    item_reference=or_none(TEXT),
    occurred_at=or_none(MOMENT),
    received_at=MOMENT,
    late=FLAG,
    incomplete=FLAG,
    missing=NAMES,
    deliveries=NUMBER,
    filtered=NAMES,
    payload=OBJECT,
)
DELIVERY = shape(
    signal=NUMBER,
    account=TEXT,
    route=TEXT,
    type=TEXT,
    order=TEXT,
    order_reference=TEXT,
    item=or_none(TEXT),
    lane=or_none(TEXT),
    state=one_of(*STATES),
    attempts=NUMBER,
    created_at=MOMENT,
    due_at=or_none(MOMENT),
    ended_at=or_none(MOMENT),
    held=FLAG,
    late=FLAG,
    replayed=FLAG,
    reason=TEXT,
)
ATTEMPT = shape(number=NUMBER, started_at=MOMENT, seconds=SECONDS, outcome=TEXT, reason=TEXT)
SIGNAL_DETAILS = {**SIGNAL, **shape(deliveries=[{**DELIVERY, **shape(failed_attempts=[ATTEMPT])}])}
EXPLANATION = shape(
    signal=NUMBER,
    type=TEXT,
    order=TEXT,
    order_reference=TEXT,
    route=TEXT,
    sink=or_none(TEXT),
    state=or_none(one_of(*STATES)),
    why=TEXT,
    text=TEXT,
    behind=or_none(NUMBER),
    advice=TEXT,
    attempts=or_none(NUMBER),
    due_at=or_none(MOMENT),
    ended_at=or_none(MOMENT),
    replayed=or_none(FLAG),
)
QUARANTINED = shape(id=NUMBER, account=TEXT, received_at=MOMENT, errors=OBJECT, body=TEXT)
ACTION = shape(id=NUMBER, at=MOMENT, actor=TEXT, origin=TEXT, action=TEXT, account=or_none(TEXT), detail=OBJECT)
KNOWN_ORDER = shape(account=TEXT, reference=TEXT, freed=NUMBER)
REPLAY = shape(
    id=NUMBER,
    state=one_of("running", "done", "cancelled", "failed"),
    reason=TEXT,
    dry_run=FLAG,
    actor=TEXT,
    origin=TEXT,
    filter=OBJECT,
    created_at=MOMENT,
    ended_at=or_none(MOMENT),
    done=NUMBER,
    total=NUMBER,
    deliveries=NUMBER,
    routes=[shape(account=TEXT, route=TEXT, deliveries=NUMBER)],
)
ALERT = shape(
    id=NUMBER,
    account=TEXT,
    watch=or_none(TEXT),
    cause=or_none(TEXT),
    state=one_of("raised", "acknowledged", "cleared"),
    severity=TEXT,
    order=or_none(TEXT),
    order_reference=or_none(TEXT),
    item=or_none(TEXT),
    item_reference=or_none(TEXT),
    route=or_none(TEXT),
    message=TEXT,
    since=MOMENT,
    raised_at=MOMENT,
    cleared_at=or_none(MOMENT),
    acknowledged_at=or_none(MOMENT),
    acknowledged_by=or_none(TEXT),
)
STATE = {
    "state": or_none(TEXT),
    "stage": or_none(TEXT),
    "since": or_none(MOMENT),
    "problems": NUMBER,
    "first_seen": or_none(MOMENT),
    "last_seen": or_none(MOMENT),
    "signals": NUMBER,
    "late": NUMBER,
    "times": OBJECT,
}
"""Fields that orders and items have both."""
PROBLEM = shape(
    type=TEXT, at=or_none(MOMENT), open=FLAG, cause=or_none(TEXT), message=or_none(TEXT), delay=or_none(TEXT)
)
ITEM = shape(
    item=TEXT,
    item_reference=TEXT,
    **STATE,
    tracking=[shape(number=TEXT, shipping_option=or_none(TEXT), url=or_none(TEXT))],
    problem=or_none(PROBLEM),
)
TIMELINE = shape(
    signal=NUMBER,
    type=TEXT,
    item=or_none(TEXT),
    occurred_at=or_none(MOMENT),
    received_at=MOMENT,
    late=FLAG,
    routes=[OBJECT],
)
ORDER = shape(account=TEXT, order=TEXT, order_reference=TEXT, **STATE, stages=OBJECT)
ORDER_DETAILS = {
    **{vol.Optional(str(name.schema)): value for name, value in ORDER.items()},
    **shape(account=TEXT, order=TEXT, state=or_none(TEXT), items=[ITEM], timeline=[TIMELINE]),
}
"""Until the first signal of an order is added to its state, only these last fields are there."""
