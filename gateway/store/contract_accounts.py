"""Promises of the store about accounts, a part of gateway.store.contract: what is said there holds here too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.store.values import ConfigPart, Forgotten


class Accounts(Protocol):
    """Facts about accounts beside their signals: the configuration in force, uses of keys, and their end."""

    async def save_in_force(self, parts: Sequence[ConfigPart], now: float) -> None:
        """Replace the parts of the configuration in force. Accounts that are not among them are kept as left `now`."""
        ...

    async def read_in_force(self) -> Sequence[ConfigPart]:
        """Return the parts that were saved last, and the accounts that have left."""
        ...

    async def remove_in_force(self, account: str, now: float) -> bool:
        """Remove an account that has left from the parts, and record the action. Return False if there was none."""
        ...

    async def note_key_uses(self, uses: Mapping[tuple[str, str], float]) -> None:
        """Save the last use of keys, by account and the key's mark. An earlier time changes nothing."""
        ...

    async def read_key_uses(self) -> Mapping[tuple[str, str], float]:
        """Return the last use of each key, by account and the key's mark."""
        ...

    async def forget(self, account: str, limit: int, now: float) -> Forgotten:
        """Remove rows of an account: at most `limit` signals with all that belongs to them, pending or not.

        A call without signals left removes as many quarantined requests; one without these removes the rest and is
        `done`. The rest are known orders, state of routes and sinks, uses of keys, and actions that name the account.
        """
        ...

    async def count_forget(self, account: str) -> Forgotten:
        """Count the rows that `forget` would remove in all."""
        ...
