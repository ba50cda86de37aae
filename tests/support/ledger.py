"""Reads a store's ledger, for tests: the figures of the custody identity, from a check of custody."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from gateway.store.contract import Store

FIGURES = ("accepted", "delivered", "pending", "dead", "filtered")


async def read_ledger(store: Store) -> Mapping[tuple[str, str], Mapping[str, int]]:
    """Return the figures by (account, route)."""
    ledger: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(FIGURES, 0))
    async for page in store.check_custody():
        for route, counts in page.ledger.items():
            total = Counter(ledger[route])
            total.update(counts)
            ledger[route] = dict(total)
    return dict(ledger)
