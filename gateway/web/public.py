"""Public listener: its route table, and its resources for signals, health and unknown paths."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPMethod
from typing import Any
from urllib.parse import unquote

import structlog

from gateway.errors import GatewayError, InvalidSignal, MethodNotAllowed, NotFound, ShuttingDown
from gateway.ingest import Ingest, Receipt
from gateway.metrics import NO_ACCOUNT, Observer
from gateway.web.addresses import Addresses
from gateway.web.answers import answer_error, answer_json, log_refusal
from gateway.web.http1 import Answer, Request
from gateway.web.inflate import inflate
from gateway.web.key_mask import KeyMask
from gateway.web.limits import MAX_BODY

log = structlog.get_logger()

MOST_HINTS = 8
"""Addresses of which one log line tells that they look like a proxy. Strangers can send the header too."""
ACCEPTED = Answer(200)
HELD = Answer(204)


class PublicRoutes:
    """Route table of the public listener. A reload makes a new one. `now` returns the time in UTC."""

    def __init__(
        self,
        ingest: Ingest,
        max_body: int = MAX_BODY,
        addresses: Addresses | None = None,
        observer: Observer | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        mask: KeyMask | None = None,
    ) -> None:
        observer = observer or Observer()
        mask = mask or KeyMask(lambda: ingest.accounts)
        senders = Senders(addresses or Addresses())
        signals = SignalsResource(ingest, senders, max_body, observer, now, mask)
        self.fallback = NotFoundResource(senders, max_body, observer, mask)
        self._routes: tuple[tuple[re.Pattern[str], Resource], ...] = (
            # A slash too many is common where a URL is put together by hand.
            (re.compile(r"/+signals/+[^/]+/*", re.DOTALL), signals),
            (re.compile(r"/+healthz/*"), HealthResource(ingest)),
        )

    def find(self, path: str) -> Resource:
        """Return the resource of the first pattern that matches the whole path, else `fallback`."""
        for pattern, resource in self._routes:
            if pattern.fullmatch(path):
                return resource
        return self.fallback


class Senders:
    """Finds the address of each request's sender, and tells of proxies that should be trusted."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._told: set[str] = set()

    def address(self, request: Request) -> str:
        """Return the sender's address."""
        forwarded = request.header(self._addresses.header)
        if forwarded and len(self._told) < MOST_HINTS and not self._addresses.trusts(request.peer):
            self._hint(request.peer)
        return self._addresses.client(request.peer, forwarded)

    def _hint(self, peer: str) -> None:
        if peer not in self._told:
            self._told.add(peer)
            header = self._addresses.header.decode()
            log.warning("proxy.untrusted", address=peer, header=header, setting="server.trusted_proxies")


class SignalsResource:
    """POST /signals/<account>: takes signals for all accounts."""

    methods = frozenset({"POST"})

    def __init__(
        self,
        ingest: Ingest,
        senders: Senders,
        max_body: int,
        observer: Observer,
        now: Callable[[], datetime],
        mask: KeyMask,
    ) -> None:
        self.ingest = ingest
        self.senders = senders
        self.max_body = max_body
        self.observer = observer
        self.now = now
        self.mask = mask
        # Bound once, because a lazy logger is built anew for each line.
        self.log: Any = structlog.get_logger().bind()

    async def answer(self, request: Request) -> Answer:
        """Take a signal in. If its sender hangs up meanwhile, the signal is kept, and the retry is a duplicate."""
        account = account_in(request.path)
        address = self.senders.address(request)
        try:
            body, fault = inflate(request.body, request.header(b"content-encoding"), self.max_body)
            receipt = await self.ingest.receive(account, body, address, self.now(), fault)
        except Exception as error:
            return self.refuse(request, error)
        request.authenticated = True
        answer = HELD if receipt.held else ACCEPTED
        seconds = time.perf_counter() - request.started
        self.observer.signal_received(account, answer.code, seconds)
        self._log_receipt(receipt, answer.code, address, seconds)
        return answer

    def refuse(self, request: Request, error: Exception) -> Answer:
        """Answer, log and count an error."""
        answer = answer_error(error)
        seconds = time.perf_counter() - request.started
        account = account_in(request.path)
        label = account if account in self.ingest.accounts else NO_ACCOUNT
        self.observer.signal_received(label, answer.code, seconds)
        self._log_refusal(error, answer.code, account, self.senders.address(request), seconds)
        return answer

    def _log_receipt(self, receipt: Receipt, code: int, address: str, seconds: float) -> None:
        event = "signal.duplicate" if receipt.duplicate else "signal.held" if receipt.held else "signal.accepted"
        context = receipt.signal.log_context()
        if receipt.id:
            context["signal"] = receipt.id
        if not receipt.known_type:
            context["unknown_type"] = True
        context["key"] = receipt.key
        self.log.info(event, code=code, address=address, ms=round(seconds * 1000, 2), **context)

    def _log_refusal(self, error: Exception, code: int, account: str, address: str, seconds: float) -> None:
        context: dict[str, object] = {"code": code, "account": self.mask.account(account), "address": address}
        if isinstance(error, InvalidSignal):
            context["fields"] = error.fields
        if isinstance(error, GatewayError):
            context["error"] = str(error)
            context |= error.context
        else:
            context["exc_info"] = error
        self.log.warning("signal.refused", ms=round(seconds * 1000, 2), **context)


class HealthResource:
    """GET /healthz: 200 while the process takes requests, 503 once it stops. It tells nothing about internals."""

    methods = frozenset({"GET", "HEAD"})
    max_body = 0

    def __init__(self, ingest: Ingest) -> None:
        self.ingest = ingest

    async def answer(self, request: Request) -> Answer:
        """Answer 200, or 503 while stopping."""
        return answer_error(ShuttingDown()) if self.ingest.stopping else answer_json(200, {"status": "ok"})

    def refuse(self, request: Request, error: GatewayError) -> Answer:
        """Answer another method, or a request with a body."""
        return answer_error(MethodNotAllowed("Use GET.") if request.method not in self.methods else error, "GET, HEAD")


class NotFoundResource:
    """Any other path with any method, and requests that are malformed."""

    methods: frozenset[str] = frozenset(HTTPMethod) - {HTTPMethod.CONNECT}

    def __init__(self, senders: Senders, max_body: int, observer: Observer, mask: KeyMask) -> None:
        self.senders = senders
        self.mask = mask
        self.max_body = max_body
        self.observer = observer

    async def answer(self, request: Request) -> Answer:
        """Answer 404."""
        return self.refuse(request, NotFound())

    def refuse(self, request: Request, error: GatewayError) -> Answer:
        """Answer, log and count an error."""
        answer = answer_error(error)
        self.observer.signal_received(NO_ACCOUNT, answer.code, time.perf_counter() - request.started)
        log_refusal(answer.code, self.mask.path(request.path), self.senders.address(request), error)
        return answer


Resource = SignalsResource | HealthResource | NotFoundResource


def account_in(path: str) -> str:
    """Return the account that a path names."""
    return unquote(path.rstrip("/").rpartition("/")[2])
