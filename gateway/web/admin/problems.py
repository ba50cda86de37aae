"""Errors of the API as problem details (RFC 9457)."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

import orjson

from gateway import errors
from gateway.web.answers import status_of
from gateway.web.http1 import Answer

PROBLEM = "application/problem+json"


def answer_problem(error: Exception, allow: str = "") -> Answer:
    """Return the answer to an error. The message of a 503 may name internals, so only the log gets it."""
    code = status_of(error)
    known = isinstance(error, errors.GatewayError)
    detail = str(error) if known and code != 503 else (type(error).__doc__ or "") if known else ""
    title = HTTPStatus(code).phrase
    problem: dict[str, Any] = {"type": "about:blank", "title": title, "status": code, "detail": detail.strip() or title}
    if isinstance(error, errors.InvalidQuery):
        problem["errors"] = [{"field": field, "message": message} for field, message in error.fields.items()]
    headers = {"Content-Type": PROBLEM, "Cache-Control": "no-store"}
    if isinstance(error, errors.RetryableError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if code == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="cloudsignal"'
    if code == 405:
        headers["Allow"] = allow
    return Answer(code, orjson.dumps(problem), headers)
