"""Makes ended deliveries pending again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from peewee import Case, Database

from gateway.model import RouteKey
from gateway.store.reads.pages import replayable
from gateway.store.rows import micros
from gateway.store.steps.known_orders import PromoteHeads
from gateway.store.tables import Deliveries
from gateway.store.values import Filter

KEPT_COLUMNS = frozenset({"signal_id", "route", "account", "lane", "held", "received_at"})
"""Columns that a replay leaves as they are; `replayed_values` sets all others."""


class Replay(NamedTuple):
    """Deliveries to make pending again."""

    which: Filter
    now: float


def replay_deliveries(db: Database, items: Sequence[Replay], promote_heads: PromoteHeads) -> list[Counter[RouteKey]]:
    """Make ended deliveries pending again; answer each with their number by account and route."""
    return [replay_some(db, item, promote_heads) for item in items]


def replay_some(db: Database, item: Replay, promote_heads: PromoteHeads) -> Counter[RouteKey]:
    """Replay all that one filter selects."""
    now = micros(item.now)
    query = Deliveries.update(replayed_values(now)).where(*replayable(item.which))
    lanes = list(query.returning(Deliveries.account, Deliveries.route, Deliveries.lane).tuples().execute(db))
    promote_heads(db, lanes, now)
    return Counter((account, route) for account, route, _ in lanes)


def replayed_values(now: int) -> dict[str, Any]:
    """Return the new values of a replayed delivery: it waits in its lane, or is due now if it has none."""
    return {
        "state": "pending",
        "due_at": Case(None, [(Deliveries.lane.is_null(), now)], None),
        "lease": None,
        "leased_until": None,
        "attempts": 0,
        "created_at": now,
        "ended_at": None,
        "reason": "",
        "replayed": 1,
    }
