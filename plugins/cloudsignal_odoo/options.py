"""The route's options: their schema, and the frozen values that the rest of the plugin reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import voluptuous as vol

from gateway.sink import (
    Secret,
    SecretValue,
    duration,
    field_names,
    flag,
    header_value,
    one_of,
    server_url,
    signal_types,
)

ACTED_ON = signal_types.TROUBLE | {signal_types.ITEM_SHIPPED}
"""The types that change something in Odoo by default."""

NOTABLE = tuple(type for type in signal_types.TYPES if type not in ACTED_ON)
"""The types that get a note when `notes` names them."""


def record_id(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise vol.Invalid("expected the id of a user, a whole number from 1")
    return value


def text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or not value.strip():
        raise vol.Invalid("expected text")
    return value.strip()


OPTIONS: Mapping[Any, Any] = {
    vol.Required("url"): server_url,
    vol.Required("database"): text,
    vol.Required("api_key"): Secret(header_value("an API key")),
    vol.Optional("login"): text,
    vol.Optional("transport", default="auto"): one_of("auto", "json2", "jsonrpc"),
    vol.Optional("order_match", default=["client_order_ref", "name"]): field_names(
        "sale.order", "client_order_ref or x_print_order"
    ),
    vol.Optional("line_match", default="id"): one_of("id", "default_code", "none"),
    vol.Optional("mark_delivered", default="none"): one_of("none", "line", "order"),
    vol.Optional("force_quantity", default=False): flag,
    vol.Optional("on_cancel", default="note"): one_of("note", "cancel"),
    vol.Optional("activity_user"): record_id,
    vol.Optional("notes", default=[]): vol.All([one_of(*NOTABLE)], vol.Coerce(tuple)),
    vol.Optional("unknown_order_retry_for", default="48h"): duration,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options once validated, with the defaults of OPTIONS. `unknown_order_retry_for` is in seconds."""

    url: str
    database: str
    api_key: SecretValue
    login: str = ""
    transport: Literal["auto", "json2", "jsonrpc"]
    order_match: tuple[str, ...]
    line_match: Literal["id", "default_code", "none"]
    mark_delivered: Literal["none", "line", "order"]
    force_quantity: bool
    on_cancel: Literal["note", "cancel"]
    activity_user: int | None = None
    notes: tuple[str, ...]
    unknown_order_retry_for: float
