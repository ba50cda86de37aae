"""Classifies Odoo's error answers: try again, dead letter, or misconfigured.

JSON-2 gives an HTTP status and the exception's name. JSON-RPC always answers 200 and gives the name only.
"""

from __future__ import annotations

from gateway.sink import TRANSIENT_STATUSES, Misconfigured, Permanent, Response, RetryLater, SinkError, parse_answer

TRANSIENT_NAMES = ("psycopg2.", "odoo.exceptions.LockError", "odoo.exceptions.ConcurrencyError")
"""The database is down, or two transactions conflicted: a repeat may succeed."""
ACCESS_ERROR_NAMES = (
    "odoo.exceptions.AccessDenied",
    "odoo.exceptions.AccessError",
    "odoo.http.SessionExpiredException",
    "werkzeug.exceptions.Unauthorized",
    "werkzeug.exceptions.Forbidden",
)
PERMANENT_NAMES = ("builtins.", "odoo.exceptions.", "werkzeug.exceptions.NotFound", "werkzeug.exceptions.BadRequest")
"""With status 500, the request itself can't be served: an unknown field or a bad value."""


def classify(status: int, name: str) -> type[SinkError]:
    """Return the kind of error for an exception of Odoo: the status that it stands for, and its name."""
    if name.startswith(TRANSIENT_NAMES):
        return RetryLater
    if status in {401, 403} or name.startswith(ACCESS_ERROR_NAMES):
        return Misconfigured
    transient = status in TRANSIENT_STATUSES or (status >= 500 and not name.startswith(PERMANENT_NAMES))
    return RetryLater if transient else Permanent


def explain_page(response: Response) -> str:
    """Return the words for a page that Odoo itself may have written, "" for any other answer."""
    # Odoo answers 404 with a page while the database is down, and with JSON if a record or model is missing.
    if response.status != 404 or not response.body or parse_answer(response):
        return ""
    reasons = "the database is down or unknown, this Odoo has no such interface, or a proxy answered"
    return f"answered 404 with a page: {reasons}"
