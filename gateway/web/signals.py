"""POST /signals/<account>: the endpoints of all accounts."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import structlog

from gateway.errors import GatewayError, InvalidSignal
from gateway.ingest import Ingest, Receipt
from gateway.metrics import NO_ACCOUNT, Observer, guard
from gateway.web.addresses import Addresses
from gateway.web.base import Answer, answer_error
from gateway.web.connection import Request

PREFIX = "/signals/"

ACCEPTED = Answer(200)
HELD = Answer(204)


def account_in(path: str) -> str:
    """The account that a path names."""
    return unquote(path.removeprefix(PREFIX))


class Signals:
    """The resource. `now` gives the time in UTC."""

    methods = frozenset({"POST"})

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

    async def answer(self, request: Request) -> Answer:
        """Have the body received. A sender that hangs up meanwhile changes nothing: the signal is kept, and its retry
        is a duplicate."""
        account = account_in(request.path)
        address = self._address(request)
        try:
            receipt = await self.ingest.receive(account, request.body, address, self.now())
        except Exception as error:
            return self.refuse(request, error)
        answer = HELD if receipt.held else ACCEPTED
        seconds = time.perf_counter() - request.started
        self.observer.signal_received(account, answer.code, seconds)
        self._log_receipt(receipt, answer.code, address, seconds)
        return answer

    def refuse(self, request: Request, error: Exception) -> Answer:
        """The answer to an error, logged and counted."""
        answer = answer_error(error)
        seconds = time.perf_counter() - request.started
        account = account_in(request.path)
        label = account if account in self.ingest.accounts else NO_ACCOUNT
        self.observer.signal_received(label, answer.code, seconds)
        self._log_refusal(error, answer.code, account, self._address(request), seconds)
        return answer

    def _address(self, request: Request) -> str:
        return self.addresses.client(request.peer, request.header(b"x-forwarded-for"))

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
