"""Validators of single settings, for voluptuous. Messages name the expected form and never contain the value."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, NamedTuple

import voluptuous as vol

from gateway import keys, model, order_state, protocol, signal_types
from gateway.validators import NUMBER, ON_FILE, SECONDS_IN, ListOf, duration, number, shape_of, shaped

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
NAME_EXPECTED = "expected a name of a-z, 0-9, - and _ (it is part of URLs), at most 64 characters"
SIGNAL_TYPES = (*signal_types.NAMES, model.EVERY)
MAX_KNOWN = 20
"""Known words that a message lists."""


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return the end of a message about an unknown word: the most similar known word, or the known words.

    A word with another number is not similar: of client1 to client60, each is a name of its own.
    """
    plain = {name.lower(): name for name in reversed(known) if numbers_in(name) == numbers_in(word)}
    near = get_close_matches(word.lower(), plain, 1)
    if near:
        return f"; did you mean {plain[near[0]]!r}?"
    more = f" and {len(known) - MAX_KNOWN} more" if len(known) > MAX_KNOWN else ""
    return f"; known: {', '.join(known[:MAX_KNOWN])}{more}" if known else ""


def numbers_in(text: str) -> list[int]:
    """Return the whole numbers in a text; leading zeros do not count."""
    return [int(digits) for digits in re.findall(r"[0-9]{1,30}", text)]


@shaped(type="string", pattern=r"\S")
def text(value: object) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise vol.Invalid("expected text; put it in quotes")
    if not isinstance(value, str) or not value.strip():
        raise vol.Invalid("expected text")
    return value


@shaped(type="string", pattern=r"\S", maxLength=64)
def label(value: object) -> str:
    if len(text(value)) > 64 or not text(value).isprintable():
        raise vol.Invalid("expected text of at most 64 printable characters")
    return text(value)


@shaped(type="string", pattern=f"^{NAME.pattern}$")
def name(value: object) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise vol.Invalid(NAME_EXPECTED)
    return value


def whole(least: int, most: int) -> Callable[[object], int]:
    """A whole number within bounds."""

    @shaped(type=["integer", "string"], minimum=least, maximum=most, pattern=r"^\d{1,15}$")
    def validate(value: object) -> int:
        if not re.fullmatch(r"\d{1,15}", str(value)) or not least <= int(str(value)) <= most:
            raise vol.Invalid(f"expected a whole number from {least} to {most}")
        return int(str(value))

    return validate


@shaped(type=["number", "string"], exclusiveMinimum=0, pattern=NUMBER)
def positive(value: object) -> float:
    if number(value) <= 0:
        raise vol.Invalid("expected a number above 0")
    return number(value)


@shaped(type=["number", "string"], minimum=1, pattern=NUMBER)
def at_least_one(value: object) -> float:
    if number(value) < 1:
        raise vol.Invalid("expected a number, at least 1")
    return number(value)


@shaped(**{**shape_of(duration), "minimum": 1})
def at_least_a_second(value: object) -> float:
    if duration(value) < 1:
        raise vol.Invalid("expected at least 1s")
    return duration(value)


@shaped(**{**shape_of(duration), "minimum": protocol.REPEATED_FOR_DAYS * SECONDS_IN["d"]})
def retention(value: object) -> float:
    """A duration at least as long as the sender's retries: duplicates of removed signals are not recognised."""
    days = protocol.REPEATED_FOR_DAYS
    if duration(value) < days * SECONDS_IN["d"]:
        why = f"the sender repeats signals for {days} days, and a removed one would be delivered again"
        raise vol.Invalid(f"expected at least {days}d: {why}")
    return duration(value)


class Address(NamedTuple):
    """An address to listen on: host and port, or the path of a Unix socket and no port. Port 0 means any free port."""

    host: str
    port: int | None

    @property
    def is_unix(self) -> bool:
        return self.port is None

    @property
    def is_any(self) -> bool:
        """True for 0.0.0.0 and [::], which stand for all addresses of the machine."""
        return self.host in (str(ipaddress.IPv4Address(0)), str(ipaddress.IPv6Address(0)))

    @property
    def is_private(self) -> bool:
        """True for a Unix socket, and for addresses that only this machine reaches."""
        if self.is_unix or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_any_ipv4(self) -> bool:
        return self.is_any and ":" not in self.host

    def __str__(self) -> str:
        if self.is_unix:
            return f"unix:{self.host}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@shaped(type="string", pattern=rf"^(unix:.+|(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):\d{{1,5}}|{ON_FILE})$")
def address(value: object) -> Address:
    """An address, from 127.0.0.1:8080, [::1]:8080 or unix:/run/gateway.sock."""
    given = value if isinstance(value, str) else ""
    if given.startswith("unix:") and given != "unix:" and "\0" not in given:
        return Address(os.path.expanduser(given.removeprefix("unix:")), None)
    match = re.fullmatch(r"(?:\[([^\]]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})", given)
    if match is None or int(match[3]) > 65535 or not (match[1] is None or is_ipv6(match[1])):
        raise vol.Invalid("expected host:port, such as 127.0.0.1:8080 or [::1]:8080, or unix:/path")
    return Address(match[1] or match[2], int(match[3]))


