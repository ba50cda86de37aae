"""Lists actions of people, programs and commands, with actor, time and origin."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.store.contract import Records
from gateway.store.values import Action, Filter

__all__ = ["Action", "Filter", "list_actions"]


async def list_actions(store: Records, which: Filter, limit: int) -> Sequence[Action]:
    """Return actions, newest first. Of the filter, the accounts and the bounds of ids count."""
    return await store.list_actions(None, limit, which)
