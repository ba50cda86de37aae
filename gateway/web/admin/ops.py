"""Readiness and metrics, for load balancers and Prometheus."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST

from gateway.metrics import Observer
from gateway.web.admin.base import Handler
from gateway.web.answers import answer_json
from gateway.web.http1 import Answer

Checks = Mapping[str, str]
"""Readiness by part of the gateway: a description of its trouble, "" if it has none."""
Readiness = Callable[[], Checks | Awaitable[Checks]]


class HealthHandler(Handler):
    """GET /healthz: 200 while the process answers. It asks nothing; /readyz does."""

    def get(self) -> None:
        self.send(answer_json(200, {"status": "ok"}))

    head = get


class ReadyHandler(Handler):
    """GET /readyz: 200 if no check found trouble, else 503; the body has every check."""

    def initialize(self, readiness: Readiness) -> None:
        self.readiness = readiness

    async def get(self) -> None:
        found = self.readiness()
        checks = await found if inspect.isawaitable(found) else found
        ready = not any(checks.values())
        self.send(answer_json(200 if ready else 503, {"ready": ready, "checks": dict(checks)}))

    head = get


class MetricsHandler(Handler):
    """GET /metrics: Prometheus text."""

    def initialize(self, observer: Observer) -> None:
        self.observer = observer

    async def get(self) -> None:
        # On a thread: with 10,000 accounts the text has megabytes, and senders must not wait for it.
        text = await asyncio.to_thread(self.observer.exposition)
        self.send(Answer(200, text, {"Content-Type": CONTENT_TYPE_LATEST}))

    head = get
