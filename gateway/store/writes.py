"""What the writer writes: a step for each kind of operation, all of them within the writer's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from peewee import Database

from gateway.model import Signal
from gateway.store import claims, lanes, purge, sql
from gateway.store.rows import clean, dumps, micros, micros_of, occurred_at, signal_row
from gateway.store.sql import sqlite
from gateway.store.tables import Actions, Quarantine, Signals
from gateway.store.values import Accepted, Refused, RouteState, Target


class Accept(NamedTuple):
    signal: Signal
    targets: Sequence[Target]
    unrouted: Sequence[str]
    hold: bool


class AddKnownOrders(NamedTuple):
    account: str
    orders: Sequence[str]
    now: float


class Pause(NamedTuple):
    account: str
    route: str
    paused: bool
    now: float
    why: str
    actor: str


class Release(NamedTuple):
    quarantine_id: int
    signal: Signal
    now: float
    actor: str


class RecordAction(NamedTuple):
    now: float
    actor: str
    action: str
    detail: Mapping[str, object]


class OwnRoutes(NamedTuple):
    routes: Sequence[tuple[str, str]]
    owner: str
    now: float
    until: float


# -- custody


def accept_signals(db: Database, items: Sequence[Accept]) -> list[Accepted]:
    """Signals that are new, with their deliveries."""
    ids = insert_signals(db, items)
    known = find_known_orders(db, items)
    answers = []
    for item in items:
        # Popped, so that of two equal signals in a batch the first is the one that was written.
        signal_id = ids.pop((item.signal.account, item.signal.identity), 0)
        held = bool(signal_id) and item.hold and not known.intersection(names_of(item.signal))
        answers.append(Accepted(signal_id, not signal_id, held))
    mark_late(db, [(item.signal.account, answer.signal_id) for item, answer in zip(items, answers, strict=True)])
    insert_deliveries(db, items, answers)
    return answers


def insert_signals(db: Database, items: Sequence[Accept]) -> dict[tuple[str, str], int]:
    """The ids of those that were new, by account and identity."""
    rows = [signal_row(item.signal, len(item.targets), item.unrouted) for item in items]
    written = sql.insert(db, sqlite.INSERT_SIGNALS, rows)
    return {(account, identity): signal_id for signal_id, account, identity in written}


def mark_late(db: Database, ids: Sequence[tuple[str, int]]) -> None:
    """Mark those of the signals just written that a later one of their order was accepted before."""
    if written := [key for key in ids if key[1]]:
        sql.execute(db, sqlite.MARK_LATE, dumps(written))


def names_of(signal: Signal) -> tuple[tuple[str, str], tuple[str, str]]:
    """What an order may be known by."""
    return (signal.account, signal.order), (signal.account, signal.order_reference)


def find_known_orders(db: Database, items: Sequence[Accept]) -> set[tuple[str, str]]:
    """Which orders are known, of those that would be held."""
    asked = {name for item in items if item.hold for name in names_of(item.signal)}
    return set(sql.execute(db, sqlite.FIND_KNOWN_ORDERS, dumps(list(asked)))) if asked else set()


def insert_deliveries(db: Database, items: Sequence[Accept], answers: Sequence[Accepted]) -> None:
    """A delivery for each target of a signal that was new."""
    rows = []
    begun: set[lanes.Lane] = set()
    for (signal, targets, _, _), answer in zip(items, answers, strict=True):
        if answer.duplicate:
            continue
        at = micros_of(signal.received_at)
        for route, lane in ((target.route, target.lane) for target in targets):
            first = not answer.held and (lane is None or (signal.account, route, lane) not in begun)
            if first:
                begun.add((signal.account, route, lane))
            rows.append((answer.signal_id, route, signal.account, lane and clean(lane), at, first, answer.held))
    if rows:
        sql.insert(db, sqlite.INSERT_DELIVERIES, rows)
        if lanes.has_replays(db):
            lanes.promote_heads(db, begun, max(row[4] for row in rows))


def quarantine_refused(db: Database, items: Sequence[Refused]) -> list[int]:
    """Refused requests, each body once per account."""
    return [quarantine_one(db, item) for item in items]


def quarantine_one(db: Database, refused: Refused) -> int:
    # A NUL, which PostgreSQL has no room for and no JSON has bare, is kept as its picture.
    body = refused.body.replace("\0", "\u2400").encode("utf-8", "replace")
    row = {
        "account": refused.account,
        "digest": blake2b(body, digest_size=16).hexdigest(),
        "received_at": micros(refused.received_at),
        "body": body.decode(),
        "errors": dumps({clean(name): clean(text) for name, text in refused.errors.items()}),
    }
    key = (Quarantine.account, Quarantine.digest)
    Quarantine.insert(row).on_conflict(action="nothing", conflict_target=key).execute(db)
    same = (Quarantine.account == row["account"], Quarantine.digest == row["digest"])
    kept: int = Quarantine.select(Quarantine.id).where(*same).scalar(db)
    return kept


def release_quarantined(db: Database, items: Sequence[Release]) -> list[bool]:
    """Requests that were accepted after all."""
    return [release_one(db, item) for item in items]


def release_one(db: Database, release: Release) -> bool:
    signal = release.signal
    same = (Signals.account == signal.account, Signals.identity == signal.identity)
    signal_id = Signals.select(Signals.id).where(*same, Signals.occurred_at == occurred_at(signal)).scalar(db)
    marks = {"accepted_at": micros(release.now), "signal_id": signal_id}
    still = (Quarantine.id == release.quarantine_id, Quarantine.accepted_at.is_null())
    if not Quarantine.update(marks).where(*still).execute(db):
        return False
    detail = {"account": signal.account, "quarantine": release.quarantine_id, "signal": signal_id}
    record_action(db, release.now, release.actor, "release", detail)
    return True


def add_known_orders(db: Database, items: Sequence[AddKnownOrders]) -> list[int]:
    """KnownOrders become known, and what was held for them is freed."""
    return [add_known_orders_of(db, *item) for item in items]


def add_known_orders_of(db: Database, account: str, orders: Sequence[str], now: float) -> int:
    names = [ref for ref in orders if ref]
    sql.run(db, sql.INSERT_KNOWN_ORDERS, dumps([(account, ref) for ref in names]))
    freed = sql.run(db, sql.FREE_HELD, micros(now), account, dumps(names))
    lanes.promote_heads(db, freed, micros(now))
    return len(freed)


def check_writable(db: Database, items: Sequence[None]) -> Sequence[None]:
    """Write something, with nothing new in it."""
    sql.run(db, sql.CHECK_WRITABLE)
    return items


# -- routes


def save_route_states(db: Database, items: Sequence[RouteState]) -> list[None]:
    """The routes' breakers."""
    for item in items:
        save_route_state(db, item)
    return [None] * len(items)


