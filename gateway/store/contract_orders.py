"""Promises of the store about order states, a part of gateway.store.contract.

A follower adds signals to the states after their commit, each signal once: the position is written with the states.
So a state is a moment behind its signals, see gateway.operate.follow. How to read them:

- Items that wait at a stage, such as for a watch: `list_waiting`. Its cost grows with their number.
- The last signal of each account: `read_activity`. Its cost grows with the number of accounts.
- An order with its items: `find_orders`, then `read_order`. Orders as a list: `list_orders`.
- Numbers by hour: `read_hourly_signals`, `read_hourly_deliveries`. They read no signals.

States have times in microseconds, NEVER for a missing one; see gateway.order_state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.order_state import ItemState, Key, OrderState, State
from gateway.store.values import Activity, Followed, HourlyDeliveries, HourlySignals, OrderFilter


class Orders(Protocol):
    """Order states: written by one follower at a time, read by anybody."""

    async def follow_orders(self, owner: str, now: float, lease_until: float, limit: int) -> Followed:
        """Add the next signals, at most `limit`, to the states of their orders, in one transaction.

        Nothing is added while another owner follows; its lease ends by itself. Signals wait until
        none with a lower id can still be committed.
        """
        ...

    async def read_followed(self) -> int:
        """Return the id of the last signal that was added. No signal with a lower id can still be committed."""
        ...

    async def list_waiting(
        self, account: str, stages: tuple[int, int], before: float, limit: int, after: Key | None = None
    ) -> Sequence[State]:
        """Return items and orders of an account that have been at a stage since before that time.

        `stages` are a first stage (inclusive) and a last (exclusive). Items are ItemState, orders OrderState: a signal
        type of orders is found on the latter, and its stage is that of its least advanced item. `times` of a state has
        when each type happened first. A page begins behind the key `after`, in the order of stage, since and key.
        """
        ...

    async def read_activity(self) -> Mapping[str, Activity]:
        """Return the first and last receipt of a signal of each account that ever had any."""
        ...

    async def read_order(self, account: str, order: str, limit: int) -> tuple[OrderState, Sequence[ItemState]] | None:
        """Return an order and its items, at most `limit`; None if no signal of it was added yet."""
        ...

    async def list_orders(
        self, which: OrderFilter, limit: int, after: tuple[int, str, str] | None = None
    ) -> Sequence[OrderState]:
        """Return orders, the ones with the latest signals first.

        A page begins behind `after`: `last_seen`, account and id of the last order of the page before.
        """
        ...

    async def find_orders(self, text: str, accounts: Sequence[str] | None, limit: int) -> Sequence[tuple[str, str]]:
        """Return the accounts and ids of orders with this id, reference, item or tracking number.

        Orders whose signals were not added yet are found by id and reference only.
        """
        ...

    async def count_orders(self) -> int:
        """Return the number of orders that have a state."""
        ...

    async def add_hourly_counts(
        self, answers: Mapping[tuple[str, str], int], outcomes: Mapping[tuple[str, str, str], int], now: float
    ) -> None:
        """Add numbers to the hour of `now`: of answers by account and code, of attempts by account, route, outcome."""
        ...

    async def read_hourly_signals(
        self, accounts: Sequence[str] | None, since: float, until: float
    ) -> Sequence[HourlySignals]:
        """Return numbers of signals of the hours that begin from `since` (inclusive) to `until` (exclusive).

        Accepted signals are counted by type, with the answer `accepted`. All requests are counted by the code of their
        answer, with an empty type. Rows are in the order of hour and account.
        """
        ...

    async def read_hourly_deliveries(
        self, accounts: Sequence[str] | None, since: float, until: float
    ) -> Sequence[HourlyDeliveries]:
        """Return numbers of attempts by route and outcome, of hours as above."""
        ...

    async def rebuild_orders(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """Make the states of the next orders anew, and return their keys: id, then account. None are left if empty.

        `after` is the last key of the page before, ("", "") for the first. Signals that a follower has not
        added yet are left to it. Followers and readers go on meanwhile. Signals that were purged can't be added again.
        """
        ...

    async def rebuild_counts(self, after: str) -> str | None:
        """Count the signals of the account that follows the name `after` anew; return its name, None if none is left.

        Hours before its first signal stay as they are: they count signals that were purged.
        """
        ...
