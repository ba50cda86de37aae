"""What people read in Tryton: the note's plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.sink import Delivery, compose_note


def tag(delivery: Delivery) -> str:
    """`[key]`, by which the signal's note is known again: the mark that all of its work is done."""
    return f"[{delivery.key}]"


def note(delivery: Delivery, remarks: Sequence[str] = (), line: int | None = None) -> str:
    """One paragraph of plain text; `remarks` say what was done or left undone, `line` which one is shipped."""
    marks = [] if line is None else [f"[line {line} shipped]"]
    return compose_note(delivery, remarks, *marks, tag(delivery))


def noted_line(message: str) -> int | None:
    """The line that a note says is shipped. Only what stands before the tag counts: no sender writes there."""
    match = re.search(r" \[line (\d+) shipped\] \[[0-9a-f]+\]\s*$", message)
    return int(match[1]) if match else None
