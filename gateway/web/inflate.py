"""Bodies with a Content-Encoding: inflated within the limit of bodies, so that a bomb costs no more than a body."""

from __future__ import annotations

import zlib

from gateway.errors import TooLarge, UnsupportedContent
from gateway.keys import FIELD

WINDOWS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
"""The forms of zlib's format by coding. Some senders give raw deflate data, without zlib's header, as `deflate`."""
GZIP = b"\x1f\x8b"
"""The first bytes of gzip data, and of each of its members. No JSON begins so."""
STEP = 16
"""Bytes of damaged data that are inflated at a time: zlib drops the output of the step that has the damage."""
NO_CODING = "is gzip data; expected the header Content-Encoding: gzip with it"


def inflate(body: bytes, codings: str, most: int) -> tuple[bytes, str]:
    """Return a body without its Content-Encoding, at most `most` bytes, and what is wrong with it, "" if nothing is.

    Damaged data gives what stands before the damage, by which its key may be found. Plain JSON is returned as it is.
    Raises TooLarge, or UnsupportedContent for another coding, or for two.
    """
    names = [name for each in codings.lower().split(",") if (name := each.strip()) not in ("", "identity")]
    if not names:
        return (inflate(body, "gzip", most)[0], NO_CODING) if body.startswith(GZIP) else (body, "")
    if len(names) > 1 or names[0] not in WINDOWS:
        raise UnsupportedContent()
    before_damage = b""
    for window in WINDOWS[names[0]]:
        inflated, whole = _inflate(body, window, most)
        if whole:
            return inflated, ""
        before_damage = max(before_damage, inflated, key=len)
    if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b""):
        return body, ""
    kept = before_damage if FIELD.encode() in before_damage else body
    return kept, f"can't be inflated: its {names[0]} data is damaged or cut"


def _inflate(body: bytes, window: int, most: int) -> tuple[bytes, bool]:
    """Return the inflated data, and True if it is whole. What stands behind it is ignored, as gzip does."""
    inflated = b""
    while True:  # gzip may have several members
        member, room = zlib.decompressobj(window), most + 1 - len(inflated)
        try:
            inflated += member.decompress(body, room)
        except zlib.error:
            return inflated + _inflate_to_damage(body, window, room), False
        if len(inflated) > most:
            raise TooLarge()
        if not member.eof:
            return inflated, False
        body = member.unused_data
        if window != WINDOWS["gzip"][0] or not body.startswith(GZIP):
            return inflated, True


def _inflate_to_damage(body: bytes, window: int, room: int) -> bytes:
    """Return what stands before the damage. Raises TooLarge if that is `room` bytes or more."""
    member, inflated = zlib.decompressobj(window), b""
    try:
        for at in range(0, len(body), STEP):
            inflated += member.decompress(body[at : at + STEP], room - len(inflated))
            if len(inflated) >= room:
                raise TooLarge()
    except zlib.error:
        pass
    return inflated
