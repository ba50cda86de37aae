"""How errors are answered: the only table of errors and statuses, and the one shape of an error's body."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from tornado import web

from gateway import errors

log = structlog.get_logger()

STATUS: Mapping[type[errors.GatewayError], int] = {
    errors.InvalidSignal: 400,
    errors.MalformedRequest: 400,
    errors.Unauthorized: 401,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.TooLarge: 413,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status with headers and a body."""

    code: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def answer_error(error: Exception, allow: str = "POST") -> Answer:
    """The answer to an error. What is in no table is a fault of ours: the sender is to try again."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return _answer(STATUS[kind], error, allow)
    return _answer(503, errors.Unavailable(), allow)


def _answer(code: int, error: Exception, allow: str) -> Answer:
    headers = {"Content-Type": "application/json"}
    if isinstance(error, errors.RetryableError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if code == 405:
        headers["Allow"] = allow
    # What went wrong inside, such as a database's address, is for the log and not for strangers.
    text = (type(error).__doc__ or "") if code == 503 else str(error)
    body: dict[str, Any] = {"error": text.strip()}
    if isinstance(error, errors.InvalidSignal):
        body["fields"] = error.fields
    return Answer(code, orjson.dumps(body), headers)


def render(answer: Answer, method: str, last: bool) -> bytes:
    """The answer as it goes over the wire; `last` says that the connection is closed after it."""
    lines = [_begin(answer.code, int(time.time()))]
    lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in answer.headers.items()]
    if answer.code != 204:
        lines.append(b"Content-Length: %d\r\n" % len(answer.body))
    if last:
        lines.append(b"Connection: close\r\n")
    return b"".join((*lines, b"\r\n", b"" if method == "HEAD" else answer.body))


@functools.lru_cache(maxsize=16)
def _begin(code: int, second: int) -> bytes:
    """The status line, and the Date header that every answer has (RFC 9110 6.6.1)."""
    date = formatdate(second, usegmt=True)
    return f"HTTP/1.1 {code} {HTTPStatus(code).phrase}\r\nDate: {date}\r\n".encode()


class Handler(web.RequestHandler):
    """A handler whose errors are answered as all others are."""

    def set_default_headers(self) -> None:
        self.clear_header("Server")

    def send(self, answer: Answer) -> None:
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


class NothingHere(Handler):
    """Whatever is not in a route table."""

    def prepare(self) -> None:
        raise errors.NotFound()

    def on_finish(self) -> None:
        log.info("request.refused", code=self.get_status(), path=self.request.path[:64], address=self.request.remote_ip)


def make_application(routes: list[tuple[Any, ...]]) -> web.Application:
    """A Tornado application with these routes and nothing else."""
    return web.Application(
        list(routes),
        default_handler_class=NothingHere,
        log_function=lambda handler: None,
        compress_response=False,
    )
