"""Helpers for sinks whose ERP may be behind a proxy: errors for answers that the ERP did not write itself.

Such an answer is a maintenance page, a refusal by a firewall, or the JSON of another product. It tells nothing about
the delivery or the route's settings, so the attempt is repeated.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.errors import RetryLater, SinkError, Unanswered
from gateway.sink.http import Response

REFUSED_STATUSES = frozenset({*range(300, 500), 501, 503, 505, 511, 521, 523, 525, 526}) - {408}
"""Statuses of a proxy that has not passed the request on. With any other, the ERP may have done the work."""


def parse_answer(response: Response) -> Any:
    """Return the parsed body, {} if it is not JSON. The content type is not asked, because proxies change it."""
    try:
        return orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return {}


def foreign_error(status: int) -> type[RetryLater]:
    """Return the kind of error for an answer that is not the ERP's own."""
    return RetryLater if status in REFUSED_STATUSES else Unanswered


def explain_foreign(response: Response, erp: str) -> str:
    """Return the words for an answer that is not the ERP's own. They show nothing of the body."""
    status = response.status
    if 300 <= status < 400:
        return f"answered {status}, a redirect, not {erp}'s answer: if it stays, set url to the final address"
    form = "JSON" if parse_answer(response) else "a page" if response.body else "an empty body"
    return f"answered {status} with {form}, not in {erp}'s form: is a proxy or another server at this url?"


def hint_at_url(error: SinkError) -> str:
    """Return the error of a check's first question, and the option url if that may be wrong."""
    text = str(error)
    return f"{text} (option url)" if isinstance(error, RetryLater) and "url" not in text else text
