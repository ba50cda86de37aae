"""POST /signals/<account>: below Tornado's handlers, on its HTTP connection, since this is the hot path.

A body over the limit, or a method that is not POST, is answered before the body is read. What the sender still
writes is then read and thrown away for a while: a connection closed on unread bytes is reset, and the answer lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import unquote

import structlog
from tornado import httputil
from tornado.http1connection import HTTP1Connection

from gateway.errors import GatewayError, InvalidSignal, MethodNotAllowed, TooLarge
from gateway.ingest import Ingest, Receipt
from gateway.metrics import NO_ACCOUNT, Observer, guard
from gateway.web.addresses import Addresses
from gateway.web.base import Answer, answer_error, http_date

PREFIX = "/signals/"
BODY_TIMEOUT = 20.0
"""Seconds that a sender has for its body."""
DRAINED = 1024 * 1024
"""Bytes thrown away after an early answer, before the connection is cut."""
UNLIMITED = 1 << 62

ACCEPTED = Answer(200)
HELD = Answer(204)


def account_in(path: str) -> str:
    """The account that a request's target names."""
    return unquote(path.partition("?")[0].removeprefix(PREFIX))


class Signals(httputil.HTTPServerConnectionDelegate):
    """The endpoint of all accounts. `now` gives the time in UTC."""

    def __init__(
        self,
        ingest: Ingest,
        addresses: Addresses,
        max_body: int,
        observer: Observer,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.ingest = ingest
        self.addresses = addresses
        self.max_body = max_body
        self.observer = guard(observer)
        self.now = now
        self.log: Any = structlog.get_logger().bind()  # made once: the lazy one is made anew for each line
        self.tasks: set[asyncio.Task[None]] = set()

    def start_request(self, server_conn: object, request_conn: httputil.HTTPConnection) -> Exchange:
        return Exchange(self, cast(HTTP1Connection, request_conn))

    async def answer(self, account: str, body: bytes, address: str, started: float) -> Answer:
        """Have the body received, and log and count the answer. Never raises."""
        try:
            receipt = await self.ingest.receive(account, body, address, self.now())
        except Exception as error:
            return self.refuse(error, account, address, started)
        answer = HELD if receipt.held else ACCEPTED
        seconds = time.perf_counter() - started
        self.observer.signal_received(account, answer.code, seconds)
        self._log_receipt(receipt, answer.code, address, seconds)
        return answer

    def refuse(self, error: Exception, account: str, address: str, started: float) -> Answer:
        """The answer to an error, logged and counted."""
        answer = answer_error(error)
        seconds = time.perf_counter() - started
        label = account if account in self.ingest.accounts else NO_ACCOUNT
        self.observer.signal_received(label, answer.code, seconds)
        self._log_refusal(error, answer.code, account, address, seconds)
        return answer

    def _log_receipt(self, receipt: Receipt, code: int, address: str, seconds: float) -> None:
        event = "signal.duplicate" if receipt.duplicate else "signal.held" if receipt.held else "signal.accepted"
        context = receipt.signal.log_context()
        if receipt.id:
            context["signal"] = receipt.id
        if not receipt.known_type:
            context["unknown_type"] = True
        self.log.info(event, code=code, address=address, ms=round(seconds * 1000, 2), **context)

    def _log_refusal(self, error: Exception, code: int, account: str, address: str, seconds: float) -> None:
        context: dict[str, object] = {"code": code, "account": account[:64], "address": address}
        if isinstance(error, InvalidSignal):
            context["fields"] = error.fields
        if isinstance(error, GatewayError):
            context["error"] = str(error)
        else:
            context["exc_info"] = error
        self.log.warning("signal.refused", ms=round(seconds * 1000, 2), **context)


class Exchange(httputil.HTTPMessageDelegate):
    """One request and its answer."""

    def __init__(self, endpoint: Signals, connection: HTTP1Connection) -> None:
        self._endpoint = endpoint
        self._connection = connection
        self._chunks: list[bytes] = []
        self._size = 0
        self._method = ""
        self._account = ""
        self._address = ""
        self._started = time.perf_counter()
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: asyncio.Future[None] | None = None

    def headers_received(
        self, start_line: httputil.RequestStartLine | httputil.ResponseStartLine, headers: httputil.HTTPHeaders
    ) -> None:
        """Refuse what can be refused without the body."""
        request = cast(httputil.RequestStartLine, start_line)
        peer = getattr(self._connection.context, "remote_ip", "")
        self._method = request.method
        self._account = account_in(request.path)
        self._address = self._endpoint.addresses.client(peer, headers)
        # The limits on size and time are kept here: Tornado's answer to a large body is 400, and its timer for a
        # body is a task of its own for each request.
        self._connection.set_max_body_size(UNLIMITED)
        self._connection.set_body_timeout(None)  # type: ignore[arg-type]
        self._timer = asyncio.get_running_loop().call_later(BODY_TIMEOUT, self._connection.close)
        length = headers.get("Content-Length", "")
        if request.method != "POST":
            self._refuse(MethodNotAllowed())
        elif length.isdecimal() and int(length[:20]) > self._endpoint.max_body:
            self._refuse(TooLarge())
        if self._refusal and "Expect" in headers:
            self._connection.finish()  # nothing will be sent that would have to be drained

    def data_received(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._refusal:
            if self._size > DRAINED:
                self._connection.close()
        elif self._size > self._endpoint.max_body:
            self._refuse(TooLarge())
        else:
            self._chunks.append(chunk)

    def finish(self) -> None:
        """The body is complete."""
        self._stop_timer()
        if self._refusal:
            self._refusal.add_done_callback(lambda _: self._connection.close())
            return
        task = asyncio.get_running_loop().create_task(self._answer())
        self._endpoint.tasks.add(task)
        task.add_done_callback(self._endpoint.tasks.discard)

    def on_connection_close(self) -> None:
        self._stop_timer()

    async def _answer(self) -> None:
        # A sender that hangs up meanwhile changes nothing: the signal is kept, and its retry is a duplicate.
        body = b"".join(self._chunks)
        self._write(await self._endpoint.answer(self._account, body, self._address, self._started))
        self._connection.finish()

    def _refuse(self, error: GatewayError) -> None:
        self._chunks.clear()
        answer = self._endpoint.refuse(error, self._account, self._address, self._started)
        self._refusal = self._write(answer, {"Connection": "close"})

    def _write(self, answer: Answer, extra: dict[str, str] | None = None) -> asyncio.Future[None]:
        headers = httputil.HTTPHeaders({"Date": http_date(int(time.time())), **answer.headers, **(extra or {})})
        if answer.code != 204:
            headers["Content-Length"] = str(len(answer.body))
        start_line = httputil.ResponseStartLine("HTTP/1.1", answer.code, answer.reason)
        body = b"" if self._method == "HEAD" else answer.body
        return self._connection.write_headers(start_line, headers, body)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
