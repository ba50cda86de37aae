"""What an answer of Odoo's that is no success means for the delivery.

JSON-2 tells it by the status and the exception's name, JSON-RPC answers 200 and tells it by the name alone.
"""

from __future__ import annotations

from gateway.sink import TRANSIENT_STATUSES, Misconfigured, Permanent, RetryLater, SinkError, Unanswered

TRANSIENT_NAMES = ("psycopg2.", "odoo.exceptions.LockError", "odoo.exceptions.ConcurrencyError")
"""The database is away, or two transactions met: a repeat may succeed."""
ACCESS_ERROR_NAMES = (
    "odoo.exceptions.AccessDenied",
    "odoo.exceptions.AccessError",
    "odoo.http.SessionExpiredException",
    "werkzeug.exceptions.Unauthorized",
    "werkzeug.exceptions.Forbidden",
)
PERMANENT_NAMES = ("builtins.", "odoo.exceptions.", "werkzeug.exceptions.NotFound", "werkzeug.exceptions.BadRequest")
"""With status 500, the request itself can't be served: an unknown field, a bad value."""


def classify(status: int, is_json: bool, name: str) -> type[SinkError]:
    """The kind of error, from the HTTP status, whether the body is JSON and Odoo's exception name ("" for none)."""
    if name.startswith(TRANSIENT_NAMES):
        return RetryLater
    if status in {401, 403} or name.startswith(ACCESS_ERROR_NAMES):
        return Misconfigured
    if not is_json:
        return classify_page(status)
    passing = status in TRANSIENT_STATUSES or (status >= 500 and not name.startswith(PERMANENT_NAMES))
    return RetryLater if passing else Permanent


def classify_page(status: int) -> type[SinkError]:
    """An answer that is a page: not the model's, but that of a server or proxy that can't reach it."""
    if 300 <= status < 400:
        return Misconfigured
    if status in {408, 502, 504}:
        return Unanswered
    # Odoo answers 404 with a page while the database is down, with JSON where a record or model is missing.
    return RetryLater if status == 404 or status >= 500 or status in TRANSIENT_STATUSES else Permanent


def explain_page(status: int) -> str:
    """Words for a status that came with a page."""
    if status == 404:
        return "answered 404 with a page: the database is down or unknown, or this Odoo has no such interface"
    if 300 <= status < 400:
        return f"answered {status}, a redirect: set url to the final address"
    return f"answered {status} with a page"
