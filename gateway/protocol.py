"""The vendor's protocol: `decode` makes a payload of a body, `parse` makes a signal of a payload.

gateway.signal_types has the types and their parameters; the rules for parameters' values are here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import voluptuous as vol

from gateway import exact_json, model, signal_types
from gateway.errors import InvalidSignal
from gateway.signal_types import SignalType

BOM = b"\xef\xbb\xbf"
REPEATED_FOR_DAYS = 7
"""Days. The vendor repeats a signal for this time if it gets no 200 or 204 ("Retry": 100 attempts over 7 days).

The store must keep signals longer, or it takes a late retry for a new signal."""


_DECIMALS = frozenset({float, exact_json.Number})

# -- parameters ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """A check for text of 1 to `limit` characters, not only spaces. `number` also takes whole numbers, as digits."""

    limit: int
    number: bool = False

    def __call__(self, value: object) -> str:
        if value is None:
            raise vol.Invalid("must not be null")
        if type(value) is not str:
            digits = exact_json.whole_digits(value) if self.number else None
            if digits is None:
                fraction = self.number and type(value) in _DECIMALS
                raise vol.Invalid("must be text or a whole number" if fraction else "must be text")
            value = digits
        if not value or value.isspace():
            raise vol.Invalid("must not be empty")
        if len(value) > self.limit:
            raise vol.Invalid(f"must have at most {self.limit} characters")
        return value


@dataclass(frozen=True, slots=True)
class Name(Text):
    """A check for names: text without control characters. PostgreSQL can't hold NUL, nor a line of a log newlines."""

    def __call__(self, value: object) -> str:
        text = Text.__call__(self, value)
        if not text.isprintable() and any(character < " " or character == "\x7f" for character in text):
            raise vol.Invalid("must not contain control characters")
        return text


class Timestamp:
    """A check for ISO 8601 with an offset, as 2017-01-21T13:23:42+00:00. Takes v1.1's +0100, Z and fractions too."""

    text = Text(64)

    def __call__(self, value: object) -> str:
        text = self.text(value)
        to_utc(text)
        return text


@functools.lru_cache(maxsize=256)  # called twice per signal: by the check, and for `occurred_at`
def to_utc(text: str) -> datetime:
    """Return the moment in UTC. Raises vol.Invalid with the mistake in its message."""
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


ID = Name(255, number=True)
TYPE = Name(64)
IDS = ("order", "item", "order_reference", "item_reference")

PARAMETERS: Mapping[str, Callable[[object], str]] = {
    **dict.fromkeys(IDS, ID),
    "datetime": Timestamp(),
    # The vendor's examples have text, but a JSON number is plausible: a code, digits of a parcel, a number of hours.
    "tracking": Text(255, number=True),
    "shipping_option": Text(255, number=True),
    "url": Text(2048),
    "cause": Text(4096, number=True),
    "delay": Text(255, number=True),
    "message": Text(4096, number=True),
}
"""The check of each parameter, the same in all types."""


def optional(check: Callable[[object], str]) -> Callable[[object], object]:
    """Return a check that also takes null, empty text and spaces."""
    return lambda value: value if value is None or value == "" or str(value).isspace() else check(value)


# -- types -----------------------------------------------------------------------------------------


def make_schema(known: SignalType, *, incomplete: bool = False) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return a type's schema. It names every wrong field at once, and keeps fields that the type does not name.

    With `incomplete`, each parameter may be missing or empty.
    """
    required = () if incomplete else known.required
    rest = (*known.required, *known.optional) if incomplete else known.optional
    fields: dict[object, object] = {vol.Required(name, msg="required"): PARAMETERS[name] for name in required}
    fields |= {vol.Optional(name): optional(PARAMETERS[name]) for name in rest}
    compiled: Callable[[Mapping[str, Any]], dict[str, Any]] = vol.Schema(fields, extra=vol.ALLOW_EXTRA)
    return compiled


SCHEMAS = {known.name: make_schema(known) for known in signal_types.TABLE}
INCOMPLETE_SCHEMAS = {known.name: make_schema(known, incomplete=True) for known in signal_types.TABLE}


def check_quickly(known: SignalType, payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema's result for a valid payload, None for any other. Takes a fifth of the schema's time."""
    normalized = dict(payload)
    try:
        for name in known.required:
            normalized[name] = PARAMETERS[name](payload[name])
        for name in known.optional:
            if name in payload:
                normalized[name] = optional(PARAMETERS[name])(payload[name])
    except (KeyError, vol.Invalid):
        return None
    return normalized


