"""Saves the last uses of keys, and tells of keys that end while the gateway runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from gateway.errors import StoreError
from gateway.ingest import Ingest
from gateway.operate.in_force import mark_key
from gateway.store.contract import Accounts

log = structlog.get_logger()

EVERY = 60.0
"""Seconds between two writes. One write a minute costs nothing, and a rotation takes days."""


async def watch_keys(ingest: Ingest, store: Accounts, tell_ends: Callable[[], None], every: float = EVERY) -> None:
    """Save the uses of keys, and tell of keys that end, every minute without end."""
    while True:
        await asyncio.sleep(every)
        await save_key_uses(ingest, store)
        tell_ends()


async def save_key_uses(ingest: Ingest, store: Accounts) -> None:
    """Save the uses since the last call. A store that is away costs their times, and nothing else."""
    uses = {(account, mark_key(key)): at for account, key, at in ingest.take_key_uses()}
    if not uses:
        return
    try:
        await store.note_key_uses(uses)
    except StoreError as error:
        log.warning("store.key_uses_failed", reason=str(error))
