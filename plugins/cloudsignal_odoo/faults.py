"""Classifies Odoo's error answers: try again, dead letter, or pause the route.

JSON-2 gives an HTTP status and the exception's name. JSON-RPC always answers 200 and gives the name only.
"""

from __future__ import annotations

from gateway.sink import TRANSIENT_STATUSES, Misconfigured, Permanent, RetryLater, SinkError, Unanswered

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


def classify(status: int, is_json: bool, name: str) -> type[SinkError]:
    """Return the kind of error for a status, a JSON body or not, and Odoo's exception name ("" if there is none)."""
    if name.startswith(TRANSIENT_NAMES):
        return RetryLater
    if status in {401, 403} or name.startswith(ACCESS_ERROR_NAMES):
        return Misconfigured
    if not is_json:
        return classify_page(status)
    transient = status in TRANSIENT_STATUSES or (status >= 500 and not name.startswith(PERMANENT_NAMES))
    return RetryLater if transient else Permanent


def classify_page(status: int) -> type[SinkError]:
    """Return the kind of error for an HTML page: a server or proxy in front that can't reach the model."""
    if 300 <= status < 400:
        return Misconfigured
    if status in {408, 502, 504}:
        return Unanswered
    # Odoo answers 404 with a page while the database is down, and with JSON if a record or model is missing.
    return RetryLater if status == 404 or status >= 500 or status in TRANSIENT_STATUSES else Permanent


def explain_page(status: int) -> str:
    """Return the words for an error that came as a page."""
    if status == 404:
        return "answered 404 with a page: the database is down or unknown, or this Odoo has no such interface"
    if 300 <= status < 400:
        return f"answered {status}, a redirect: set url to the final address"
    return f"answered {status} with a page"