def save_route_state(db: Database, state: RouteState) -> None:
    breaker = (state.failures, state.opened, micros(state.probe_at), clean(state.reason))
    sql.run(db, sql.UPSERT_ROUTE, state.account, state.route, *breaker)


def pause_routes(db: Database, items: Sequence[Pause]) -> list[None]:
    """Routes that people pause and resume."""
    for item in items:
        pause_route(db, item)
    return [None] * len(items)


def pause_route(db: Database, pause: Pause) -> None:
    since, why = (micros(pause.now), clean(pause.why)) if pause.paused else (None, "")
    sql.run(db, sql.UPSERT_PAUSE, pause.account, pause.route, since, why)
    detail = {"account": pause.account, "route": pause.route, "why": clean(pause.why)}
    record_action(db, pause.now, pause.actor, "pause" if pause.paused else "resume", detail)


def own_routes(db: Database, items: Sequence[OwnRoutes]) -> list[set[tuple[str, str]]]:
    """Routes that one gateway works on alone."""
    return [own_some(db, *item) for item in items]


def own_some(
    db: Database, routes: Sequence[tuple[str, str]], owner: str, now: float, until: float
) -> set[tuple[str, str]]:
    rows = dumps([(account, route, owner, micros(until), micros(now)) for account, route in sorted(routes)])
    return {(account, route) for account, route in sql.run(db, sql.OWN_ROUTES, rows)} if routes else set()


def record_action(db: Database, now: float, actor: str, action: str, detail: Mapping[str, object]) -> None:
    """Keep who changed what by hand."""
    Actions.insert(at=micros(now), actor=clean(actor), action=action, detail=dumps(detail)).execute(db)


def record_actions(db: Database, items: Sequence[RecordAction]) -> list[None]:
    """What was done by hand and is kept nowhere else."""
    for item in items:
        record_action(db, *item)
    return [None] * len(items)


STEPS = (
    accept_signals,
    quarantine_refused,
    add_known_orders,
    lanes.release_leases,
    lanes.reset_due_times,
    check_writable,
    save_route_states,
    pause_routes,
    own_routes,
    record_actions,
    release_quarantined,
    lanes.record_results,
    lanes.renew_leases,
    lanes.replay_deliveries,
    purge.purge_signals,
    purge.purge_quarantine,
    claims.lease_deliveries,
)
"""In the order in which a transaction runs them: claims last, so that they find what came with them."""
