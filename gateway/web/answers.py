"""Answers of both listeners: JSON, errors, and the only table of errors and their HTTP status."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson
import structlog

from gateway import errors
from gateway.web.http1 import Answer

log = structlog.get_logger()

STATUS: Mapping[type[errors.GatewayError], int] = {
    errors.InvalidSignal: 400,
    errors.InvalidQuery: 400,
    errors.MalformedRequest: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.TooLarge: 413,
    errors.TargetTooLong: 414,
    errors.UnsupportedContent: 415,
    errors.TooManyRequests: 429,
    errors.HeadTooLarge: 431,
    errors.UnsupportedCoding: 501,
    errors.Unavailable: 503,
    errors.UnsupportedVersion: 505,
}
"""HTTP status of each error. A subclass has the status of its nearest base class here."""


def answer_json(code: int, content: object) -> Answer:
    """Return an answer with a JSON body that no cache keeps."""
    return Answer(code, orjson.dumps(content), {"Content-Type": "application/json", "Cache-Control": "no-store"})


def status_of(error: Exception) -> int:
    """Return the HTTP status of an error. An error that STATUS does not have is a bug: 503, so that it is retried."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 503)


def answer_error(error: Exception, allow: str = "POST") -> Answer:
    """Return the answer to an error."""
    known = any(kind in STATUS for kind in type(error).__mro__)
    return _answer(status_of(error), error if known else errors.Unavailable(), allow)


def _answer(code: int, error: Exception, allow: str) -> Answer:
    headers = {"Content-Type": "application/json"}
    if isinstance(error, errors.RetryableError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if code == 405:
        headers["Allow"] = allow
    if code == 415:
        headers["Accept-Encoding"] = "gzip, deflate"
    # The message of a 503 may name internals, such as the database's address, so only the log gets it.
    text = (type(error).__doc__ or "") if code == 503 else str(error)
    body: dict[str, Any] = {"error": text.strip()}
    if isinstance(error, errors.InvalidSignal):
        body["fields"] = error.fields
    return Answer(code, orjson.dumps(body), headers)


def log_refusal(code: int, path: str, address: str, error: Exception | None = None) -> None:
    """Log a request for which no resource exists, on either listener. `path` has no key any more, see KeyMask."""
    why = {} if error is None or isinstance(error, errors.NotFound) else {"error": str(error)}
    log.info("request.refused", code=code, path=path, address=address, **why)
