"""Text for Slack: escaped, so that it holds no mention and no link, and cut to a length."""

from __future__ import annotations

import re

ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
"""The characters that Slack asks to escape (docs: Formatting text for app surfaces)."""
ELLIPSIS = "…"


def escape(text: str, limit: int) -> str:
    """Return the text escaped, at most `limit` characters long. A cut text ends with "…"; no entity is cut in half.

    Characters are counted in UTF-16, the larger of the possible counts, as Slack does not document its own.
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
    """Return the text without control characters (except line breaks) and without halves of surrogate pairs."""
    text = re.sub(r"\r\n?", "\n", text)
    return re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", " ", text).strip()
