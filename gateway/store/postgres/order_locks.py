"""Advisory locks that keep gateways on one PostgreSQL from changing the same lanes at once.

Each transaction first takes an advisory lock for each order that it changes, in sorted order, so that no two wait for
each other. Held until the commit, the locks guarantee four things that READ COMMITTED alone does not:

- A lane has one head. Race: a signal is accepted while its lane's head ends. Without the lock, the accept still sees
  the head and waits, and the end does not see the new signal yet: the lane would never have a head again. Two first
  signals would both become heads.
- An order's signals have their ids in the order of their commits, on every gateway: an id is drawn under the lock. That
  is the order of acceptance.
- A signal is accepted once. Looking for it and writing it both happen under the lock: equal signals have equal payloads
  and so the same order. The unique key does not help, because it is one of each partition, and a retry is received
  later than the first. All signals come by `accept`, also from quarantine. `move` fills a database that nobody
  else uses, from one with a key that covers the whole table.
- Late signals, and how far an order has come, are judged with all signals accepted before.

A replay, and orders made known, touch orders that are not known beforehand. Such a transaction takes the one lock that
all others share: it waits for them, and runs alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

from peewee import Database

from gateway.alerts import make_alert_signal
from gateway.model import Signal, lane_of
from gateway.store.operations import Accept, CheckWritable, ClaimDue, Record, Renew
from gateway.store.statements import execute, send
from gateway.store.steps.accounts import NoteKeyUses
from gateway.store.steps.alerts import Acknowledge, ClearAlerts, PurgeAlerts, RaiseAlerts
from gateway.store.steps.leases import Release
from gateway.store.steps.routes import OwnRoutes, SetPaused
from gateway.store.values import Refused, RouteState, Settled

ALL_ORDERS = 0x636C_6F75_6473_6967
"""Number of the lock that all share; "cloudsig"."""
MAX_LOCKS_PER_TRANSACTION = 2000
"""Order locks of one transaction; beyond them it takes the lock on all orders. A default server has 6400 in all."""

# The array is sorted, and unnest keeps its order.
LOCK_SOME = """
WITH shared AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(%s))
SELECT count(pg_advisory_xact_lock(key)) FROM shared, unnest(%s::bigint[]) key
"""
LOCK_ALL = "SELECT pg_advisory_xact_lock(%s)"

# First the last id drawn, then the transactions that hold the lock under which ids are drawn. A transaction gives it
# back after its commit can be seen.
LAST_DRAWN = "SELECT last_value FROM signals_id_seq"
WRITERS = """
SELECT virtualtransaction FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND classid::bigint = %s AND objid::bigint = %s
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

Name = tuple[str, ...]


def lock_orders(db: Database, items: Sequence[Any]) -> None:
    """Take the locks for a transaction's operations; wait for other transactions that have them."""
    names: set[Name] = set()
    for item in items:
        changed = names_of(item)
        if changed is None:
            send(db, LOCK_ALL, ALL_ORDERS)
            return
        names.update(changed)
    if len(names) > MAX_LOCKS_PER_TRANSACTION:
        send(db, LOCK_ALL, ALL_ORDERS)
    elif names:
        send(db, LOCK_SOME, ALL_ORDERS, sorted({key_of(name) for name in names}))


def names_of(item: Any) -> Iterable[Name] | None:
    """Return names of everything that an operation changes and others may change too; None if they are not known."""
    names: Iterable[Name] | None = None
    match item:
        case Accept():
            names = (order_of(item.signal),)
        case Record():
            orders = (order_of(result.delivery.signal) for result in item.results)
            names = (*orders, *(("route", *route) for route in item.state))
        case ClaimDue() | Renew() | Release() | CheckWritable():
            names = ()  # row locks with SKIP LOCKED are enough
        case Refused():
            names = (("quarantine", item.account, item.body),)
        case RouteState() | SetPaused():
            names = (("route", item.account, item.route),)
        case OwnRoutes():
            names = [("route", *route) for route in item.routes]
        case RaiseAlerts():
            names = (("alerts",), *(order_of(make_alert_signal(0, t.condition, "", item.now)) for t in item.tellings))
        case ClearAlerts():
            told = [make_alert_signal(alert.id, alert.condition, "", item.now) for alert in item.over]
            names = (("alerts",), *map(order_of, told))
        case Acknowledge() | PurgeAlerts():
            names = (("alerts",),)
        case NoteKeyUses():
            names = (("key uses",),)
    return names


def read_settled(db: Database) -> Settled:
    """Return the last id drawn, and the transactions that may write signals with lower ids."""
    [(last,)] = execute(db, LAST_DRAWN)
    writers = execute(db, WRITERS, ALL_ORDERS >> 32, ALL_ORDERS & 0xFFFFFFFF)
    return Settled(int(last), frozenset(name for (name,) in writers))


def order_of(signal: Signal) -> Name:
    """Return the key of the signal's lanes, see gateway.model.lane_of; without an order, the signal's own."""
    return "order", signal.account, lane_of(signal, "lane") or signal.identity


def key_of(name: Name) -> int:
    """Return the number of a name's lock. Two names with the same number only wait for each other without need."""
    digest = blake2b("\0".join(name).encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
