"""Stores filled for tests of operators' functions, with signals in each state or old ones."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.model import Attempt, Dead, Done, Kind, lane_of
from gateway.store import Store
from gateway.store.values import ClaimRequest, Refused, Result, Target
from tests.support.factory import make_signal

NOW = 1_800_000_000.0


async def fill_with_old(store: Store) -> None:
    """Store a delivered, a dead and a pending signal and a quarantined request, each received 100 days ago."""
    at = time.time() - 100 * 86400
    for number in range(3):
        signal = make_signal(account="bookshop", order=str(number))
        received = datetime.now(UTC) - timedelta(days=100)
        await store.accept(replace(signal, received_at=received), [Target("export", None)], [], False)
    for decision in (Done("delivered"), Dead("no such order")):
        claim = await store.claim([ClaimRequest("bookshop", "export", 1)], at + 1, at + 60)
        attempt = Attempt(1, at, 0.5, Kind.PERMANENT, "x") if isinstance(decision, Dead) else None
        await store.record([Result(claim.deliveries[0], decision, attempt, at)], {})
    await store.quarantine(Refused("bookshop", at, "{}", {}))


async def fill_with_states(store: Store) -> list[int]:
    """Store three signals of two orders: one delivered, one dead, one pending; return their ids."""
    ids = []
    for order, type in (("1", "ItemShipped"), ("1", "ItemError"), ("2", "ItemShipped")):
        signal = make_signal(type, account="bookshop", order=order)
        accepted = await store.accept(signal, [Target("export", lane_of(signal, "lane"))], ["alerts"], False)
        ids.append(accepted.signal_id)
    for decision in (Done("delivered"), Dead("no such order")):
        claim = await store.claim([ClaimRequest("bookshop", "export", 1)], NOW, NOW + 60)
        attempt = Attempt(1, NOW, 0.5, Kind.PERMANENT, "no such order") if isinstance(decision, Dead) else None
        await store.record([Result(claim.deliveries[0], decision, attempt, NOW)], {})
    return ids
