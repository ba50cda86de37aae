"""Masks secrets in a target's text, in any spelling that a target may give them."""

from __future__ import annotations

import functools
import html.entities
import re
from collections.abc import Iterable

from gateway.model import MASK

CREDENTIALS = re.compile(r"\b(basic|bearer)(\s+)(?=\S*[0-9=+/])[^\s\"'<>,;]{8,}", re.IGNORECASE)
"""Credentials of an Authorization header that a target sent back: coded, so that the secret is not found in them."""

AMPERSAND = "&(?:amp;){0,3}"
SHORT_ESCAPES = {" ": (r"\+",), "\n": (r"\\{1,8}n",), "\t": (r"\\{1,8}t",), "\r": (r"\\{1,8}r",)}
"""Spellings that only these characters have."""


def mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return text with each secret masked: plain, or escaped for JSON, URLs, HTML or Python, also more than once."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = pattern_of(secret).sub(MASK, text)
    return CREDENTIALS.sub(rf"\1\2{MASK}", text)


@functools.lru_cache(maxsize=1000)
def pattern_of(secret: str) -> re.Pattern[str]:
    """Return a pattern in which each character of a secret may have any spelling."""
    return re.compile("".join(map(spell, re.findall(r"\\+|[^\\]", secret))))


@functools.lru_cache(maxsize=1000)
def spell(piece: str) -> str:
    """Return a pattern for a character, or for a run of backslashes."""
    size = len(piece)
    # If each backslash of a run had its own optional escapes, a text could match in too many ways.
    plain = rf"\\{{{size},{9 * size}}}" if piece.startswith("\\") else rf"\\{{0,8}}{re.escape(piece)}"
    # Hexadecimal digits and entities may be in either case; the character itself may not.
    return f"(?:{plain}|(?i:{escapes_of(piece[0])}){{{size}}})"


def escapes_of(character: str) -> str:
    """Return a pattern of a character's escapes. Nested escapes put several backslashes or `%25` before it.

    All repetitions are bounded: a target's text must not make the search long.
    """
    code = ord(character)
    units = character.encode("utf-16-be", "surrogatepass")
    hexes = [units[at : at + 2].hex() for at in range(0, len(units), 2)]
    octets = character.encode("utf-8", "surrogatepass")
    spellings = [
        "".join(rf"\\{{1,8}}u{unit}" for unit in hexes),
        "".join(rf"%(?:25){{0,4}}{octet:02x}" for octet in octets),
        rf"{AMPERSAND}#0{{0,6}}{code};",
        rf"{AMPERSAND}#x0{{0,6}}{code:x};",
        rf"\\{{1,8}}x{code:02x}" if code < 0x100 else rf"\\{{1,8}}U{code:08x}",
        *(rf"{AMPERSAND}{name};" for name in names_of(code)),
        *SHORT_ESCAPES.get(character, ()),
    ]
    return "|".join(spellings)


def names_of(code: int) -> list[str]:
    """Return the names that HTML has for a character."""
    name = html.entities.codepoint2name.get(code)
    return [*([name] if name else []), *(["apos"] if code == ord("'") else [])]
