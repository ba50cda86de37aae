"""A middlebox between the gateway and PostgreSQL accepts everything, passes nothing on and closes nothing. It ends TCP
itself, so keepalives and acknowledgements arrive as ever: only a deadline of our own finds out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from gateway.errors import StoreError
from gateway.store import statements
from gateway.store.postgres.connection import Reconnecting
from gateway.store.values import Filter
from tests.contract.store_case import accept, claim, finish, numbered
from tests.support.postgres import Server
from tests.support.proxy import behind_proxy

pytestmark = pytest.mark.gen_test

LOCK = "SELECT pg_advisory_xact_lock(77)"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.postgres.open.ANSWER_TIMEOUT", 0.4)
    monkeypatch.setattr("gateway.store.postgres.open.READ_TIMEOUT", 0.4)
    monkeypatch.setattr("gateway.store.postgres.notify.SILENCE", 0.2)


@pytest.mark.parametrize("pooler", [False, True])
async def test_a_hanging_connection_is_given_up_and_replaced(postgres: Server, pooler: bool) -> None:
    async with behind_proxy(postgres, pooler=pooler) as (store, proxy):
        await accept(store, numbered(1))
        proxy.hang()
        with pytest.raises(StoreError, match=r"^the store could not write: no answer within 0\.4 s$"):
            await accept(store, numbered(2))
        proxy.mend()
        await accept(store, numbered(2))  # a second time perhaps: what was sent before may come through now
        assert len(await store.list_signals(Filter(), 10)) == 2


async def test_a_connection_that_was_forgotten_is_replaced(postgres: Server) -> None:
    """As after a balancer's restart: open connections stay silent for ever, and new ones work."""
    async with behind_proxy(postgres) as (store, proxy):
        await accept(store, numbered(1))
        proxy.forget()
        assert [row.signal.id for row in await store.list_signals(Filter(), 10)] == [1]  # read again, on a new one
        with pytest.raises(StoreError, match="no answer within"):
            await accept(store, numbered(2))
        await accept(store, numbered(2))
        assert await finish(store, await claim(store)) == 1


async def test_notifications_arrive_again_after_silence(postgres: Server) -> None:
    heard: asyncio.Queue[Sequence[tuple[str, str]]] = asyncio.Queue()
    async with behind_proxy(postgres) as (store, proxy):
        store.on_notification(heard.put_nowait)
        assert await heard.get() == ()
        proxy.forget()
        assert await heard.get() == ()  # it listens anew: what was said meanwhile may have been missed


@pytest.mark.parametrize("take", [statements.execute, statements.send], ids=["between trips", "within one"])
async def test_the_server_ends_an_abandoned_transaction(postgres: Server, take: Callable[..., Any]) -> None:
    """Without it, the server holds the locks of an abandoned transaction for as long as it believes in the
    connection."""
    given = conninfo_to_dict(postgres.url())
    db = Reconnecting(given, False, 0.3, transactions=True)
    db.begin()
    take(db, LOCK)
    waiting = Reconnecting(given, False, 30.0)
    assert len(statements.execute(waiting, LOCK)) == 1
    for each in (db, waiting):
        each.close()
