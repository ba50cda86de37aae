"""A gateway's public listener with a store behind it and a sender before it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import uvloop
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from gateway.ingest import Ingest
from gateway.metrics import PrometheusObserver
from gateway.store.contract import Store
from gateway.store.values import Filter, QuarantineRow, SignalRow
from tests.support.accounts import make_accounts
from tests.support.payloads import request

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ON_BOTH_LOOPS = pytest.mark.parametrize(
    "loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
"""The event loops for `serve`: each has its own transports."""


@dataclass
class Gateway:
    """A gateway's listener with its parts, and a client."""

    store: Store
    ingest: Ingest
    observer: PrometheusObserver
    url: str
    client: AsyncHTTPClient = field(repr=False)

    async def send(self, method: str, path: str, body: bytes | None = None, **options: Any) -> HTTPResponse:
        return await self.client.fetch(
            self.url + path, method=method, body=body, raise_error=False, allow_nonstandard_methods=True, **options
        )

    async def post(self, body: bytes | dict[str, Any], account: str = "bookshop", **options: Any) -> HTTPResponse:
        """Post a body, or a payload with its key."""
        raw = body if isinstance(body, bytes) else request(body)
        return await self.send("POST", f"/signals/{account}", raw, **options)

    async def kept(self) -> list[SignalRow]:
        return list(await self.store.list_signals(Filter(), 1000))

    async def quarantined(self) -> list[QuarantineRow]:
        return list(await self.store.list_quarantined(Filter(), 1000))

    def restrict(self, **fields: Any) -> None:
        """Give the account `bookshop` other settings."""
        self.ingest.accounts = make_accounts(**fields)


def fields_of(response: HTTPResponse) -> dict[str, str]:
    """Return the fields that an answer of 400 names."""
    assert response.code == 400
    assert response.headers["Content-Type"] == "application/json"
    fields: dict[str, str] = orjson.loads(response.body)["fields"]
    return fields
