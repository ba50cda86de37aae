"""Claims: what is due is leased in a write as short as can be, and only then read, beside the writer, which senders
wait for. What a reader finds of a leased delivery stays: its signal is never changed, and no purge takes it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from peewee import Database

from gateway.model import Delivery, RouteKey
from gateway.signal_types import TYPE_AT
from gateway.store import lanes, queries, sql
from gateway.store.rows import SIGNAL_COLUMNS, dumps, make_signal, micros
from gateway.store.sql import sqlite
from gateway.store.values import ClaimRequest


class ClaimDue(NamedTuple):
    wants: Sequence[ClaimRequest]
    now: float
    lease_until: float


class Leased(NamedTuple):
    account: str
    route: str
    signal_id: int
    attempts: int
    created_at: int
    received_at: int
    replayed: int


Found = Sequence[Sequence[Leased]]
"""What was leased, for each want."""


class Leases(NamedTuple):
    """What a claim has leased, in the order of its wants; `next_due` as `Claim` has it."""

    lease: str
    rows: Sequence[Leased]
    next_due: Mapping[RouteKey, float]

    def held(self) -> list[tuple[str, int, str, str]]:
        """As `lanes.Renew` takes them."""
        return [(row.account, row.signal_id, row.route, self.lease) for row in self.rows]


# -- on the writer's thread


def lease_deliveries(db: Database, items: Sequence[ClaimDue]) -> list[Leases]:
    """Heads of lanes that are due."""
    return [lease_some(db, item) for item in items]


def lease_some(db: Database, item: ClaimDue) -> Leases:
    lease = uuid.uuid4().hex
    live = lease_due(db, item, [want.limit for want in item.wants], 0, lease)
    room = [room_for_replays(want, len(live[place])) for place, want in enumerate(item.wants)]
    replays = lease_due(db, item, room, 1, lease) if lanes.has_replays(db) else [[] for _ in room]
    routes = [(want.account, want.route) for want in item.wants]
    full = full_of_replays(item.wants, live, replays)
    return Leases(lease, in_turns(live, replays), queries.next_due(db, routes, full))


def room_for_replays(want: ClaimRequest, live: int) -> int:
    return min(want.limit - live, want.limit if want.replays is None else want.replays)


def full_of_replays(wants: Sequence[ClaimRequest], live: Found, replays: Found) -> set[RouteKey]:
    """Routes that had no room for any more of them."""
    counts = [(len(some), len(again)) for some, again in zip(live, replays, strict=True)]
    return {
        (want.account, want.route)
        for want, (some, again) in zip(wants, counts, strict=True)
        if again >= room_for_replays(want, some)
    }


def in_turns(live: Found, replays: Found) -> list[Leased]:
    """In the order of the wants, replays behind."""
    return [row for some, again in zip(live, replays, strict=True) for row in (*some, *again)]


def lease_due(db: Database, item: ClaimDue, limits: Sequence[int], replayed: int, lease: str) -> Found:
    """Live ones or replays; for each want up to its limit. SQLite has no LATERAL to end each range at its limit, and is
    asked for one at a time."""
    times = (micros(item.now), micros(item.lease_until))
    rows = [
        (place, *row)
        for place, (want, limit) in enumerate(zip(item.wants, limits, strict=True))
        if limit > 0
        for row in sql.execute(db, sqlite.LEASE_DUE, want.account, want.route, replayed, limit, *times, lease)
    ]
    return sort_found(item.wants, rows, replayed)


def sort_found(wants: Sequence[ClaimRequest], rows: Iterable[Sequence[Any]], replayed: int) -> Found:
    """Rows of place, due_at and more, by their wants; the longest due first."""
    found: list[list[tuple[int, Leased]]] = [[] for _ in wants]
    for place, due_at, *row in rows:
        found[place].append((due_at, Leased._make((wants[place].account, wants[place].route, *row, replayed))))
    return [[row for _, row in sorted(taken, key=order_of)] for taken in found]


def order_of(found: tuple[int, Leased]) -> tuple[int, int]:
    due_at, row = found
    return due_at, row.signal_id


# -- on a reader's


def read_leased(db: Database, leases: Leases) -> list[Delivery]:
    """The deliveries, each with its signal and how far its order has come."""
    asked = [(row.account, row.signal_id, last_to_look_at(row), row.received_at) for row in leases.rows]
    found = {place: columns for place, *columns in sql.run(db, sql.READ_LEASED, dumps(asked))} if asked else {}
    # Whose signal is gone, which an audit tells of, stays leased.
    return [make_delivery(row, found[place], leases.lease) for place, row in enumerate(leases.rows) if place in found]


def last_to_look_at(row: Leased) -> int:
    """A delivery knows what its order had come to when its signal was accepted; a replay, what it has come to since."""
    return queries.NEWEST if row.replayed else row.signal_id


def make_delivery(row: Leased, columns: Sequence[Any], lease: str) -> Delivery:
    signal = make_signal(columns[: len(SIGNAL_COLUMNS)])
    return Delivery(
        signal=signal,
        route=row.route,
        attempt=row.attempts + 1,
        created_at=row.created_at / 1e6,
        lease=lease,
        furthest=TYPE_AT.get(columns[-1], "") if signal.order else "",
        replayed=bool(row.replayed),
    )
