"""Base of the admin listener's Tornado handlers: errors get the same answers as on the public listener."""

from __future__ import annotations

from typing import Any

import structlog
from tornado import web

from gateway import errors
from gateway.web.answers import answer_error, log_refusal
from gateway.web.http1 import Answer
from gateway.web.key_mask import KeyMask

log = structlog.get_logger()


class Handler(web.RequestHandler):
    """A Tornado handler that sends `Answer` values, also for errors."""

    def set_default_headers(self) -> None:
        self.clear_header("Server")

    def send(self, answer: Answer) -> None:
        """Send an answer and finish the request."""
        self.set_status(answer.code)
        for name, value in answer.headers.items():
            self.set_header(name, value)
        self.finish(answer.body or None)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, web.HTTPError) and status_code == 405:
            error = errors.MethodNotAllowed("Use GET.")
        elif isinstance(error, web.HTTPError) and 400 <= status_code < 500:
            error = errors.NotFound()
        self.send(answer_error(error or errors.Unavailable(), allow="GET, HEAD"))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not isinstance(value, errors.GatewayError | web.HTTPError):
            log.error("request.failed", path=self.request.path, exc_info=(typ, value, tb))


class NotFoundHandler(Handler):
    """Any path that the route list does not have."""

    def initialize(self, mask: KeyMask) -> None:
        self.mask = mask

    def prepare(self) -> None:
        raise errors.NotFound()

    def on_finish(self) -> None:
        log_refusal(self.get_status(), self.mask.path(self.request.path), self.request.remote_ip or "")
