"""What an answer of Tryton's that is no success means for the delivery.

REST tells it by the status and a message, JSON-RPC answers 200 and tells it by the exception's name.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from gateway.sink import TRANSIENT_STATUSES, Misconfigured, Permanent, RetryLater, SinkError, Unanswered

SERVER_ERROR_LIMIT = 24 * 3600.0
"""Seconds for which a delivery is retried that meets with nothing but errors of the server's own."""
MAX_TRACKED_DELIVERIES = 10_000

ACCESS_DENIED_TEXT = "not allowed to access"
"""In a message: the user lacks rights. Other refusals are of the order's own."""
LOST_ERROR_TEXT = "Unable to get RPC method"
"""In a page with status 400: an error of the server's own, which Tryton 8.0 then fails to tell as 500."""


class ServerError(RetryLater):
    """Tryton met with an error of its own and has undone the request: it may pass, or never."""


def classify(status: int, is_json: bool, message: str, reading: bool) -> type[SinkError]:
    """The kind of error, from the HTTP status, whether the body is JSON, what it says, and what was asked."""
    if status == 400:
        return classify_refusal(is_json, message)
    if status == 404 and not reading:
        # The record has gone since it was read.
        return RetryLater
    if status in {401, 403, 404, 405} or 300 <= status < 400:
        return Misconfigured
    if status in {502, 504}:
        return Unanswered
    passing = RetryLater if status in TRANSIENT_STATUSES else Permanent
    return ServerError if status >= 500 and status not in TRANSIENT_STATUSES else passing


def classify_refusal(is_json: bool, message: str) -> type[SinkError]:
    """REST's 400: a refusal of the order's own, missing rights, or a page for an error of the server's own."""
    if ACCESS_DENIED_TEXT in message:
        return Misconfigured
    return ServerError if not is_json and LOST_ERROR_TEXT in message else Permanent


def classify_rpc(name: str, message: str) -> type[SinkError]:
    """The kind of a JSON-RPC error; `name` is the exception's, or the text of one that has no name there."""
    if name == "LoginException" or (name == "UserError" and ACCESS_DENIED_TEXT in message):
        return Misconfigured
    if name in {"UserError", "UserWarning"}:
        return Permanent
    return RetryLater if name in {"ConcurrencyException", "RateLimitException"} else ServerError


def explain(status: int, message: str) -> str:
    """Words for a status."""
    if status == 401:
        return "answered 401: Tryton does not know this key or login, or the key is not validated"
    if status == 403:
        return "answered 403: this Tryton does not let it be called"
    if status == 404:
        return "answered 404: no such database, record or interface"
    if 300 <= status < 400:
        return f"answered {status}, a redirect: set url to the final address"
    return f"answered {status}: {message}" if message else f"answered {status}"


def page_text(page: str) -> str:
    """What Tryton's own error page says: its paragraph. Other pages have no account of it."""
    match = re.search(r"<h1>[^<]*</h1>\s*<p>(.*?)</p>\s*$", page, re.DOTALL)
    return html.unescape(match[1]) if match else ""


class ServerErrorLimit:
    """Knows since when deliveries have met with `ServerError`. Kept in memory: after a restart it begins anew."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._since: dict[str, float] = {}

    def check(self, key: str, error: ServerError) -> None:
        """Permanent where it has gone on for too long."""
        since = self._since.setdefault(key, self.now())
        if self.now() - since >= SERVER_ERROR_LIMIT:
            self.forget(key)
            raise Permanent(f"{error}; given up after {SERVER_ERROR_LIMIT / 3600:g} hours of it") from error
        if len(self._since) > MAX_TRACKED_DELIVERIES:
            self.forget(next(iter(self._since)))

    def forget(self, key: str) -> None:
        self._since.pop(key, None)
