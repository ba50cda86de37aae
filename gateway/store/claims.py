"""Claims: what is due is leased in a write as short as can be, and only then read, beside the writer, which senders
wait for. What a reader finds of a leased delivery stays: its signal is never changed, and no purge takes it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from peewee import Database

from gateway.model import TYPE_AT, Delivery
from gateway.store import lanes, queries, sql
from gateway.store.contract import Want
from gateway.store.rows import SIGNAL_COLUMNS, dumps, make_signal, micros

Route = tuple[str, str]
"""Account and route."""


class ClaimDue(NamedTuple):
    wants: Sequence[Want]
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


class Leases(NamedTuple):
    """What a claim has leased, in the order of its wants; `next_due` as `Claim` has it."""

    lease: str
    rows: Sequence[Leased]
    next_due: Mapping[Route, float]

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
    rows = [row for place in range(len(room)) for row in (*live[place], *replays[place])]
    routes = [(want.account, want.route) for want in item.wants]
    full = {route for route, most, taken in zip(routes, room, replays, strict=True) if len(taken) >= most}
    return Leases(lease, rows, queries.next_due(db, routes, full))


def room_for_replays(want: Want, live: int) -> int:
    return min(want.limit - live, want.limit if want.replays is None else want.replays)


def lease_due(db: Database, item: ClaimDue, limits: Sequence[int], replayed: int, lease: str) -> list[list[Leased]]:
    """Live ones or replays; for each want up to its limit, the longest due first."""
    found: list[list[tuple[int, Leased]]] = [[] for _ in item.wants]
    pairs = enumerate(zip(item.wants, limits, strict=True))
    asked = [(place, want.account, want.route, limit) for place, (want, limit) in pairs if limit > 0]
    times = (micros(item.now), micros(item.lease_until))
    rows = sql.lease_due(db, asked, replayed, *times, lease) if asked else ()
    for place, due_at, signal_id, attempts, created_at, received_at in rows:
        want = item.wants[place]
        row = Leased(want.account, want.route, signal_id, attempts, created_at, received_at, replayed)
        found[place].append((due_at, row))
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
