"""What operators ask: does it live, can it take signals, what has it counted."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping

import orjson
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.errors import ShuttingDown
from gateway.ingest import Ingest
from gateway.metrics import Observer
from gateway.web.base import Answer, Handler

Checks = Mapping[str, str]
"""What was checked: the trouble found with each part, "" where there is none."""
Readiness = Callable[[], Checks | Awaitable[Checks]]


def _answer_json(code: int, content: object) -> Answer:
    return Answer(code, orjson.dumps(content), {"Content-Type": "application/json", "Cache-Control": "no-store"})


class Health(Handler):
    """GET /healthz: 200 while the process takes requests, 503 once it is stopping. It says nothing of the inside."""

    def initialize(self, ingest: Ingest) -> None:
        self.ingest = ingest

    def get(self) -> None:
        if self.ingest.stopping:
            raise ShuttingDown()
        self.send(_answer_json(200, {"status": "ok"}))

    head = get


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