@shaped(anyOf=[shape_of(address), {"type": "array", "items": shape_of(address), "minItems": 1}])
def addresses(value: object) -> tuple[Address, ...]:
    """One address, or a list of different ones."""
    given = value if isinstance(value, (list, tuple)) else [address(value)]
    found = tuple(given) if given is not value else ListOf(address, least=1)(value)
    if len({each for each in found if each.port != 0}) < sum(each.port != 0 for each in found):
        raise vol.Invalid("an address is given twice")
    return found


@shaped(type="string", pattern=rf"^(https?://\S+|{ON_FILE})$")
def public_url(value: object) -> str:
    """An http or https URL without user, query and fragment; a slash at its end is removed."""
    given = value if isinstance(value, str) else ""
    match = re.fullmatch(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?(/[^\s?#\"'<>`]*)?", given)
    if match is None:
        raise vol.Invalid("expected a URL such as https://hooks.example.com, without user, query and fragment")
    return given.rstrip("/")


@shaped(type=["string", "integer"], minimum=600, maximum=777, pattern="^0?[67][0-7]{2}$")
def socket_mode(value: object) -> int:
    """The mode of a file that its owner may read and write, from "0660" or 0660, which YAML reads as 660."""
    match = re.fullmatch(r"0?([67][0-7]{2})", str(value)) if isinstance(value, (str, int)) else None
    if match is None:
        raise vol.Invalid('expected the mode of a file as octal digits, such as "0660"')
    return int(match[1], 8)


def is_ipv6(value: str) -> bool:
    try:
        ipaddress.IPv6Address(value)
    except ValueError:
        return False
    return True


@shaped(type="string", pattern=rf"^([0-9A-Fa-f:.]+(/\d{{1,3}})?|{ON_FILE})$")
def network(value: object) -> str:
    try:
        return str(ipaddress.ip_network(text(value), strict=False))
    except ValueError:
        raise vol.Invalid("expected an address or a network, such as 10.0.0.0/8") from None


@shaped(type="string", pattern="^[A-Za-z][A-Za-z0-9-]{0,63}$")
def header(value: object) -> str:
    """The name of a header, in lower case."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,63}", text(value)):
        raise vol.Invalid("expected the name of a header, such as x-forwarded-user")
    return text(value).lower()


@shaped(enum=list(SIGNAL_TYPES))
def signal_type(value: object) -> str:
    if value not in SIGNAL_TYPES:
        word = value if isinstance(value, str) else ""
        hint = did_you_mean(word, SIGNAL_TYPES)
        # Only a word that is like a type is quoted: any other may be a secret in the wrong place.
        raise vol.Invalid(f"unknown signal type {word!r}{hint}" if "mean" in hint else f"unknown signal type{hint}")
    return str(value)


@shaped(enum=list(signal_types.TYPES))
def vendor_type(value: object) -> str:
    """A type of the vendor's."""
    return known_type(value, tuple(signal_types.TYPES))


@shaped(enum=list(order_state.PROGRESS))
def stage_type(value: object) -> str:
    """A type of the vendor's that is a stage: a print error and a failed delivery bring nothing further."""
    return known_type(value, tuple(order_state.PROGRESS))


def known_type(value: object, known: Sequence[str]) -> str:
    if value not in known:
        word = value if isinstance(value, str) else ""
        hint = did_you_mean(word, known)
        raise vol.Invalid(f"expected a signal type{hint}")
    return str(value)


@shaped(anyOf=[{"const": "auto"}, shape_of(at_least_a_second)])
def silence(value: object) -> float | None:
    """Seconds, at least 1; None for `auto`."""
    return None if value == "auto" else at_least_a_second(value)


# -- keys of an account


@shaped(type="string", pattern=r"^[^\s`]+$")
def key_text(value: object) -> str:
    if fault := keys.find_fault(text(value)):
        raise vol.Invalid(fault)
    return text(value)


@shaped(type="string", pattern="^[0-9a-fA-F]{64}$")
def sha256(value: object) -> bytes:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise vol.Invalid("expected a SHA-256 digest: 64 hex digits, as `cloudsignal keys hash` prints them")
    digest = bytes.fromhex(value)
    if keys.is_digest_of_nothing(digest):
        raise vol.Invalid("the digest of an empty text: hash the key itself, with `cloudsignal keys hash`")
    return digest


@shaped(type="string", pattern=r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})$")
def moment(value: object) -> datetime:
    """A time in UTC, from ISO 8601 with an offset."""
    try:
        found = datetime.fromisoformat(value if isinstance(value, str) else "")
        if found.tzinfo is None:
            raise ValueError
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise vol.Invalid("expected a time with its offset, such as 2027-01-31T00:00:00Z") from None


# -- collections


@shaped(type=["object", "null"])
def mapping(value: object) -> dict[str, Any]:
    """A mapping. None counts as an empty one, so that `admin:` alone is valid."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise vol.Invalid("expected a mapping (name: value)")
    return value
