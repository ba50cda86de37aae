"""Keeps gateways that share a PostgreSQL from changing the same lanes at once.

Each transaction first takes an advisory lock for each order it is about, in one order, so that no two wait for each
other. Held until the commit, they make four things true that READ COMMITTED alone would not:

- A lane has one head. Without, a signal that is accepted while its lane's head ends would see the head still and wait,
  and the end would not see the signal yet: nobody would ever be the head. Two first signals would both be.
- An order's signals have their ids in the order of their commits, whichever gateway took them: an id is drawn under the
  lock. That is the order of acceptance, on every lane.
- A signal is accepted once. To look whether it is there and to write it is all under the lock, as equal signals are of
  one order: their payloads are equal, and the order is read from those. On this alone it rests, since the unique key
  is one of each part of the table, and a retry is received later than the first. All come by `accept`, those that
  leave quarantine too; `move` fills a database that nobody else does, from one where the key is one of the whole.
- What is said of an order, late signals and how far it has come, is said with all that was accepted before.

What touches orders that are not known beforehand (a replay, orders made known) takes the one lock that all others
share, and so waits for them and is alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from peewee import Database

from gateway.model import Signal
from gateway.store import claims, lanes, sql, writes
from gateway.store.values import Refused, RouteState
from gateway.store.writer import Step

SHARED = 0x636C_6F75_6473_6967
"""The lock that all share; "cloudsig"."""
MOST = 2000
"""Locks that a transaction takes, of some 6400 that a server has as it comes; more are the lock for all."""

# The set of locks is sorted, and unnest keeps to it.
LOCK_SOME = """
WITH shared AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(%s))
SELECT count(pg_advisory_xact_lock(key)) FROM shared, unnest(%s::bigint[]) key
"""
LOCK_ALL = "SELECT pg_advisory_xact_lock(%s)"


def lock_orders(db: Database, work: Sequence[tuple[Step, Any]]) -> None:
    """Take the locks for a transaction's work; wait for others that have them."""
    if all(step in ALONE for step, _ in work):
        return
    keys = {key_of(name) for step, item in work if step in NAMES for name in NAMES[step](item)}
    wide = any(step not in NAMES and step not in ALONE for step, _ in work)
    if wide or len(keys) > MOST:
        sql.send(db, LOCK_ALL, SHARED)
    elif keys:
        sql.send(db, LOCK_SOME, SHARED, sorted(keys))


Name = tuple[str, ...]


def accepted(item: writes.Accept) -> Iterable[Name]:
    yield order_of(item.signal)


def recorded(item: lanes.Record) -> Iterable[Name]:
    yield from (order_of(result.delivery.signal) for result in item.results)
    yield from (("route", *route) for route in item.state)


def refused(item: Refused) -> Iterable[Name]:
    yield "quarantine", item.account, item.body


def held(item: writes.OwnRoutes) -> Iterable[Name]:
    yield from (("route", *route) for route in item.routes)


def of_route(item: RouteState | writes.Pause) -> Iterable[Name]:
    yield "route", item.account, item.route


NAMES: Mapping[Step, Callable[[Any], Iterable[Name]]] = {
    writes.accept_signals: accepted,
    lanes.record_results: recorded,
    writes.quarantine_refused: refused,
    writes.save_route_states: of_route,
    writes.pause_routes: of_route,
    writes.own_routes: held,
}
"""Steps, and what an operation of each changes that others may change too. All others take the lock for all, but for
those that wait for nobody."""
ALONE: frozenset[Step] = frozenset({claims.lease_deliveries, lanes.renew_leases, writes.check_writable})


def order_of(signal: Signal) -> Name:
    """The lanes' key, see gateway.model.lane_of; of a signal without an order, its own."""
    return "order", signal.account, signal.order or signal.order_reference or signal.identity


def key_of(name: Name) -> int:
    """A lock's number. Two names that share one wait without need, no more."""
    digest = blake2b("\0".join(name).encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
