"""The store on a database: writes go to the writer's thread, reads to a small pool of threads."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from peewee import Database

from gateway.errors import StoreBusy, StoreError
from gateway.model import Attempt, Delivery, RouteKey, Signal
from gateway.store.alerts import AlertMethods
from gateway.store.batching import Priority
from gateway.store.contract import ANY, Store
from gateway.store.dialect import Dialect, order_of_steps
from gateway.store.operations import Accept, CheckWritable, ClaimDue, Record, Renew, Step
from gateway.store.orders import Horizon, OrderMethods
from gateway.store.readers import Readers
from gateway.store.reads import backlog, custody_check, held_orders, listings, pages
from gateway.store.rows import dumps
from gateway.store.sqlite.lock import Serving
from gateway.store.steps import accounts, actions, leases, pending, purge, quarantine, replay_jobs, routes, startup
from gateway.store.steps.claims import Leases
from gateway.store.steps.known_orders import AddKnownOrders
from gateway.store.steps.replay import Replay
from gateway.store.values import (
    Accepted,
    Action,
    Actor,
    Backlog,
    Claim,
    ClaimRequest,
    ConfigPart,
    CustodyPage,
    DeliveryRow,
    DroppedPartition,
    Filter,
    Forgotten,
    MadeKnown,
    Page,
    Purged,
    QuarantineRow,
    Refused,
    ReplayJob,
    Result,
    RouteState,
    SignalRow,
    Target,
)
from gateway.store.writer import Writer

RESULTS_WORTH_A_TRANSACTION = 32
"""Results in one call from which on they are written at once, and don't wait for others to join."""

WATCH_INTERVAL = 1.0
"""Seconds between two looks at the store's file while there is no traffic."""


