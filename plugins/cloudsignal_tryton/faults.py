"""Classifies Tryton's own error answers: try again, dead letter, or misconfigured.

REST gives an HTTP status and a message. JSON-RPC answers 200 and gives the exception's name.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.sink import TRANSIENT_STATUSES, Misconfigured, Permanent, RetryLater, SinkError, Unanswered

SERVER_ERROR_LIMIT = 24 * 3600.0
"""Seconds for which a delivery is retried while it gets nothing but server errors: an operator has a day to act."""
MAX_TRACKED_DELIVERIES = 10_000
"""Deliveries whose first server error is remembered; the oldest is forgotten beyond that, to bound memory."""

ACCESS_DENIED_TEXT = "not allowed to access"
"""In a message: the user lacks rights. Other refusals are about the order."""
LOST_ERROR_TEXT = "Unable to get RPC method"
"""In a page with status 400: a server error that Tryton 8.0 fails to report as 500."""


class ServerError(RetryLater):
    """Tryton failed internally and has undone the request. The error may be transient or permanent."""


def classify(status: int, is_json: bool, message: str, reading: bool) -> type[SinkError]:
    """Return the kind of error for a status, a JSON body or not, its message, and a request that reads or writes."""
    if status == 400:
        return classify_refusal(is_json, message)
    if status == 404 and not reading:
        # The record was deleted after it was read.
        return RetryLater
    if status in {401, 403, 404, 405}:
        return Misconfigured
    if status in {502, 504}:
        return Unanswered
    retried = RetryLater if status in TRANSIENT_STATUSES else Permanent
    return ServerError if status >= 500 and status not in TRANSIENT_STATUSES else retried


def classify_refusal(is_json: bool, message: str) -> type[SinkError]:
    """Return the kind of REST's 400: a refusal about the order, missing rights, or a page for a server error."""
    if ACCESS_DENIED_TEXT in message:
        return Misconfigured
    return ServerError if not is_json and LOST_ERROR_TEXT in message else Permanent


def classify_rpc(name: str, message: str) -> type[SinkError]:
    """Return the kind of a JSON-RPC error. `name` is the exception's name, or its text if it has none."""
    if name == "LoginException" or (name == "UserError" and ACCESS_DENIED_TEXT in message):
        return Misconfigured
    if name in {"UserError", "UserWarning"}:
        return Permanent
    return RetryLater if name in {"ConcurrencyException", "RateLimitException"} else ServerError


def explain(status: int, message: str) -> str:
    """Return the words for a status."""
    if status == 401:
        return "answered 401: Tryton does not accept this key or login, or the key is not validated"
    if status == 403:
        return "answered 403: this Tryton does not allow the call"
    if status == 404:
        return "answered 404: no such database, record or interface"
    return f"answered {status}: {message}" if message else f"answered {status}"


class ServerErrorLimit:
    """Remembers when a delivery's server errors began, and ends the retries. A restart begins anew."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._since: dict[str, float] = {}

    def check(self, key: str, error: ServerError) -> None:
        """Raise Permanent if the delivery's server errors have lasted for SERVER_ERROR_LIMIT."""
        since = self._since.setdefault(key, self.now())
        if self.now() - since >= SERVER_ERROR_LIMIT:
            self.forget(key)
            raise Permanent(f"{error}; given up after {SERVER_ERROR_LIMIT / 3600:g} hours") from error
        if len(self._since) > MAX_TRACKED_DELIVERIES:
            self.forget(next(iter(self._since)))

    def forget(self, key: str) -> None:
        """Forget a delivery's errors, because it succeeded or was given up."""
        self._since.pop(key, None)
