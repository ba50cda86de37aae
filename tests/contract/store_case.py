"""Helpers of the store's tests: a backend to open, and the usual form of each call."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from peewee import Database

from gateway.model import Attempt, Dead, Decision, Delivery, Done, Kind, RetryAt, Signal
from gateway.store import open_store
from gateway.store.contract import Settings, Store
from gateway.store.values import Accepted, ClaimRequest, Filter, Result, Target
from tests.support.factory import ACCOUNT, AT, make_signal
from tests.support.stores import raw_database

NOW = AT.timestamp()
LEASE = 60.0
DELIVERED = Done("delivered")


@dataclass(frozen=True)
class Backend:
    """A database that can be opened several times."""

    url: str
    usual: Mapping[str, Any] = field(default_factory=dict)

    def raw(self) -> AbstractContextManager[Database]:
        """Connect to the database beside the store."""
        return raw_database(Settings(self.url, **self.usual))

    def execute(self, statement: str, *values: Any) -> list[Any]:
        """Run a statement beside the store, and return its rows."""
        with self.raw() as db:
            cursor = db.execute_sql(statement, values or None)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    @asynccontextmanager
    async def open(self, exclusive: bool = False, **settings: Any) -> AsyncIterator[Store]:
        store = open_store(Settings(self.url, **self.usual, **settings), exclusive=exclusive)
        try:
            yield store
        finally:
            await store.close()


def numbered(number: int, order: str = "1", **fields: Any) -> Signal:
    """Make a signal of an order, another one for each number."""
    return make_signal(order=order, order_reference=f"PO-{order}", item=str(number), id=0, **fields)


async def accept(
    store: Store,
    signal: Signal,
    routes: Iterable[str] = ("erp",),
    *,
    lane: bool = True,
    unrouted: Sequence[str] = (),
    hold: bool = False,
) -> Accepted:
    """Accept with a delivery on each route, in the order's lane or in none."""
    return await store.accept(
        signal, [Target(route, signal.order if lane else None) for route in routes], unrouted, hold
    )


async def claim(
    store: Store,
    now: float = NOW,
    limit: int = 100,
    routes: Iterable[str] = ("erp",),
    account: str = ACCOUNT,
    replays: int | None = None,
) -> Sequence[Delivery]:
    requests = [ClaimRequest(account, route, limit, replays) for route in routes]
    return (await store.claim(requests, now, now + LEASE)).deliveries


async def finish(
    store: Store,
    deliveries: Sequence[Delivery],
    decision: Decision = DELIVERED,
    now: float = NOW,
    state: Mapping[tuple[str, str], Mapping[str, Any]] | None = None,
) -> int:
    """Record one decision for each, with the attempt that led to it."""
    return await store.record([result_of(delivery, decision, now) for delivery in deliveries], state or {})


def result_of(delivery: Delivery, decision: Decision, now: float = NOW) -> Result:
    kind = {RetryAt: Kind.RETRY, Dead: Kind.PERMANENT}.get(type(decision))
    attempt = Attempt(delivery.attempt, now, 0.25, kind, decision.reason) if kind else None
    return Result(delivery, decision, attempt, now)


async def replay_all(store: Store, which: Filter, now: float = NOW) -> int:
    """Replay everything that matches, and return the number of deliveries."""
    return sum([sum(page.found.values()) async for page in store.replay(which, now)])


async def count_replay(store: Store, which: Filter) -> Counter[tuple[str, str]]:
    """Return the number of deliveries that a replay would repeat, per account and route."""
    found: Counter[tuple[str, str]] = Counter()
    async for page in store.count_replay(which):
        found.update(page.found)
    return found


def ids(deliveries: Iterable[Delivery]) -> list[int]:
    return [delivery.signal.id for delivery in deliveries]


async def states(store: Store, **which: Any) -> dict[tuple[int, str], str]:
    rows = await store.list_deliveries(Filter(**which), 10_000)
    return {(row.signal_id, row.route): row.state for row in rows}
