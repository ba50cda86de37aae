"""Finds the orders that are late and the accounts that are silent, by the accounts' watches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gateway.alerts import Alert, AlertKey, Condition
from gateway.model import Account, Watch
from gateway.order_state import State
from gateway.signal_types import ITEM_ERROR
from gateway.store.contract import Store
from gateway.watches import LEARNED_FROM, SHORTEST_SILENCE, find_lateness, find_silence, learn_silence, waiting_stages

ACCOUNTS_PER_QUERY = 1000
"""Accounts whose orders one statement reads."""
MOST_LATE = 10_000
"""Late orders of one watch that a round knows, the oldest first: more would fill memory, and help nobody."""
BEHIND = 60.0
"""Seconds that the order states may be behind. Beyond, as after a long stop, they would make orders look late."""
RETRIES_WITHIN = 7200.0
"""Seconds after the start in which nobody is called silent anew: the vendor's retries after a long stop may be still
to come. Their waits grow to 1.7 h (100 attempts in 7 days)."""


class Watching:
    """The watches of one gateway, which runs since `started`. It remembers the rhythms that it has learned."""

    def __init__(self, store: Store, started: float) -> None:
        self._store = store
        self._started = started
        self._learned: dict[str, tuple[float, float | None]] = {}

    async def is_behind(self, now: float) -> bool:
        """Return True if the order states are too far behind the signals to tell who is late."""
        oldest = await self._store.oldest_unfollowed()
        return oldest is not None and oldest < now - BEHIND

    async def find(
        self, accounts: Mapping[str, Account], open_alerts: Mapping[AlertKey, Alert], now: float
    ) -> list[Condition]:
        """Return the conditions that the watches find now."""
        late: defaultdict[Watch, list[str]] = defaultdict(list)
        silent: list[tuple[str, Watch]] = []
        for account in accounts.values():
            for watch in account.watches.values():
                if watch.after:
                    late[watch].append(account.name)
                else:
                    silent.append((account.name, watch))
        found = await self._find_silent(silent, open_alerts, now) if silent else []
        for watch, names in late.items():
            for start in range(0, len(names), ACCOUNTS_PER_QUERY):
                states = await self._read_waiting(watch, names[start : start + ACCOUNTS_PER_QUERY], now)
                found += filter(None, (find_lateness(watch, state, now) for state in states))
        return [await self._name_order(each) if each.key not in open_alerts else each for each in found]

    async def _read_waiting(self, watch: Watch, accounts: Sequence[str], now: float) -> Iterable[State]:
        stages = waiting_stages(watch)
        if watch.after == ITEM_ERROR:
            return await self._store.list_troubled(accounts, stages, MOST_LATE)
        return await self._store.list_late(accounts, stages, watch.after, now - (watch.within or 0.0), MOST_LATE)

    async def _name_order(self, condition: Condition) -> Condition:
        """Return a new condition with the reference of its order, which an item's state does not have."""
        if not condition.order or condition.order_reference:
            return condition
        found = await self._store.read_order(condition.account, condition.order, 0)
        return replace(condition, order_reference=found[0].reference) if found else condition

    async def _find_silent(
        self, watches: Iterable[tuple[str, Watch]], open_alerts: Mapping[AlertKey, Alert], now: float
    ) -> list[Condition]:
        activity = await self._store.read_activity()
        found = []
        for account, watch in watches:
            if account not in activity:
                continue  # it never sent anything: its key that was never used is told of
            last = activity[account].last_at
            silent_for = watch.silent_for or await self._learn(account, last, now)
            condition = find_silence(watch, account, last, silent_for, now)
            if condition is None or silent_for is None:
                continue
            if condition.key in open_alerts or now - self._started >= min(silent_for, RETRIES_WITHIN):
                found.append(condition)
        return found

    async def _learn(self, account: str, last: float, now: float) -> float | None:
        """Return the silence that is unusual for an account, learned anew once it is quiet again; None if unknown."""
        if now - last < SHORTEST_SILENCE:
            return None
        known = self._learned.get(account)
        if known is None or known[0] != last:
            hours = await self._store.list_active_hours(account, last - LEARNED_FROM)
            known = self._learned[account] = last, learn_silence(hours)
        return known[1]
