"""Webhook API keys: kept as SHA-256 digests, compared in constant time, removed from everything that is stored."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from gateway import exact_json
from gateway.errors import InvalidSignal
from gateway.model import MASK, Key

DECOYS = (Key(digest=bytes(32), label="decoy"),) * 4
"""Keys that are compared if an account has fewer, or does not exist. No known text has a digest of zeros.

Four are enough, because an account has two keys while one is replaced, and rarely more."""


def hash_key(text: str) -> bytes:
    """Return the SHA-256 digest (32 bytes) of a key. Keys are random, so a slow password hash would add nothing."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class Match(NamedTuple):
    """The key of an account that was presented, if it is valid; or else the one that was, until it ended."""

    key: Key | None
    ended: Key | None = None


def match(presented: object, keys: Sequence[Key], now: datetime) -> Match:
    """Find the key that was presented. It is none if it is wrong, missing or not text.

    Compares every key, and at least as many as `DECOYS`. So its time does not tell if an account exists, how many keys
    it has, which key was close, or that a key has ended.
    """
    digest = hash_key(presented if isinstance(presented, str) else "")
    found = ended = None
    for key in (*keys, *DECOYS[len(keys) :]):
        same = hmac.compare_digest(digest, key.digest)
        live = key.expires is None or now < key.expires
        found = key if same and live else found
        ended = key if same and not live else ended
    if not isinstance(presented, str) or not presented:
        return Match(None)
    return Match(found, None if found else ended)


MIN_LENGTH = 16
"""Characters of a key. The vendor's have 32 hex digits; what is much shorter can be guessed."""

_QUOTES = frozenset("\"'`\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e")
_SHELL_VARIABLE = re.compile(r"\$\{?\w+\}?|%\w+%")
_DIGESTS_OF_NOTHING = frozenset(hash_key(text) for text in ("", "\n", "\r\n"))


_FAULTS: Mapping[str, Callable[[str], object]] = {
    "the key begins with a byte order mark: save the file as UTF-8 without it": lambda key: key.startswith("\ufeff"),
    "the key has spaces or line breaks around it: remove them": lambda key: key != key.strip(),
    "the key has quotes around it, which would be part of it: remove them": lambda key: (
        key[:1] in _QUOTES and key[-1:] in _QUOTES
    ),
    "the key has a quotation mark in it: remove it, or give the key's sha256": _QUOTES.intersection,
    "the key has a space, a line break or a character that can't be seen in it: remove it": lambda key: (
        " " in key or not key.isprintable()
    ),
    "the key is the name of a variable: for the value of one, write !env NAME": _SHELL_VARIABLE.fullmatch,
    f"the key is shorter than {MIN_LENGTH} characters: `cloudsignal keys new` makes a good one": lambda key: (
        len(key) < MIN_LENGTH
    ),
}
"""Messages about a key, each with the test that finds the fault, in the order in which they are told."""


def find_fault(key: str) -> str:
    """Return what is wrong with the text of a key and how to mend it, without the text; "" for a good key."""
    return next((fault for fault, has_fault in _FAULTS.items() if has_fault(key)), "")


def is_digest_of_nothing(digest: bytes) -> bool:
    """Return True for the digest of an empty text or line, which a script with an empty variable makes."""
    return digest in _DIGESTS_OF_NOTHING


def new_key(token: Callable[[int], str] = secrets.token_hex) -> str:
    """Return a new key in the vendor's form: 32 hex digits. `token` returns random hex for a number of bytes."""
    return token(16)


TOKEN_PREFIX = "cst_"
"""Beginning of a token for the admin listener, by which people and scanners of secrets know it."""


def new_token(token: Callable[[int], str] = secrets.token_urlsafe) -> str:
    """Return a new token for the admin listener. `token` returns random text for a number of bytes."""
    return TOKEN_PREFIX + token(32)


# -- a key in a request -----------------------------------------------------------------------------

FIELD = "apikey"
MASKED_FROM = 8
"""Characters. A shorter key is not searched for in other values, because it would match ordinary text."""

_PRESENTED = re.compile(rb'"apikey"\s*:\s*"([^"\\]+)"')
_SHORT_ESCAPES = {'"': '"', "\\": "\\\\", "/": "/", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
_BACKSLASHES = r"\\{1,8}"
"""JSON within JSON within JSON has 4. A bound, because a body may have 64 KiB of them."""


def spell(text: str) -> str:
    """Return a regular expression of a text with any of its characters escaped, as JSON or a URL may."""
    return "".join(map(_spell_character, text))


def _spell_character(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    octets = character.encode("utf-8", "surrogatepass").hex()
    forms = [re.escape(character)]
    forms.append("".join(f"{_BACKSLASHES}u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4)))
    forms.append("".join(f"%(?i:{octets[at : at + 2]})" for at in range(0, len(octets), 2)))
    if character in _SHORT_ESCAPES:
        forms.append(_BACKSLASHES + _SHORT_ESCAPES[character])
    return f"(?:{'|'.join(forms)})"


_ANY_FIELD = "".join(f"(?:{spell(letter)}|{spell(letter.upper())})" for letter in FIELD)
_MEMBER = re.compile(rf'"{_ANY_FIELD}"\s*:\s*"(?:[^"\\]|\\.)*"?', re.DOTALL)
_NAME = re.compile(_ANY_FIELD)


def find_key(body: bytes) -> str | None:
    """Return the last key in a body that is no JSON object, None if it has none."""
    found = _PRESENTED.findall(body)
    return found[-1].decode("utf-8", "replace") if found else None


def remove_key(payload: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the payload without `apikey` fields, at any depth and in any case. A text that is the key is masked.

    Text that only contains the key is kept: an order reference may begin with a key that people chose.
    Raises InvalidSignal if the payload is nested deeper than orjson can write (254 levels).
    """
    keyless = {name: value for name, value in payload.items() if name != FIELD}
    try:
        written = exact_json.dumps(keyless)
    except TypeError:
        raise InvalidSignal({"body": "nested too deeply"}) from None
    # Searching the written text is much faster than walking the payload, and nearly never finds anything.
    if FIELD.encode() in written.lower() or exact_json.dumps(key) in written:
        return dict(_scrub(keyless, key))
    return keyless


def remove_key_from_text(body: bytes, key: str) -> str:
    """Return a body that is no JSON object as text without its key, however it is spelled.

    Bytes that are not UTF-8 are escaped. Such a text has no fields, so the key is masked wherever it stands.
    """
    text = body.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    if len(key) >= MASKED_FROM:
        text = re.sub(spell(key), MASK, text)
    return _NAME.sub(MASK, _MEMBER.sub(f'"{MASK}": "{MASK}"', text))


def _scrub(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {_mask(name, key): _scrub(inner, key) for name, inner in value.items() if name.lower() != FIELD}
    if isinstance(value, list):
        return [_scrub(inner, key) for inner in value]
    return _mask(value, key) if isinstance(value, str) else value


def _mask(text: str, key: str) -> str:
    return MASK if text == key and len(key) >= MASKED_FROM else text