# -- reading ---------------------------------------------------------------------------------------


def decode(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body: UTF-8, with or without a byte order mark. The last of two equal names wins.

    Raises InvalidSignal for anything else, also for NaN, lone surrogates and more than 1024 levels.
    """
    return restore_numbers(decode_rounded(body), body)


def decode_rounded(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body with its numbers rounded, so that requests without a key stay cheap."""
    if not body:
        raise InvalidSignal({"body": "must not be empty"})
    try:
        payload = exact_json.load_rounded(body.removeprefix(BOM))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidSignal({"body": f"not valid JSON in UTF-8 ({where})"}) from None
    if not isinstance(payload, dict):
        raise InvalidSignal({"body": "must be a JSON object"})
    return payload


def restore_numbers(payload: dict[str, Any], body: bytes) -> dict[str, Any]:
    """Return what `decode_rounded` made of `body` with its numbers as sent. Raises InvalidSignal."""
    try:
        exact: dict[str, Any] = exact_json.restore_numbers(payload, body.removeprefix(BOM))
    except json.JSONDecodeError:  # the standard library has a lower limit of levels
        raise InvalidSignal({"body": "nested too deeply"}) from None
    return exact


def parse(account: str, payload: Mapping[str, Any], received_at: datetime, *, incomplete: bool = False) -> model.Signal:
    """Return the signal in a payload without its key. Raises InvalidSignal, which names each wrong field.

    The signal keeps the payload as sent. Its ids are text, also in its identity, so that a retry that sends an
    id as an integer has the same identity. An unknown type needs nothing but a valid `type`; its other fields are used
    if they are valid. With `incomplete`, a known type's parameters may be missing or empty too.
    """
    name = _check_type_name(payload)
    known = signal_types.TYPES.get(name)
    normalized = _normalize(known, payload, incomplete) if known else _normalize_ids(payload)
    checked = known.required if known and not incomplete else ()
    order, item, order_reference, item_reference = (
        normalized[id] if id in checked else _valid_or_none(ID, normalized.get(id)) for id in IDS
    )
    return model.Signal(
        account=account,
        type=name,
        order=order or "",
        order_reference=order_reference or "",
        item=item,
        item_reference=item_reference,
        occurred_at=_moment(normalized.get("datetime")),
        received_at=received_at,
        payload=payload,
        identity=model.identity_of(account, _identified(payload, normalized)),
    )


def _check_type_name(payload: Mapping[str, Any]) -> str:
    if "type" not in payload:
        raise InvalidSignal({"type": "required"})
    try:
        name = TYPE(payload["type"])
    except vol.Invalid as error:
        raise InvalidSignal({"type": error.msg}) from None
    if name == signal_types.GATEWAY_ALERT:
        raise InvalidSignal({"type": "is of the gateway's own signals, and not taken from outside"})
    return name


def _normalize(known: SignalType, payload: Mapping[str, Any], incomplete: bool) -> dict[str, Any]:
    """Return the payload with its parameters as text. Raises InvalidSignal."""
    schemas = INCOMPLETE_SCHEMAS if incomplete else SCHEMAS
    try:
        return check_quickly(known, payload) or schemas[known.name](payload)
    except vol.MultipleInvalid as errors:
        raise InvalidSignal({str(error.path[0]): error.msg for error in errors.errors}) from None


def _normalize_ids(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of an unknown type with its valid ids as text."""
    valid = {name: _valid_or_none(ID, payload.get(name)) for name in IDS}
    return {**payload, **{name: text for name, text in valid.items() if text is not None}}


def _identified(payload: Mapping[str, Any], normalized: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the payload that the identity is made of: parameters as text, but 24.0 as sent, because it is not 24."""
    if _DECIMALS.isdisjoint(map(type, payload.values())):
        return normalized

    def identified(sent: Any, value: Any) -> Any:
        return sent if type(sent) in _DECIMALS and exact_json.to_text(sent) != value else value

    return {name: identified(payload[name], value) for name, value in normalized.items()}


def _valid_or_none(check: Callable[[object], str], value: object) -> str | None:
    try:
        return check(value) if value is not None else None
    except vol.Invalid:
        return None


def _moment(value: object) -> datetime | None:
    try:
        return to_utc(Timestamp.text(value))
    except vol.Invalid:
        return None
