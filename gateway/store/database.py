"""The store on a database: writes go to the writer's thread, reads to a small pool of threads."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from peewee import Database, PeeweeException

from gateway.errors import StoreError
from gateway.model import Attempt, Delivery, Signal
from gateway.store import claims, custody, drop, id_ranges, lanes, partitions, purge, queries, writes
from gateway.store.lock import Serving
from gateway.store.rows import dumps
from gateway.store.values import (
    Accepted,
    Action,
    Backlog,
    Claim,
    ClaimRequest,
    CustodyPage,
    DeliveryRow,
    DroppedPartition,
    Filter,
    Page,
    Purged,
    QuarantineRow,
    Refused,
    Result,
    RouteState,
    SignalRow,
    Target,
)
from gateway.store.writer import Prepare, Step, Writer, describe_failure

MANY = 32
"""Results that are worth a transaction of their own."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where databases differ. `shared`: other gateways may serve from it too. `prepare` runs first in each of the
    writer's transactions; `revive` makes a broken connection anew and says whether it had to; `forms` are steps that it
    has in a form of its own; `notifier`, where there is one, wakes the others."""

    shared: bool
    prepare: Prepare
    revive: Callable[[Any], bool]
    forms: Mapping[Step, Step] = field(default_factory=dict)
    notifier: Notifier | None = None


FILE = Dialect(shared=False, prepare=lambda db, work: None, revive=lambda db: False)


class Notifier(Protocol):
    """Brings news between processes that share a database."""

    def notify(self, routes: Iterable[tuple[str, str]]) -> None:
        """Tell the others that something was committed for these routes; where none is named, for any."""
        ...

    def listen(self, tell: Callable[[Sequence[tuple[str, str]]], None]) -> None:
        """Have `tell` called, on the event loop, with what others ring."""
        ...

    def close(self) -> None:
        """Ring what is left, then end."""
        ...


class Readers:
    """Runs queries on threads, each with a connection of its own while it runs."""

    def __init__(
        self, databases: Sequence[Database], loop: asyncio.AbstractEventLoop, revive: Callable[[Any], bool]
    ) -> None:
        self._loop = loop
        self._revive = revive
        self._threads = ThreadPoolExecutor(len(databases), "store-reader")
        self._idle: queue.SimpleQueue[Database] = queue.SimpleQueue()
        self._databases = databases
        self._closed = False
        for db in databases:
            self._idle.put(db)

    async def run(self, query: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the query gives. StoreError once closed, or where it failed."""
        if self._closed:
            raise StoreError("the store is closed")
        try:
            return await self._loop.run_in_executor(self._threads, lambda: self._query(query, *args, **kwargs))
        except PeeweeException as error:
            raise StoreError(f"the store could not read: {describe_failure(error)}") from error

    def _query(self, query: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        db = self._idle.get()
        try:
            self._revive(db)
            return query(db, *args, **kwargs)
        except PeeweeException:
            if self._revive(db):  # it broke since its last use, as when the server was restarted
                return query(db, *args, **kwargs)
            raise
        finally:
            self._idle.put(db)

    async def close(self, last: Callable[[], object]) -> None:
        """Take nothing more, run `last` on a thread, then let the queries end and the connections go."""
        self._closed = True
        await self._loop.run_in_executor(self._threads, last)
        self._threads.shutdown()
        for db in self._databases:
            db.close()


class DatabaseStore:
    """See gateway.store.contract.Store. `serving` is what the process that serves holds; it is let go last. The first
    of the readers is for what was claimed, which then waits for no query of a person."""

    shared: bool

    def __init__(
        self,
        writer: Database,
        readers: Sequence[Database],
        limit: int,
        loop: asyncio.AbstractEventLoop,
        serving: Serving | None,
        actor: str,
        dialect: Dialect = FILE,
    ) -> None:
        self.shared = dialect.shared
        self._notifier = dialect.notifier
        self._actor = actor
        self._loop = loop
        self._writer = Writer(writer, writes.STEPS, limit, loop, dialect.prepare, dialect.forms)
        self._claimed = Readers(readers[:1], loop, dialect.revive)
        self._readers = Readers(readers[1:], loop, dialect.revive)
        self._serving = serving
        self._closing: asyncio.Task[None] | None = None

    # -- custody

    async def accept(self, signal: Signal, targets: Sequence[Target], unrouted: Sequence[str], hold: bool) -> Accepted:
        item = writes.Accept(signal, targets, unrouted, hold)
        accepted: Accepted = await self._writer.submit(writes.accept_signals, item, bounded=True)
        if self._notifier and targets and not accepted.duplicate:
            self._notifier.notify([(signal.account, target.route) for target in targets])
        return accepted

    async def quarantine(self, refused: Refused) -> int:
        return int(await self._writer.submit(writes.quarantine_refused, refused, bounded=True))

    # -- delivery

    async def claim(self, wants: Sequence[ClaimRequest], now: float, lease_until: float) -> Claim:
        item = claims.ClaimDue(wants, now, lease_until)
        leases: claims.Leases = await self._writer.submit(claims.lease_deliveries, item)
        try:
            deliveries = await self._claimed.run(claims.read_leased, leases)
        except Exception as error:
            with contextlib.suppress(StoreError):
                await self._writer.submit(lanes.renew_leases, lanes.Renew(leases.held(), now))
            raise StoreError("what was claimed could not be read, and is given back") from error
        return Claim(deliveries, leases.next_due)

    async def record(self, results: Sequence[Result], state: Mapping[tuple[str, str], Mapping[str, Any]]) -> int:
        # Here and not on the writer's thread, so that what is no JSON is the caller's TypeError.
        texts = {route: {key: dumps(value) for key, value in keys.items()} for route, keys in state.items()}
        item = lanes.Record(results, texts)
        return int(await self._writer.submit(lanes.record_results, item, patient=len(results) < MANY))

    async def renew(self, deliveries: Sequence[Delivery], lease_until: float) -> int:
        held = [(d.signal.account, d.signal.id, d.route, d.lease) for d in deliveries]
        return await self._count(lanes.renew_leases, lanes.Renew(held, lease_until))

    async def own_routes(
        self, routes: Sequence[tuple[str, str]], owner: str, now: float, until: float
    ) -> set[tuple[str, str]]:
        item = writes.OwnRoutes(routes, owner, now, until)
        held: set[tuple[str, str]] = await self._writer.submit(writes.own_routes, item)
        return held

    async def read_next_due(self, routes: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], float]:
        return await self._readers.run(queries.next_due, list(routes))

    async def release_leases(self, now: float) -> int:
        return await self._count(lanes.release_leases, now)

    async def reset_due_times(self, now: float, latest: float) -> int:
        return await self._count(lanes.reset_due_times, lanes.ResetDueTimes(now, latest))

    # -- routes

    async def save_route_state(self, state: RouteState) -> None:
        await self._writer.submit(writes.save_route_states, state)

    async def set_paused(self, account: str, route: str, paused: bool, now: float, why: str) -> None:
        pause = writes.Pause(account, route, paused, now, why, self._actor)
        await self._writer.submit(writes.pause_routes, pause)
        self._spread(1)

    async def read_route_states(self) -> Mapping[tuple[str, str], RouteState]:
        return await self._readers.run(queries.read_route_states)

    async def read_backlog(self) -> Mapping[tuple[str, str], Backlog]:
        return await self._readers.run(queries.read_backlog)

    # -- looking and mending

    async def replay(self, which: Filter, now: float) -> AsyncIterator[Page]:
        whole = left = await self._readers.run(id_ranges.whole, which)
        while left:
            ids, reached = await self._readers.run(id_ranges.find_replayable, which, left)
            # Of a signal nothing changes: what the filter asks of it holds still.
            again = Filter(ids, account=which.account, route=which.route, state=which.state)
            found = await self._writer.submit(lanes.replay_deliveries, lanes.Replay(again, now)) if ids else {}
            self._spread(len(found))
            yield Page(whole.first, reached, whole.last, found)
            left = left.beyond(reached)

    async def count_replay(self, which: Filter) -> AsyncIterator[Page]:
        whole = await self._readers.run(id_ranges.whole, which)
        for step in whole.steps():
            yield Page(
                whole.first, step.last, whole.last, await self._readers.run(id_ranges.count_replayable, which, step)
            )

    async def add_known_orders(self, account: str, orders: Sequence[str], now: float) -> int:
        return self._spread(await self._count(writes.add_known_orders, writes.AddKnownOrders(account, orders, now)))

    async def read_sink_state(self, account: str, route: str) -> Mapping[str, Any]:
        return await self._readers.run(queries.read_state, account, route)

    async def list_signals(self, which: Filter, limit: int) -> Sequence[SignalRow]:
        return await self._readers.run(queries.list_signals, which, limit)

    async def list_signals_after(self, which: Filter, after: int, limit: int) -> Sequence[Signal]:
        return await self._readers.run(queries.list_signals_after, which, after, limit)

    async def count_signals(self, which: Filter) -> int:
        return await self._readers.run(queries.count_signals, which)

    async def list_deliveries(self, which: Filter, limit: int) -> Sequence[DeliveryRow]:
        return await self._readers.run(queries.list_deliveries, which, limit)

    async def read_heads(self, signal_id: int) -> Mapping[str, DeliveryRow]:
        return await self._readers.run(queries.find_heads, signal_id)

    async def read_attempts(self, signal_id: int) -> Mapping[str, Sequence[Attempt]]:
        return await self._readers.run(queries.list_attempts, signal_id)

    async def list_quarantined(self, account: str | None, limit: int) -> Sequence[QuarantineRow]:
        return await self._readers.run(queries.list_quarantined, account, limit)

    async def list_quarantined_oldest(self, which: Filter, limit: int) -> Sequence[QuarantineRow]:
        return await self._readers.run(queries.list_quarantined_oldest, which, limit)

    async def release_quarantined(self, quarantine_id: int, signal: Signal, now: float) -> bool:
        release = writes.Release(quarantine_id, signal, now, self._actor)
        return bool(await self._writer.submit(writes.release_quarantined, release))

    async def check_custody(self, after: int = 0) -> AsyncIterator[CustodyPage]:
        whole = await self._readers.run(custody.whole, after)
        for step in whole.steps():
            yield await self._readers.run(custody.audit, whole, step)

    async def record_action(self, action: str, detail: Mapping[str, Any], now: float) -> None:
        await self._writer.submit(writes.record_actions, writes.RecordAction(now, self._actor, action, detail))

    async def list_actions(self, action: str | None, limit: int) -> Sequence[Action]:
        return await self._readers.run(queries.list_actions, action, limit)

    async def make_partitions(self, now: float, retention: float) -> int:
        return len(await self._readers.run(partitions.make_partitions, now, now, retention))

    async def drop_partitions(self, before: float, dead: bool) -> AsyncIterator[DroppedPartition]:
        for part in await self._readers.run(drop.find_old, before):
            if dropped := await self._readers.run(drop.drop_partition, part, before, dead):
                yield dropped

    async def purge(self, before: float, after: int, limit: int, dead: bool, unpartitioned: bool = False) -> Purged:
        item = purge.Purge(before, after, limit, dead, unpartitioned)
        purged: Purged = await self._writer.submit(purge.purge_signals, item)
        return purged

    async def count_purge(self, before: float, dead: bool) -> int:
        return await self._readers.run(purge.count_purgeable, before, dead)

    async def purge_quarantine(self, before: float, limit: int) -> int:
        return await self._count(purge.purge_quarantine, purge.PurgeQuarantine(before, limit))

    async def count_quarantine(self, before: float) -> int:
        return await self._readers.run(purge.count_refused, before)

    async def check_writable(self) -> None:
        await self._writer.submit(writes.check_writable, None, bounded=True)

    def on_failure(self, tell: Callable[[], None]) -> None:
        self._writer.on_failure = tell

    def on_notification(self, tell: Callable[[Sequence[tuple[str, str]]], None]) -> None:
        if self._notifier:
            self._notifier.listen(tell)

    async def verify(self) -> None:
        if self._serving:
            await self._serving.verify()

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        thread = self._writer.close()
        with contextlib.ExitStack() as stack:
            if self._serving:
                stack.callback(self._serving.end)
            await self._readers.close(thread.join)
            await self._claimed.close(thread.join)
            if self._notifier:
                await self._loop.run_in_executor(None, self._notifier.close)

    def _spread(self, changed: int) -> int:
        """Have other processes look, where anything has changed."""
        if self._notifier and changed:
            self._notifier.notify(())
        return changed

    async def _count(self, step: Step, item: Any) -> int:
        return int(await self._writer.submit(step, item))
