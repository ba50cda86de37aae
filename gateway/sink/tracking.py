"""Tracking numbers in the one text field that an ERP has for them."""

from __future__ import annotations

import re

PART = re.compile(
    # A URL ends at a space, and the separator that may come before it is not its own. Its inner commas are.
    r"[a-z][a-z0-9+.-]*://\S*?(?=[,;]*(?:\s|$))"
    # People separate by a semicolon too, but one without a space may be part of a number.
    r"|(?P<separator>\s*(?:,|;(?=[\s,;]|$))\s*)",
    re.IGNORECASE,
)


def has_tracking(present: str, number: str) -> bool:
    """Return True if the number is in the field, as a whole: between two separators, or at an end.

    A number may be a URL and may itself contain separators, so the field is not split.
    """
    present, number = present.strip(), number.strip()
    separators = [match.span() for match in PART.finditer(present) if match["separator"]]
    starts = {0, *(end for _, end in separators)}
    ends = {len(present), *(start for start, _ in separators)}
    return any(start + len(number) in ends and present.startswith(number, start) for start in starts)


def merge_tracking(present: str, number: str) -> str:
    """Append a number to those of the field (`A,B`) unless it is there. What is in the field stays as it is.

    A space is added beside a URL, which otherwise would go on after the comma.
    """
    present, number = present.strip(), number.strip()
    if not present or not number or has_tracking(present, number):
        return present or number
    separator = ", " if "://" in present + number else ","
    return f"{present}{separator}{number}"
