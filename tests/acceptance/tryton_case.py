"""The Tryton sink on a real server, with a clock that stands still. An attempt can be cut after any call."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import voluptuous as vol

from cloudsignal_tryton import TrytonSink
from gateway import signal_types
from gateway.sink import Context, Delivery, Response, SecretValue
from tests.support import factory
from tests.support.tryton_inside import PASSWORD
from tests.support.tryton_server import DATABASE, Tryton

NOW = factory.AT.timestamp() + 60
SHIPPED = signal_types.ITEM_SHIPPED
_numbers = itertools.count(1)


class Cut(Exception):
    """Ends an attempt at the call that a test chose."""


def new_reference() -> str:
    """Return a reference that no other order has."""
    return f"PO-{next(_numbers)}"


class Case:
    """`async with Case(tryton, **options) as case`. `calls` counts requests, `writes` has the writing ones."""

    def __init__(self, tryton: Tryton, transport: str = "", user: str = "gateway", **options: Any) -> None:
        self.tryton = tryton
        self.now = NOW
        self.calls = 0
        self.writes: list[int] = []
        self.paths: list[str] = []
        self.cut_after: int | None = None
        self.cancelling = False
        self.options = {
            "url": tryton.url,
            "database": DATABASE,
            "application_key": f"{user}-key",
            "user": user,
            "password": user + PASSWORD,
            "transport": transport or "auto",
            **options,
        }

    async def __aenter__(self) -> Self:
        options = vol.Schema(dict(TrytonSink.options))(self.options)
        context = Context(account="bookshop", tenant="acme", route="erp", now=lambda: self.now)
        self.sink = TrytonSink(options, context)
        await self.sink.open()
        await self.sink.client.transport()
        self._send = self.sink.client.server.send
        self.sink.client.server.send = self.send
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.sink.close()

    async def send(self, method: str, url: str, **given: Any) -> Response:
        """Send as the sink does. At the cut the server has done its work, and its answer is lost."""
        answer = await self._send(method, url, **given)
        if writes(method, url, given.get("json")):
            self.writes.append(self.calls)
        self.paths.append(f"{method} {url.partition('?')[0].removeprefix(self.tryton.url)}")
        self.calls += 1
        if self.cut_after is not None and self.calls > self.cut_after:
            if self.cancelling:
                raise asyncio.CancelledError
            raise Cut
        return answer

    async def deliver(self, type: str, reference: str, line: int | None = None, **fields: Any) -> None:
        """Deliver a signal of that type about the order and its line."""
        await self.sink.deliver(delivery_of(type, reference, line, **fields))

    async def cut(self, delivery: Delivery, after: int, cancelling: bool = False) -> None:
        """Deliver, and end the attempt after a call, counted from 0."""
        self.calls, self.cut_after, self.cancelling = 0, after, cancelling
        try:
            await self.sink.deliver(delivery)
        except (Cut, asyncio.CancelledError):
            pass
        finally:
            self.cut_after = None


def writes(method: str, url: str, body: Any) -> bool:
    """Return True if a request changes something."""
    if "/rest/" in url:
        return method != "GET"
    name = str(body["method"]) if body else ""
    return not name.endswith((".search_read", "get_access", "get_preferences", "server.version"))


def delivery_of(type: str, reference: str, line: int | None = None, **fields: Any) -> Delivery:
    if line is not None:
        fields["item_reference"] = str(line)
    return factory.make_delivery(type, order_reference=reference, **fields)


def as_accepted(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Return the deliveries, each with the furthest type before it and its lateness, as the store gives them."""
    known: list[Delivery] = []
    for delivery in deliveries:
        mine = [other for other in known if other.signal.item_reference in {None, delivery.signal.item_reference}]
        late = any(other.signal.at > delivery.signal.at for other in mine)
        types = [delivery.signal.type, *(other.signal.type for other in mine)]
        furthest = max(types, key=lambda type: signal_types.STAGES.get(type, 0))
        known.append(replace(delivery, signal=replace(delivery.signal, late=late), furthest=furthest))
    return known


def secret(text: str) -> SecretValue:
    return SecretValue(text)
