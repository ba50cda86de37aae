"""Rules of claims that are the same on both databases.

A claim leases due deliveries in a short write, because senders wait for the writer, and then reads them on a reader's
thread. A leased delivery does not change meanwhile: its signal is never updated, and no purge removes it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gateway.model import Delivery, RouteKey
from gateway.signal_types import TYPE_AT
from gateway.store.rows import LARGEST_ID, SIGNAL_COLUMNS, make_signal
from gateway.store.values import ClaimRequest


class Leased(NamedTuple):
    """A leased delivery's columns; times are microseconds."""

    account: str
    route: str
    signal_id: int
    attempts: int
    created_at: int
    received_at: int
    replayed: int


LeasesByRequest = Sequence[Sequence[Leased]]
"""Leased deliveries of each request."""


class Leases(NamedTuple):
    """Result of the step: leased deliveries in the order of the requests; `next_due` as `Claim` has it."""

    lease: str
    rows: Sequence[Leased]
    next_due: Mapping[RouteKey, float]

    def keys(self) -> list[tuple[str, int, str, str]]:
        """Return the leases as `Renew` takes them."""
        return [(row.account, row.signal_id, row.route, self.lease) for row in self.rows]


# -- on the writer's thread


def room_for_replays(request: ClaimRequest, live: int) -> int:
    """Return how many replays a request may get after so many live deliveries."""
    return min(request.limit - live, request.limit if request.replays is None else request.replays)


def find_full(requests: Sequence[ClaimRequest], live: LeasesByRequest, replays: LeasesByRequest) -> set[RouteKey]:
    """Return the routes that got as many replays as their requests allow."""
    counts = [(len(some), len(again)) for some, again in zip(live, replays, strict=True)]
    return {
        (request.account, request.route)
        for request, (some, again) in zip(requests, counts, strict=True)
        if again >= room_for_replays(request, some)
    }


def live_first(live: LeasesByRequest, replays: LeasesByRequest) -> list[Leased]:
    """Return all in the order of the requests, with each request's replays behind its live deliveries."""
    return [row for some, again in zip(live, replays, strict=True) for row in (*some, *again)]


def sort_leased(requests: Sequence[ClaimRequest], rows: Iterable[Sequence[Any]], replayed: int) -> LeasesByRequest:
    """Group rows of place, due_at and further columns by their request; the longest due come first."""
    found: list[list[tuple[int, Leased]]] = [[] for _ in requests]
    for place, due_at, *row in rows:
        request = requests[place]
        found[place].append((due_at, Leased._make((request.account, request.route, *row, replayed))))
    return [[row for _, row in sorted(taken, key=due_order)] for taken in found]


def due_order(found: tuple[int, Leased]) -> tuple[int, int]:
    """Return the key of the order in which a route's due deliveries are claimed."""
    due_at, row = found
    return due_at, row.signal_id


def make_next_due(rows: Iterable[Sequence[Any]], full: Container[RouteKey] = ()) -> dict[RouteKey, float]:
    """Return when each route can next be claimed from; of a route in `full`, only live deliveries count."""
    times: defaultdict[RouteKey, list[int]] = defaultdict(list)
    for account, route, replayed, *found in rows:
        known = [at for at in found if at is not None]
        if known and not (replayed and (account, route) in full):
            times[account, route] += known
    return {route: min(known) / 1e6 for route, known in times.items()}


# -- on a reader's thread


def leased_keys(leases: Leases) -> list[tuple[str, int, int, int]]:
    """Return account, signal id, last id to look at and time of receipt, as READ_LEASED takes them.

    A delivery tells how far its order had come when its signal was accepted; a replay, how far it has come by now.
    """
    return [
        (row.account, row.signal_id, LARGEST_ID if row.replayed else row.signal_id, row.received_at)
        for row in leases.rows
    ]


def make_deliveries(leases: Leases, rows: Iterable[Sequence[Any]]) -> list[Delivery]:
    """Build the deliveries from rows of READ_LEASED. A delivery without its signal, a violation of custody, is left
    out and stays leased."""
    found = {place: columns for place, *columns in rows}
    return [make_delivery(row, found[place], leases.lease) for place, row in enumerate(leases.rows) if place in found]


def make_delivery(row: Leased, columns: Sequence[Any], lease: str) -> Delivery:
    """Build a delivery from its leased row and its signal's columns, the last of which is the furthest stage."""
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
