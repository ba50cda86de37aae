"""What operators ask: does it live, can it take signals, what has it counted."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPMethod

import orjson
import structlog
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.errors import GatewayError, MethodNotAllowed, NotFound, ShuttingDown
from gateway.ingest import Ingest
from gateway.metrics import NO_ACCOUNT, Observer
from gateway.web.base import Answer, Handler, answer_error
from gateway.web.connection import Request

log = structlog.get_logger()

Checks = Mapping[str, str]
"""What was checked: the trouble found with each part, "" where there is none."""
Readiness = Callable[[], Checks | Awaitable[Checks]]


def _answer_json(code: int, content: object) -> Answer:
    return Answer(code, orjson.dumps(content), {"Content-Type": "application/json", "Cache-Control": "no-store"})


class Health:
    """GET /healthz: 200 while the process takes requests, 503 once it is stopping. It says nothing of the inside."""

    methods = frozenset({"GET", "HEAD"})
    max_body = 0

    def __init__(self, ingest: Ingest) -> None:
        self.ingest = ingest

    async def answer(self, request: Request) -> Answer:
        """Whether it lives."""
        return answer_error(ShuttingDown()) if self.ingest.stopping else _answer_json(200, {"status": "ok"})

    def refuse(self, request: Request, error: GatewayError) -> Answer:
        """Not asked as it should be."""
        return answer_error(MethodNotAllowed("Use GET.") if request.method not in self.methods else error, "GET, HEAD")


class Nothing:
    """Any other path, and what is no HTTP."""

    methods: frozenset[str] = frozenset(HTTPMethod) - {HTTPMethod.CONNECT}

    def __init__(self, max_body: int, observer: Observer) -> None:
        self.max_body = max_body
        self.observer = observer

    async def answer(self, request: Request) -> Answer:
        """Nothing is here."""
        return self.refuse(request, NotFound())

    def refuse(self, request: Request, error: GatewayError) -> Answer:
        """The answer, logged and counted."""
        answer = answer_error(error)
        self.observer.signal_received(NO_ACCOUNT, answer.code, time.perf_counter() - request.started)
        why = {} if isinstance(error, NotFound) else {"error": str(error)}
        log.info("request.refused", code=answer.code, path=request.path[:64], address=request.peer, **why)
        return answer


class Ready(Handler):
    """GET /readyz: 200 where every check is fine, else 503, and what is wrong with what."""

    def initialize(self, readiness: Readiness) -> None:
        self.readiness = readiness

    async def get(self) -> None:
        found = self.readiness()
        checks = await found if inspect.isawaitable(found) else found
        ready = not any(checks.values())
        self.send(_answer_json(200 if ready else 503, {"ready": ready, "checks": dict(checks)}))

    head = get


class Metrics(Handler):
    """GET /metrics, for Prometheus."""

    def initialize(self, observer: Observer) -> None:
        self.observer = observer

    def get(self) -> None:
        self.send(Answer(200, self.observer.exposition(), {"Content-Type": CONTENT_TYPE_LATEST}))

    head = get
