"""Retry-After, the wait that a target asks for."""

from __future__ import annotations

import email.utils
import re
from datetime import UTC


def parse_retry_after(text: str, now: float) -> float | None:
    """Return the seconds that a header asks for (RFC 9110 10.2.3: a number or a date), None for any other text.

    `now` is in seconds since the epoch. The retry policy caps the result.
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]+", text):
        return float(text)
    try:
        at = email.utils.parsedate_to_datetime(text)
        # A date without a zone is in UTC, as HTTP's dates are.
        return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
