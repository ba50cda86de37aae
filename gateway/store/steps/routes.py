"""Writes of routes: the breaker's state, pauses by people, and exclusive ownership."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from peewee import EXCLUDED, Database

from gateway.model import RouteKey
from gateway.store.rows import clean, micros
from gateway.store.steps.actions import record_action
from gateway.store.tables import RouteOwners, Routes
from gateway.store.values import Actor, RouteState


class SetPaused(NamedTuple):
    """A route to pause or resume."""

    account: str
    route: str
    paused: bool
    now: float
    why: str
    actor: Actor


class OwnRoutes(NamedTuple):
    """Routes to own exclusively until a time."""

    routes: Sequence[RouteKey]
    owner: str
    now: float
    until: float


def save_route_states(db: Database, items: Sequence[RouteState]) -> list[None]:
    """Save the breakers of routes."""
    for state in items:
        breaker = {
            "failures": state.failures,
            "opened": state.opened,
            "probe_at": micros(state.probe_at),
            "reason": clean(state.reason),
        }
        upsert_route(db, state.account, state.route, breaker)
    return [None] * len(items)


def set_paused(db: Database, items: Sequence[SetPaused]) -> list[None]:
    """Pause or resume routes, and record the actions."""
    for item in items:
        since, why = (micros(item.now), clean(item.why)) if item.paused else (None, "")
        upsert_route(db, item.account, item.route, {"paused_at": since, "why": why})
        detail = {"account": item.account, "route": item.route, "why": clean(item.why)}
        record_action(db, item.now, item.actor, "pause" if item.paused else "resume", detail)
    return [None] * len(items)


def upsert_route(db: Database, account: str, route: str, values: dict[str, object]) -> None:
    """Set some columns of a route, and leave the others as they are."""
    row = Routes.insert(account=account, route=route, **values)
    row.on_conflict(conflict_target=(Routes.account, Routes.route), update=values).execute(db)


def own_routes(db: Database, items: Sequence[OwnRoutes]) -> list[set[RouteKey]]:
    """Acquire or renew ownership of routes; answer each with the routes that the caller owns now."""
    return [own_some(db, item) for item in items]


def own_some(db: Database, item: OwnRoutes) -> set[RouteKey]:
    """Own the routes that nobody else owns at this time."""
    if not item.routes:
        return set()
    rows = [
        (account, route, item.owner, micros(item.until), micros(item.now)) for account, route in sorted(item.routes)
    ]
    table = RouteOwners
    insert = table.insert_many(rows, [table.account, table.route, table.owner, table.until, table.taken_at])
    # Another's ownership is taken once its time has run out, which the new row's `taken_at` tells.
    free = (table.owner == EXCLUDED.owner) | (table.until <= EXCLUDED.taken_at)
    upsert = insert.on_conflict(
        conflict_target=(table.account, table.route),
        update={table.owner: EXCLUDED.owner, table.until: EXCLUDED.until, table.taken_at: EXCLUDED.taken_at},
        where=free,
    )
    owned = upsert.returning(table.account, table.route).tuples().execute(db)
    return {(account, route) for account, route in owned}
