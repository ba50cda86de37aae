"""The texts in Tryton: a note in plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.sink import Delivery, compose_note


def tag(delivery: Delivery) -> str:
    """Return `[key]`, by which the signal's note is found again: the mark that all of its work is done."""
    return f"[{delivery.key}]"


def note(delivery: Delivery, remarks: Sequence[str] = (), line: int | None = None) -> str:
    """Return one paragraph of plain text. `remarks` add what was done or left undone; `line` is the shipped line."""
    marks = [] if line is None else [f"[line {line} shipped]"]
    return compose_note(delivery, remarks, *marks, tag(delivery))


def noted_line(message: str) -> int | None:
    """Return the line that a note says is shipped. Only the text before the tag counts: no sender can write there."""
    match = re.search(r" \[line (\d+) shipped\] \[[0-9a-f]+\]\s*$", message)
    return int(match[1]) if match else None
