"""Checks of single fields in queries, paths and bodies. Each knows its JSON Schema, which `openapi` shows."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import voluptuous as vol

from gateway.operate.lookups import STATES, DeliveryKey, Filter
from gateway.validators import parse_moment

MOST_ROWS = 200
LARGEST = 2**63 - 1
"""Largest id that a database takes."""


@dataclass(frozen=True, slots=True)
class Field:
    """A check that raises vol.Invalid, and the JSON Schema of the values that it takes."""

    check: Callable[[Any], Any]
    schema: Mapping[str, Any]

    def __call__(self, value: Any) -> Any:
        return self.check(value)


class Moment(float):
    """A time in seconds since the epoch, with the text that it was given as."""

    text: str = ""


def whole(least: int, most: int) -> Field:
    """A whole number within bounds: in digits, as queries have it, or a JSON number."""

    def check(value: Any) -> int:
        text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
        if not re.fullmatch(r"[0-9]{1,19}", text, re.ASCII) or not least <= int(text) <= most:
            raise vol.Invalid(f"expected a whole number from {least} to {most}")
        return int(text)

    return Field(check, {"type": "integer", "minimum": least, "maximum": most})


def text(most: int = 255, least: int = 1) -> Field:
    """A text within bounds of length."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not least <= len(value) <= most:
            raise vol.Invalid(f"expected text of {least} to {most} characters")
        return value

    return Field(check, {"type": "string", "minLength": least, "maxLength": most})


def one_of(*words: str) -> Field:
    """One of these words."""

    def check(value: Any) -> str:
        if value not in words:
            raise vol.Invalid(f"expected one of {', '.join(words)}")
        return str(value)

    return Field(check, {"type": "string", "enum": list(words)})


def list_of(field: Field, most: int) -> Field:
    """A list of values, at least one."""

    def check(value: Any) -> list[Any]:
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise vol.Invalid(f"expected a list of 1 to {most} entries")
        return [field(each) for each in value]

    return Field(check, {"type": "array", "items": dict(field.schema), "minItems": 1, "maxItems": most})


def matching(pattern: str, make: Callable[[str], Any], expected: str) -> Field:
    """A text of a form, converted by `make`."""

    def check(value: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
            raise vol.Invalid(f"expected {expected}")
        return make(value)

    return Field(check, {"type": "string", "pattern": f"^{pattern}$"})


def to_moment(value: Any) -> Moment:
    """Return a time in seconds since the epoch, in any form that the command line takes."""
    try:
        found = Moment(parse_moment(value if isinstance(value, str) else "", time.time()))
    except (ValueError, OverflowError):
        raise vol.Invalid("expected a time such as 2026-11-24T08:00:00Z, or an age such as 12h") from None
    found.text = value
    return found


def to_flag(value: Any) -> bool:
    """Return true or false, from JSON or from a query."""
    if value in ("true", "false"):
        return bool(value == "true")
    if not isinstance(value, bool):
        raise vol.Invalid("expected true or false")
    return value


def to_key(value: str) -> DeliveryKey:
    """Return the place of a delivery in a listing, from its cursor."""
    signal, _, route = value.partition(".")
    return DeliveryKey(int(signal), route)


ID = whole(1, LARGEST)
NAME = text(64)
MOMENT = Field(to_moment, {"type": "string", "format": "date-time"})
FLAG = Field(to_flag, {"type": "boolean"})
DELIVERY = matching(r"[0-9]{1,18}\.[a-z0-9_-]{1,64}", to_key, "a cursor that a page before has linked")
WHY = text(500, 0)

PATH = {"id": ID}
"""Checks of parameters in paths; the others are NAME. A wrong one names nothing that is there."""
PAGE: Mapping[Any, Any] = {
    vol.Optional("limit", default=50, description="Rows on a page."): whole(1, MOST_ROWS),
    vol.Optional("after", description="Where the page begins; take it from the Link header."): ID,
}
WINDOW: Mapping[Any, Any] = {
    vol.Optional("since", description="Received at this time or later; also an age such as 12h."): MOMENT,
    vol.Optional("until", description="Received before this time; also an age such as 12h."): MOMENT,
}
ACCOUNT: Mapping[Any, Any] = {vol.Optional("account", description="Only of this account."): NAME}
FILTERS: Mapping[Any, Any] = {
    **ACCOUNT,
    vol.Optional("route", description="Only on this route."): NAME,
    vol.Optional("type", description="Only of this signal type."): text(64),
    vol.Optional("order", description="The vendor's order id or your order reference."): text(),
    **WINDOW,
}
STATE: Mapping[Any, Any] = {vol.Optional("state", description="Only in this state."): one_of(*STATES)}


def make_filter(given: Mapping[str, Any], **fields: Any) -> Filter:
    """Return the filter that a query or a body asks for. `after` is a cursor, and no part of it."""
    names = ("account", "route", "type", "order", "state")
    found = {name: given[name] for name in names if name in given}
    times: dict[str, Any] = {name: float(given[name]) for name in ("since", "until") if name in given}
    return Filter(**found, **times, **fields)


def below(given: Mapping[str, Any]) -> int | None:
    """Return the largest id on the page that a query asks for, None for the first page."""
    return given["after"] - 1 if "after" in given else None
