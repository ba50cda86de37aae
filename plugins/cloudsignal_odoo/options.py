"""The route's options. Each option's validator, meaning and default are given once, in Settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import voluptuous as vol

from gateway.sink import (
    ListOf,
    Secret,
    SecretValue,
    duration,
    field_names,
    flag,
    header_value,
    one_of,
    option,
    proxy_option,
    server_url,
    shaped,
    signal_types,
)

DEFAULT_TYPES = signal_types.TROUBLE | {signal_types.ITEM_SHIPPED}
"""The types that change something in Odoo by default."""

NOTE_TYPES = tuple(type for type in signal_types.NAMES if type not in DEFAULT_TYPES)
"""The types that get a note when the option `notes` names them."""


@shaped(type="integer", minimum=1)
def record_id(value: object) -> int:
    """Accept the id of an Odoo record."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise vol.Invalid("expected the id of a user: a whole number from 1")
    return value


@shaped(type="string", pattern=r"\S", examples=["bookshop"])
def text(value: object) -> str:
    """Accept one line of text."""
    if not isinstance(value, str) or not value.isprintable() or not value.strip():
        raise vol.Invalid("expected text")
    return value.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options once validated. `unknown_order_retry_for` is in seconds."""

    url: str = option(server_url, "The server's address, without a path.")
    database: str = option(text, "The name of the database.")
    api_key: SecretValue = option(Secret(header_value("an API key")), "The user's API key; a secret.")
    login: str = option(text, "The user's login. JSON-RPC needs it, and so do Odoo 17 and 18.", unset="")
    transport: Literal["auto", "json2", "jsonrpc"] = option(
        one_of("auto", "json2", "jsonrpc"),
        "`json2` (19 and later), `jsonrpc` (17 to 21), or `auto`: ask the server's version once, and choose by it.",
        default="auto",
    )
    order_match: tuple[str, ...] = option(
        field_names("sale.order", "client_order_ref or x_print_order"),
        "The fields of `sale.order`, one or a list, that are compared with the signal's `order_reference`.",
        default=["client_order_ref", "name"],
    )
    line_match: Literal["id", "default_code", "none"] = option(
        one_of("id", "default_code", "none"),
        "The meaning of the signal's `item_reference`: the order line's `id`, its product's `default_code` "
        "(internal reference), or `none` (it names no line).",
        default="id",
    )
    mark_delivered: Literal["none", "line", "order"] = option(
        one_of("none", "line", "order"),
        "`line`: ship the item's line at once and leave the rest to a backorder. "
        "`order`: validate a delivery when its last line has been shipped.",
        default="none",
    )
    force_quantity: bool = option(
        flag, "Ship even quantities that are not reserved. The stock may become negative.", default=False
    )
    on_cancel: Literal["note", "cancel"] = option(
        one_of("note", "cancel"),
        "`cancel`: when the printer cancels the order, cancel it in Odoo too, "
        "unless it is locked or something has been shipped.",
        default="note",
    )
    activity_user: int | None = option(
        record_id,
        "The id of the user who gets the activities, instead of the order's salesperson.",
        unset=None,
    )
    notes: tuple[str, ...] = option(
        ListOf(one_of(*NOTE_TYPES)),
        "More signal types that leave a note. Name them in the route's `signals` too.",
        default=[],
    )
    unknown_order_retry_for: float = option(
        duration,
        "How long to wait for an order that is not in Odoo yet or is still a quotation, "
        "such as `30m`, `48h`, `7d` or a number of seconds.",
        default="48h",
    )
    on_unknown: Literal["dead", "skip"] = option(
        one_of("dead", "skip"),
        "The end of that wait: `dead` makes a dead letter, `skip` counts the delivery as filtered.",
        default="dead",
    )
    proxy: bool = proxy_option()
