"""Webhook API keys: kept as SHA-256 digests, compared in constant time, taken out of what is stored."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from gateway.errors import InvalidSignal
from gateway.model import Key

DECOYS = (Key(digest=bytes(32), label="decoy"),) * 4
"""Compared where an account has fewer keys, or there is no such account: no text's digest is all zeros."""


def hash_key(text: str) -> bytes:
    """The SHA-256 digest (32 bytes) under which a key is kept. Keys are random, so a fast hash will do."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def match(presented: object, keys: Sequence[Key], now: datetime) -> Key | None:
    """The key that was presented, None where there is none: wrong, expired, missing or not text.

    Every key is compared, whatever was found before, and never fewer than `DECOYS`: how long it takes tells neither
    whether an account exists, nor how many keys it has, nor which one was close.
    """
    digest = hash_key(presented if isinstance(presented, str) else "")
    found = None
    for key in (*keys, *DECOYS[len(keys) :]):
        same = hmac.compare_digest(digest, key.digest)
        live = key.expires is None or now < key.expires
        found = key if same and live else found
    return found if isinstance(presented, str) and presented else None


def new_key(token: Callable[[int], str] = secrets.token_hex) -> str:
    """A new key, shaped as the vendor's: 32 hex digits. `token` gives random hex for a number of bytes."""
    return token(16)


# -- a key in a request -----------------------------------------------------------------------------

FIELD = "apikey"
MASK = "***"
MASKED_FROM = 8
"""Characters a key must have to be looked for in other values; a shorter one would be found everywhere."""

_PRESENTED = re.compile(rb'"apikey"\s*:\s*"([^"\\]+)"')
_MEMBER = re.compile(r'"apikey"\s*:\s*"(?:[^"\\]|\\.)*"?', re.IGNORECASE | re.DOTALL)
_NAME = re.compile(FIELD, re.IGNORECASE)


def find_key(body: bytes) -> str | None:
    """The key in a body that is no JSON object: its sender may be the right one, and then the body is kept."""
    found = _PRESENTED.findall(body)
    return found[-1].decode("utf-8", "replace") if found else None


def remove_key(payload: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The payload without `apikey`, at any depth and in any case, and without the key's text.

    Raises InvalidSignal where the payload is nested deeper than JSON can be written (254 levels).
    """
    clean = {name: value for name, value in payload.items() if name != FIELD}
    try:
        written = orjson.dumps(clean)
    except TypeError:
        raise InvalidSignal({"body": "nested too deeply"}) from None
    # One look over the written text spares nearly every request the walk.
    if FIELD.encode() in written.lower() or orjson.dumps(key)[1:-1] in written:
        return dict(_scrub(clean, key))
    return clean


def remove_key_from_text(body: bytes, key: str) -> str:
    """A body that is no JSON object, as text without `apikey` or the key; what is no UTF-8 is escaped."""
    text = body.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    return _NAME.sub(MASK, _mask(_MEMBER.sub(f'"{MASK}": "{MASK}"', text), key))


def _scrub(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {_mask(name, key): _scrub(inner, key) for name, inner in value.items() if name.lower() != FIELD}
    if isinstance(value, list):
        return [_scrub(inner, key) for inner in value]
    return _mask(value, key) if isinstance(value, str) else value


def _mask(text: str, key: str) -> str:
    return text.replace(key, MASK) if len(key) >= MASKED_FROM else text
