"""The receiver's answers, and the result that each means for a delivery."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from gateway.sink import Misconfigured, Permanent, Response, RetryLater, first_line

MISCONFIGURED_STATUSES = frozenset({401, 403, 404, 405, 407, 410, 421, 451})
"""Statuses that refuse the sender or the URL, so all deliveries until a person acts. With 410 a receiver says that it
wants no more signals (Standard Webhooks)."""

REASON_FIELDS = ("detail", "message", "error", "error_description", "reason", "title", "errors")
"""Fields of a JSON answer that hold a reason in words. `detail` and `title` are those of RFC 9457."""
MAX_DEPTH = 4
"""Levels of a JSON answer that are searched for a reason."""
MIN_SECRET_PART = 6
"""Characters of a segment of the URL's path, or of its query, that may be a secret."""


def judge(response: Response, now: float, secrets: Iterable[str]) -> None:
    """Return if the receiver took the signal; else raise RetryLater, Permanent or Misconfigured, with its reason.

    `secrets` are masked in the reason, because a receiver may send the request back.
    """
    status = response.status
    if 200 <= status < 300:
        return
    reason = reason_of(response, secrets)
    answered = f"answered {status} ({reason})" if reason else f"answered {status}"
    if response.is_transient or status >= 500:
        raise RetryLater(answered, response.retry_after(now))
    if status < 400:
        raise Misconfigured(f"{answered}, a redirect, which is not followed: set url to the final address")
    if status in MISCONFIGURED_STATUSES:
        raise Misconfigured(f"{answered}: look at url and secrets, or ask the receiver")
    raise Permanent(f"{answered}: the receiver does not take this signal")


def reason_of(response: Response, secrets: Iterable[str]) -> str:
    """Return the receiver's reason as one line, "" if it gives none in plain text or JSON."""
    text: object = ""
    if response.is_json:
        try:
            text = find_reason(response.json())
        except RetryLater:  # it is no JSON
            return ""
    elif response.headers.get("content-type", "").lower().startswith("text/plain"):
        text = response.text
    return first_line(text, secrets)


def find_reason(answer: Any, depth: int = MAX_DEPTH) -> str:
    """Return the first text in a field that is usual for a reason, also within `error` or a list of errors."""
    if isinstance(answer, str):
        return answer
    if not depth:
        return ""
    if isinstance(answer, list):
        return find_reason(answer[0], depth - 1) if answer else ""
    if isinstance(answer, dict):
        found = (find_reason(answer[name], depth - 1) for name in REASON_FIELDS if answer.get(name))
        return next(filter(None, found), "")
    return ""


def secret_parts(url: str) -> Iterator[str]:
    """Yield the parts of a URL that let others post to it: all of it, and each long segment of path and query."""
    parts = urlsplit(url)
    pieces = [*parts.path.split("/"), *(piece for pair in parts.query.split("&") for piece in pair.split("="))]
    yield from filter(None, (url, f"{parts.path}?{parts.query}" if parts.query else "", parts.path.strip("/")))
    for piece in pieces:
        yield from {each for each in (piece, unquote(piece)) if len(each) >= MIN_SECRET_PART}
