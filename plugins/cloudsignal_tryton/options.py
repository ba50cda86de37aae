"""The route's options: their schema, and the frozen values that the rest of the plugin reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import voluptuous as vol

from gateway.sink import (
    Misconfigured,
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
"""The types that change something in Tryton by default."""

NOTABLE = tuple(type for type in signal_types.TYPES if type not in ACTED_ON)
"""The types that get a note when `notes` names them."""


def database(value: object) -> str:
    """Stands in a path."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_.~-]+", value.strip()):
        raise vol.Invalid("expected the name of a database: letters, digits, _ . ~ -")
    return value.strip()


def login(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or not value.strip() or ":" in value:
        raise vol.Invalid("expected a user's login, without a colon")
    return value.strip()


OPTIONS: Mapping[Any, Any] = {
    vol.Required("url"): server_url,
    vol.Required("database"): database,
    vol.Optional("application_key"): Secret(header_value("a user application's key")),
    vol.Optional("user"): login,
    vol.Optional("password"): Secret(),
    vol.Optional("transport", default="auto"): one_of("auto", "rest", "jsonrpc"),
    vol.Optional("order_match", default=["reference", "number"]): field_names("sale.sale", "reference or number"),
    vol.Optional("line_match", default="id"): one_of("id", "code", "none"),
    vol.Optional("mark_delivered", default="none"): one_of("none", "line", "order"),
    vol.Optional("force_quantity", default=False): flag,
    vol.Optional("on_cancel", default="note"): one_of("note", "cancel"),
    vol.Optional("notes", default=[]): vol.All([one_of(*NOTABLE)], vol.Coerce(tuple)),
    vol.Optional("unknown_order_retry_for", default="48h"): duration,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options once validated, with the defaults of OPTIONS. `unknown_order_retry_for` is in seconds."""

    url: str
    database: str
    application_key: SecretValue | None = None
    user: str = ""
    password: SecretValue | None = None
    transport: Literal["auto", "rest", "jsonrpc"]
    order_match: tuple[str, ...]
    line_match: Literal["id", "code", "none"]
    mark_delivered: Literal["none", "line", "order"]
    force_quantity: bool
    on_cancel: Literal["note", "cancel"]
    notes: tuple[str, ...]
    unknown_order_retry_for: float

    @property
    def has_login(self) -> bool:
        return bool(self.user and self.password)

    def require_credentials(self) -> None:
        """Misconfigured where the transport's credentials are missing."""
        if self.transport == "rest" and self.application_key is None:
            raise Misconfigured("transport: rest needs the option application_key")
        if self.transport == "jsonrpc" and not self.has_login:
            raise Misconfigured("transport: jsonrpc needs the options user and password")
        if self.application_key is None and not self.has_login:
            raise Misconfigured("give application_key (Tryton 8.0 and later), or user and password")

    def secrets(self) -> list[str]:
        """What no message may hold."""
        return [secret.reveal() for secret in (self.application_key, self.password) if secret is not None]