class DatabaseStore(AlertMethods, OrderMethods, Store):
    """A store on a database. `serving` is the serving process's lock of a file; it is released last.

    The first reader is for claimed deliveries, so that they never wait for a person's query.
    """

    shared: bool

    def __init__(
        self,
        writer: Database,
        readers: Sequence[Database],
        dialect: Dialect,
        limit: int,
        loop: asyncio.AbstractEventLoop,
        actor: Actor,
        serving: Serving | None = None,
    ) -> None:
        self.shared = dialect.shared
        self._dialect = dialect
        self._notifier = dialect.notifier
        self._actor = actor
        self._loop = loop
        self._writer = Writer(
            writer,
            order_of_steps(dialect),
            limit,
            loop,
            before=dialect.before_transaction,
            leave_transaction=dialect.leave_transaction,
            confirm=dialect.check_file,
            after_batch=dialect.after_batch,
        )
        self._claimed = Readers(readers[:1], loop, dialect.revive)
        self._readers = Readers(readers[1:], loop, dialect.revive)
        self._serving = serving
        self._horizon = Horizon()
        self._closing: asyncio.Task[None] | None = None

    def acting_as(self, actor: Actor) -> DatabaseStore:
        twin = copy.copy(self)
        twin._actor = actor
        return twin

    # -- Inbox

    async def accept(self, signal: Signal, targets: Sequence[Target], unrouted: Sequence[str], hold: bool) -> Accepted:
        item = Accept(signal, targets, unrouted, hold)
        accepted: Accepted = await self._writer.submit(self._dialect.accept, item, Priority.ACK)
        if self._notifier and targets and not accepted.duplicate:
            self._notifier.notify([(signal.account, target.route) for target in targets])
        return accepted

    async def quarantine(self, refused: Refused) -> int:
        return int(await self._writer.submit(quarantine.quarantine_requests, refused, Priority.ACK))

    # -- Queue

    async def claim(self, requests: Sequence[ClaimRequest], now: float, lease_until: float) -> Claim:
        item = ClaimDue(requests, now, lease_until)
        leases: Leases = await self._writer.submit(self._dialect.lease, item)
        try:
            deliveries = await self._claimed.run(self._dialect.read_leased, leases)
        except Exception as error:
            with contextlib.suppress(StoreError):
                await self._writer.submit(self._dialect.renew, Renew(leases.keys(), now))
            raise StoreError("the claimed deliveries could not be read, and are given back") from error
        return Claim(deliveries, leases.next_due)

    async def record(self, results: Sequence[Result], state: Mapping[RouteKey, Mapping[str, Any]]) -> int:
        # Serialised here and not on the writer's thread, so that a value that is no JSON is the caller's TypeError.
        texts = {route: {key: dumps(value) for key, value in keys.items()} for route, keys in state.items()}
        priority = Priority.PATIENT if len(results) < RESULTS_WORTH_A_TRANSACTION else Priority.NORMAL
        return int(await self._writer.submit(self._dialect.record, Record(results, texts), priority))

    async def renew(self, deliveries: Sequence[Delivery], lease_until: float) -> int:
        leases = [(d.signal.account, d.signal.id, d.route, d.lease) for d in deliveries]
        return await self._count(self._dialect.renew, Renew(leases, lease_until))

    async def release(self, deliveries: Sequence[Delivery]) -> int:
        keys = [(d.signal.account, d.signal.id, d.route, d.lease) for d in deliveries]
        return await self._count(leases.release_claims, leases.Release(keys))

    async def list_held_accounts(self, since: float) -> Sequence[str]:
        return await self._readers.run(held_orders.list_held_accounts, since)

    async def list_held_orders(self, account: str, since: float, after: str, limit: int) -> Sequence[str]:
        return await self._readers.run(held_orders.list_held_orders, account, since, after, limit)

    async def own_routes(self, keys: Sequence[RouteKey], owner: str, now: float, until: float) -> set[RouteKey]:
        item = routes.OwnRoutes(keys, owner, now, until)
        owned: set[RouteKey] = await self._writer.submit(routes.own_routes, item)
        return owned

    async def read_next_due(self, keys: Iterable[RouteKey]) -> Mapping[RouteKey, float]:
        return await self._readers.run(self._dialect.read_next_due, list(keys))

    async def release_leases(self, now: float) -> int:
        return await self._count(startup.release_leases, startup.ReleaseLeases(now))

    async def reset_due_times(self, now: float, latest: float) -> int:
        return await self._count(startup.reset_due_times, startup.ResetDueTimes(now, latest))

    async def save_route_state(self, state: RouteState) -> None:
        await self._writer.submit(routes.save_route_states, state)

    async def read_route_states(self) -> Mapping[RouteKey, RouteState]:
        return await self._readers.run(listings.read_route_states)

    async def read_sink_state(self, account: str, route: str) -> Mapping[str, Any]:
        return await self._readers.run(listings.read_sink_state, account, route)

    def on_notification(self, tell: Callable[[Sequence[RouteKey]], None]) -> None:
        if self._notifier:
            self._notifier.listen(tell)

    # -- Records

    async def set_paused(self, account: str, route: str, paused: bool, now: float, why: str) -> None:
        item = routes.SetPaused(account, route, paused, now, why, self._actor)
        await self._writer.submit(routes.set_paused, item)
        self._notify_any(1)

    async def read_backlog(self) -> Mapping[RouteKey, Backlog]:
        return await self._readers.run(backlog.read_backlog)

    async def count_dead(self) -> Mapping[RouteKey, int]:
        return await self._readers.run(backlog.count_dead)

    async def count_quarantined(self) -> Mapping[str, int]:
        return await self._readers.run(backlog.count_quarantined)

    async def try_now(self, account: str, route: str, signal_id: int | None, now: float, action: str) -> bool:
        item = pending.TryNow(account, route, signal_id, now, action, self._actor)
        return bool(self._notify_any(await self._count(pending.try_now, item)))

    async def skip(self, account: str, route: str, signal_id: int, now: float, why: str) -> bool:
        item = pending.Skip(account, route, signal_id, now, why, self._actor)
        return bool(self._notify_any(await self._count(self._dialect.skip, item)))

    async def replay(self, which: Filter, now: float) -> AsyncIterator[Page]:
        whole = left = await self._readers.run(pages.whole_range, which)
        while left:
            ids, reached = await self._readers.run(pages.find_replayable, which, left)
            again = pages.of_page(which, ids)
            found = await self._writer.submit(self._dialect.replay, Replay(again, now)) if ids else {}
            self._notify_any(len(found))
            yield Page(whole.first, reached, whole.last, found)
            left = left.beyond(reached)

    async def count_replay(self, which: Filter) -> AsyncIterator[Page]:
        whole = await self._readers.run(pages.whole_range, which)
        for page in whole.pages():
            found = await self._readers.run(pages.count_replayable, which, page)
            yield Page(whole.first, page.last, whole.last, found)

    async def add_known_orders(self, account: str, orders: Sequence[str], now: float) -> MadeKnown:
        item = AddKnownOrders(account, orders, now)
        made: MadeKnown = await self._writer.submit(self._dialect.add_known_orders, item)
        self._notify_any(made.freed)
        return made

    async def list_signals(self, which: Filter, limit: int) -> Sequence[SignalRow]:
        return await self._readers.run(listings.list_signals, which, limit)

    async def list_signals_after(self, which: Filter, after: int, limit: int) -> Sequence[Signal]:
        return await self._readers.run(listings.list_signals_after, which, after, limit)

    async def count_signals(self, which: Filter) -> int:
        return await self._readers.run(listings.count_signals, which)

    async def list_deliveries(self, which: Filter, limit: int) -> Sequence[DeliveryRow]:
        return await self._readers.run(listings.list_deliveries, which, limit)

    async def read_heads(self, signal_id: int) -> Mapping[str, DeliveryRow]:
        return await self._readers.run(listings.find_heads, signal_id)

    async def read_attempts(self, signal_id: int) -> Mapping[str, Sequence[Attempt]]:
        return await self._readers.run(listings.list_attempts, signal_id)

    async def list_quarantined(self, which: Filter, limit: int) -> Sequence[QuarantineRow]:
        return await self._readers.run(listings.list_quarantined, which, limit)

    async def list_quarantined_oldest(self, which: Filter, limit: int) -> Sequence[QuarantineRow]:
        return await self._readers.run(listings.list_quarantined_oldest, which, limit)

    async def release_quarantined(self, quarantine_id: int, signal: Signal, now: float) -> bool:
        item = quarantine.Release(quarantine_id, signal, now, self._actor)
        return bool(await self._writer.submit(quarantine.release_quarantined, item))

    async def check_custody(self, after: int = 0) -> AsyncIterator[CustodyPage]:
        whole = await self._readers.run(custody_check.whole_range, after)
        for page in whole.pages():
            yield await self._readers.run(custody_check.check_page, whole, page)

    async def record_action(self, action: str, detail: Mapping[str, Any], now: float) -> None:
        item = actions.RecordAction(now, self._actor, action, detail)
        await self._writer.submit(actions.record_actions, item)

    async def list_actions(self, action: str | None, limit: int, which: Filter = ANY) -> Sequence[Action]:
        return await self._readers.run(listings.list_actions, action, which, limit)

    # -- ReplayJobs

    async def begin_replay(self, which: Filter, dry_run: bool, scope: str, now: float) -> ReplayJob:
        ids = await self._readers.run(pages.whole_range, which)
        item = replay_jobs.BeginReplay(which, dry_run, scope, self._actor, ids.first, ids.last, now)
        begun: ReplayJob = await self._writer.submit(replay_jobs.begin_replays, item)
        return begun

    async def take_replay(self, owner: str, now: float, until: float) -> ReplayJob | None:
        taken: ReplayJob | None = await self._writer.submit(
            replay_jobs.take_replays, replay_jobs.TakeReplay(owner, now, until)
        )
        return taken

    async def advance_replay(self, job: ReplayJob, owner: str, now: float, until: float) -> ReplayJob | None:
        left = pages.IdRange(job.reached + 1, job.ends_with)
        found, reached, again = await self._readers.run(replay_jobs.find_page, job, left)
        item = replay_jobs.AdvanceReplay(job.id, owner, now, until, again, found, reached)
        advanced: ReplayJob | None = await self._writer.submit(self._dialect.advance_replay, item)
        self._notify_any(int(advanced is not None and not job.dry_run))
        return advanced

    async def end_replay(self, job: int, state: str, reason: str, now: float) -> bool:
        item = replay_jobs.EndReplay(job, state, reason, self._actor, now)
        return bool(await self._writer.submit(replay_jobs.end_replays, item))

    async def list_replays(self, which: Filter, scopes: Sequence[str] | None, limit: int) -> Sequence[ReplayJob]:
        return await self._readers.run(replay_jobs.list_replays, which, scopes, limit)

    # -- Accounts

    async def save_in_force(self, parts: Sequence[ConfigPart], now: float) -> None:
        await self._writer.submit(accounts.save_in_force, accounts.SaveInForce(parts, now))

    async def read_in_force(self) -> Sequence[ConfigPart]:
        return await self._readers.run(accounts.read_in_force)

    async def remove_in_force(self, account: str, now: float) -> bool:
        item = accounts.RemoveInForce(account, now, self._actor)
        return bool(await self._writer.submit(accounts.remove_in_force, item))

    async def note_key_uses(self, uses: Mapping[tuple[str, str], float]) -> None:
        await self._writer.submit(accounts.note_key_uses, accounts.NoteKeyUses(uses))

    async def read_key_uses(self) -> Mapping[tuple[str, str], float]:
        return await self._readers.run(accounts.read_key_uses)

    async def forget(self, account: str, limit: int, now: float) -> Forgotten:
        forgotten: Forgotten = await self._writer.submit(accounts.forget, accounts.Forget(account, limit, now))
        return forgotten

    async def count_forget(self, account: str) -> Forgotten:
        return await self._readers.run(accounts.count_forget, account)

    # -- Upkeep

    async def make_partitions(self, now: float, retention: float) -> int:
        return await self._readers.run(self._dialect.make_partitions, now, retention)

    async def drop_partitions(self, before: float, dead: bool) -> AsyncIterator[DroppedPartition]:
        for partition in await self._readers.run(self._dialect.list_old_partitions, before):
            if dropped := await self._readers.run(self._dialect.drop_partition, partition, before, dead):
                yield dropped

    async def purge(self, before: float, after: int, limit: int, dead: bool, unpartitioned: bool = False) -> Purged:
        item = purge.Purge(before, after, limit, dead, unpartitioned)
        purged: Purged = await self._writer.submit(purge.purge_signals, item)
        return purged

    async def count_purge(self, before: float, dead: bool) -> int:
        return await self._readers.run(purge.count_purgeable, before, dead)

    async def purge_quarantine(self, before: float, limit: int) -> int:
        return await self._count(purge.purge_quarantine, purge.PurgeQuarantine(before, limit))

    async def purge_actions(self, before: float, limit: int) -> int:
        return await self._count(purge.purge_actions, purge.PurgeActions(before, limit))

    async def count_quarantine(self, before: float) -> int:
        return await self._readers.run(purge.count_requests, before)

    async def check_writable(self) -> None:
        if self._writer.is_full():
            raise StoreBusy  # as senders are told; but no sender waits for this, so its priority is not ACK
        await self._writer.submit(self._dialect.check_writable, CheckWritable())
        if refusal := self._writer.refusal():
            raise refusal

    def on_failure(self, tell: Callable[[], None]) -> None:
        self._writer.on_failure = tell

    def on_commit(self, tell: Callable[[int, float], None]) -> None:
        self._writer.on_commit = tell

    async def verify(self) -> None:
        if self._serving:
            await self._serving.verify()

    async def watch_writer(self) -> NoReturn:
        raise await self._writer.ended()

    def failure(self) -> StoreError | None:
        return self._writer.failure()

    async def watch_file(self) -> None:
        while self._serving:
            await asyncio.sleep(WATCH_INTERVAL)
            with contextlib.suppress(StoreError):  # the next look tries again
                await self._readers.run(self._dialect.watch_file)

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        thread = self._writer.close()

        def end_writing() -> None:
            thread.join()
            self._dialect.before_close()

        with contextlib.ExitStack() as stack:
            if self._serving:
                stack.callback(self._serving.end)
            await self._readers.close(end_writing)
            await self._claimed.close(thread.join)
            if self._notifier:
                await self._loop.run_in_executor(None, self._notifier.close)

    def _notify_any(self, changed: int) -> int:
        """Notify other processes of a change on any route, if there was one."""
        if self._notifier and changed:
            self._notifier.notify(())
        return changed

    async def _count(self, step: Step, item: Any) -> int:
        return int(await self._writer.submit(step, item))
