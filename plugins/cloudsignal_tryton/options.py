"""The route's options. Each option's validator, meaning and default are given once, in Settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import voluptuous as vol

from gateway.sink import (
    ListOf,
    Misconfigured,
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
"""The types that change something in Tryton by default."""

NOTE_TYPES = tuple(type for type in signal_types.NAMES if type not in DEFAULT_TYPES)
"""The types that get a note when the option `notes` names them."""


@shaped(type="string", pattern=r"^\s*[A-Za-z0-9_.~-]+\s*$", examples=["bookshop"])
def database(value: object) -> str:
    """Accept the name of a database, which becomes a segment of the URL's path."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_.~-]+", value.strip()):
        raise vol.Invalid("expected the name of a database: letters, digits, _ . ~ -")
    return value.strip()


@shaped(type="string", pattern=r"^[^:]*\S[^:]*$")
def login(value: object) -> str:
    """Accept a user's login. A colon would end it in HTTP Basic credentials."""
    if not isinstance(value, str) or not value.isprintable() or not value.strip() or ":" in value:
        raise vol.Invalid("expected a user's login, without a colon")
    return value.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options once validated. `unknown_order_retry_for` is in seconds."""

    url: str = option(server_url, "The server's address, without a path.")
    database: str = option(database, "The name of the database.")
    application_key: SecretValue | None = option(
        Secret(header_value("a user application's key")),
        "The key of a validated user application; a secret. REST needs it.",
        unset=None,
    )
    user: str = option(login, "The user's login. JSON-RPC needs it.", unset="")
    password: SecretValue | None = option(Secret(), "The user's password; a secret. JSON-RPC needs it.", unset=None)
    transport: Literal["auto", "rest", "jsonrpc"] = option(
        one_of("auto", "rest", "jsonrpc"),
        "`rest` (8.0 and later), `jsonrpc` (any version), or `auto`: REST if the server has it and a key is given, "
        "JSON-RPC otherwise.",
        default="auto",
    )
    order_match: tuple[str, ...] = option(
        field_names("sale.sale", "reference or number"),
        "The fields of `sale.sale`, one or a list, that are compared with the signal's `order_reference`.",
        default=["reference", "number"],
    )
    line_match: Literal["id", "code", "none"] = option(
        one_of("id", "code", "none"),
        "The meaning of the signal's `item_reference`: the sale line's `id`, its product's `code`, "
        "or `none` (it names no line).",
        default="id",
    )
    mark_delivered: Literal["none", "line", "order"] = option(
        one_of("none", "line", "order"),
        "`line`: ship the item's line at once and leave the rest to another shipment. "
        "`order`: ship a shipment when its last line has been shipped.",
        default="none",
    )
    force_quantity: bool = option(
        flag, "Ship even quantities that are not in stock. The stock may become negative.", default=False
    )
    on_cancel: Literal["note", "cancel"] = option(
        one_of("note", "cancel"),
        "`cancel`: when the printer cancels the order, cancel the sale's open shipments; "
        "when it cancels an item, cancel the item's shipment if it contains nothing else.",
        default="note",
    )
    notes: tuple[str, ...] = option(
        ListOf(one_of(*NOTE_TYPES)),
        "More signal types that leave a note. Name them in the route's `signals` too.",
        default=[],
    )
    unknown_order_retry_for: float = option(
        duration,
        "How long to wait for a sale or shipment that is not in Tryton yet, or a sale that is still a quotation, "
        "such as `30m`, `48h`, `7d` or a number of seconds.",
        default="48h",
    )
    on_unknown: Literal["dead", "skip"] = option(
        one_of("dead", "skip"),
        "The end of the wait for a sale: `dead` makes a dead letter, `skip` counts the delivery as filtered.",
        default="dead",
    )
    proxy: bool = proxy_option()

    @property
    def has_login(self) -> bool:
        """Return True if both user and password are given."""
        return bool(self.user and self.password)

    def require_credentials(self) -> None:
        """Raise Misconfigured if the transport's credentials are missing."""
        if self.transport == "rest" and self.application_key is None:
            raise Misconfigured("transport: rest needs the option application_key")
        if self.transport == "jsonrpc" and not self.has_login:
            raise Misconfigured("transport: jsonrpc needs the options user and password")
        if self.application_key is None and not self.has_login:
            raise Misconfigured("give application_key (Tryton 8.0 and later), or user and password")

    def secrets(self) -> list[str]:
        """Return the secrets, which no message may contain."""
        return [secret.reveal() for secret in (self.application_key, self.password) if secret is not None]
