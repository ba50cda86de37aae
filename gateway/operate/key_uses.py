"""Saves the last uses of keys, and tells of keys that end while the gateway runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from gateway.errors import StoreError
from gateway.ingest import Ingest
from gateway.operate.in_force import mark_key
from gateway.store.contract_accounts import Accounts

log = structlog.get_logger()

EVERY = 5.0
"""Seconds between two rounds: so late `accounts list` shows the first use of a key."""
SAVED_EVERY = 60.0
"""Seconds between two writes of one key's use. A rotation takes days, so a minute is exact enough."""


class KeyUses:
    """The uses of keys between ingest and the store."""

    def __init__(self, ingest: Ingest, store: Accounts) -> None:
        self._ingest = ingest
        self._store = store
        self._unsaved: dict[tuple[str, str], float] = {}
        self._saved: dict[tuple[str, str], float] = {}

    async def watch(self, tell_ends: Callable[[], None], every: float = EVERY) -> None:
        """Save the uses of keys, and tell of keys that end, again and again without end."""
        while True:
            await asyncio.sleep(every)
            await self.save()
            tell_ends()

    async def save(self, all: bool = False) -> None:
        """Save uses, of each key once a minute; or all of them, at the end.

        A store that is away costs their times, and nothing else.
        """
        self._unsaved.update({(account, mark_key(key)): at for account, key, at in self._ingest.take_key_uses()})
        uses = {key: at for key, at in self._unsaved.items() if all or at - self._saved.get(key, 0.0) >= SAVED_EVERY}
        if not uses:
            return
        self._saved.update(uses)
        for key in uses:
            del self._unsaved[key]
        try:
            await self._store.note_key_uses(uses)
        except StoreError as error:
            log.warning("store.key_uses_failed", reason=str(error))
