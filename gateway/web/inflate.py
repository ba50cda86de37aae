"""Bodies with a Content-Encoding: inflated within the limit of bodies, so that a bomb costs no more than a body."""

from __future__ import annotations

import zlib

from gateway.errors import TooLarge, UnsupportedContent

WINDOWS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
"""The forms of zlib's format by coding. Some senders give raw deflate data, without zlib's header, as `deflate`."""


def inflate(body: bytes, codings: str, most: int) -> bytes:
    """Return a body without its Content-Encoding, at most `most` bytes.

    Data that is cut gives what it has. Data that is not in that coding at all is returned as it is: it may be plain.
    Raises TooLarge, or UnsupportedContent for another coding, or for two.
    """
    names = [name for each in codings.lower().split(",") if (name := each.strip()) not in ("", "identity")]
    if not names:
        return body
    if len(names) > 1 or names[0] not in WINDOWS:
        raise UnsupportedContent()
    for window in WINDOWS[names[0]]:
        if inflated := _inflate(body, window, most):
            return inflated
    return body


def _inflate(body: bytes, window: int, most: int) -> bytes:
    inflated = b""
    while body:  # gzip may have several members
        member = zlib.decompressobj(window)
        try:
            inflated += member.decompress(body, most + 1 - len(inflated))
        except zlib.error:
            break
        if len(inflated) > most:
            raise TooLarge()
        if not member.eof:
            break
        body = member.unused_data
    return inflated
