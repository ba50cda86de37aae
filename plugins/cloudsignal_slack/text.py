"""Text for Slack: escaped, so that nothing in it is a mention or a link, and cut to a length."""

from __future__ import annotations

import re

ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
"""All that Slack asks to be escaped (docs: Formatting text for app surfaces)."""
ELLIPSIS = "…"


def escape(text: str, limit: int) -> str:
    """The text escaped, of at most `limit` characters with a … at the end of what was cut.

    Characters are counted as UTF-16 has them, the larger of the ways to count. No entity is cut in half.
    """
    pieces: list[str] = []
    size = fitting = 0
    for character in clean(text):
        piece = ENTITIES.get(character, character)
        size += len(piece) + (character > "\uffff")
        if size > limit:
            return "".join(pieces[:fitting]).rstrip() + ELLIPSIS
        pieces.append(piece)
        if size < limit:
            fitting = len(pieces)
    return "".join(pieces)


def clean(text: str) -> str:
    """Without control characters, but for line breaks, and without halves of surrogate pairs."""
    text = re.sub(r"\r\n?", "\n", text)
    return re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", " ", text).strip()


def one_line(text: str) -> str:
    return " ".join(text.split())
