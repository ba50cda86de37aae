"""Checks requests: `decode` reads a body, `parse` makes a signal of it. gateway.signal_types has the types."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import voluptuous as vol

from gateway import model, signal_types
from gateway.errors import InvalidSignal
from gateway.signal_types import SignalType

BOM = b"\xef\xbb\xbf"
REPEATED_FOR_DAYS = 7
"""For how long the sender repeats a signal that it saw no 200 or 204 for ("Retry": 100 attempts over 7 days)."""


# -- parameters ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """Text of at most `limit` characters, not blank. With `integer`, a JSON integer is taken too, as its digits."""

    limit: int
    integer: bool = False

    def __call__(self, value: object) -> str:
        if self.integer and type(value) is int:  # a bool is no integer here
            value = str(value)
        if value is None:
            raise vol.Invalid("must not be null")
        if not isinstance(value, str):
            raise vol.Invalid("must be text or an integer" if self.integer else "must be text")
        if not value or value.isspace():
            raise vol.Invalid("must not be empty")
        if len(value) > self.limit:
            raise vol.Invalid(f"must have at most {self.limit} characters")
        return value


@dataclass(frozen=True, slots=True)
class Name(Text):
    """Text that names something: control characters are refused, since databases and logs choke on them."""

    def __call__(self, value: object) -> str:
        text = Text.__call__(self, value)
        if not text.isprintable() and any(character < " " or character == "\x7f" for character in text):
            raise vol.Invalid("must not contain control characters")
        return text


class Timestamp:
    """ISO 8601 with offset, as 2017-01-21T13:23:42+00:00; v1.1's +0100, Z and fractions of a second pass too."""

    text = Text(64)

    def __call__(self, value: object) -> str:
        text = self.text(value)
        to_utc(text)
        return text


@functools.lru_cache(maxsize=256)  # asked twice of each signal: whether it is a time, and which
def to_utc(text: str) -> datetime:
    """The moment in UTC; vol.Invalid says what is wrong with the text."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise vol.Invalid("must be an ISO 8601 date and time") from None
    if moment.tzinfo is None:
        raise vol.Invalid("must have an offset from UTC, such as +00:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise vol.Invalid("is out of range") from None


ID = Name(255, integer=True)
TYPE = Name(64)
IDS = ("order", "item", "order_reference", "item_reference")

PARAMETERS: Mapping[str, Callable[[object], str]] = {
    **dict.fromkeys(IDS, ID),
    "datetime": Timestamp(),
    "tracking": Text(255),
    "shipping_option": Text(255),
    "url": Text(2048),
    # A code or a number of hours, which a sender may well write as a number.
    "cause": Text(4096, integer=True),
    "delay": Text(255, integer=True),
    "message": Text(4096),
}
"""What each parameter must be, wherever it stands."""


def optional(check: Callable[[object], str]) -> Callable[[object], object]:
    """An optional parameter may be there and empty."""
    return lambda value: value if value is None or value == "" else check(value)


# -- types -----------------------------------------------------------------------------------------


def make_schema(known: SignalType) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Compile a type's schema, which names every wrong field. Fields that the type does not name are kept."""
    fields: dict[object, object] = {vol.Required(name, msg="required"): PARAMETERS[name] for name in known.required}
    fields |= {vol.Optional(name): optional(PARAMETERS[name]) for name in known.optional}
    compiled: Callable[[Mapping[str, Any]], dict[str, Any]] = vol.Schema(fields, extra=vol.ALLOW_EXTRA)
    return compiled


SCHEMAS = {known.name: make_schema(known) for known in signal_types.TABLE}


def check_quickly(known: SignalType, payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema's result for a valid payload, None for any other. Takes a fifth of the schema's time."""
    clean = dict(payload)
    try:
        for name in known.required:
            clean[name] = PARAMETERS[name](payload[name])
        for name in known.optional:
            if name in payload:
                clean[name] = optional(PARAMETERS[name])(payload[name])
    except (KeyError, vol.Invalid):
        return None
    return clean


# -- reading ---------------------------------------------------------------------------------------


def decode(body: bytes) -> dict[str, Any]:
    """The JSON object in a body: UTF-8, with or without a byte order mark. Of a name given twice the last holds.

    Raises InvalidSignal for anything else: NaN, lone surrogates and more than 1024 levels are no JSON either.
    """
    if not body:
        raise InvalidSignal({"body": "must not be empty"})
    try:
        payload = orjson.loads(body.removeprefix(BOM))
    except orjson.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidSignal({"body": f"not valid JSON in UTF-8 ({where})"}) from None
    if not isinstance(payload, dict):
        raise InvalidSignal({"body": "must be a JSON object"})
    return payload


def parse(account: str, payload: Mapping[str, Any], received_at: datetime) -> model.Signal:
    """The signal in a payload that no longer holds its key. Raises InvalidSignal, which names each wrong field.

    The payload is kept as sent; ids beside it, and in the identity, are text, so that a retry that writes an id as
    a number is a retry. Of an unknown type only `type` must be right; the rest is taken where it can be used.
    """
    kind = _check_type(payload)
    known = signal_types.TYPES.get(kind)
    clean = (check_quickly(known, payload) or _check(SCHEMAS[kind], payload)) if known else _clean_ids(payload)
    checked = known.required if known else ()
    order, item, order_reference, item_reference = (
        clean[name] if name in checked else _usable(ID, clean.get(name)) for name in IDS
    )
    return model.Signal(
        account=account,
        type=kind,
        order=order or "",
        order_reference=order_reference or "",
        item=item,
        item_reference=item_reference,
        occurred_at=_moment(clean.get("datetime")),
        received_at=received_at,
        payload=payload,
        identity=model.identity_of(account, clean),
    )


def _check_type(payload: Mapping[str, Any]) -> str:
    if "type" not in payload:
        raise InvalidSignal({"type": "required"})
    try:
        return TYPE(payload["type"])
    except vol.Invalid as error:
        raise InvalidSignal({"type": error.msg}) from None


def _check(schema: Callable[[Mapping[str, Any]], dict[str, Any]], payload: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return schema(payload)
    except vol.MultipleInvalid as errors:
        raise InvalidSignal({str(error.path[0]): error.msg for error in errors.errors}) from None


def _clean_ids(payload: Mapping[str, Any]) -> dict[str, Any]:
    usable = {name: _usable(ID, payload.get(name)) for name in IDS}
    return {**payload, **{name: text for name, text in usable.items() if text is not None}}


def _usable(check: Callable[[object], str], value: object) -> str | None:
    try:
        return check(value) if value is not None else None
    except vol.Invalid:
        return None


def _moment(value: object) -> datetime | None:
    try:
        return to_utc(Timestamp.text(value))
    except vol.Invalid:
        return None
