"""The part of DatabaseStore that keeps order states; gateway.store.contract_orders has its promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.order_state import ItemState, Key, OrderState, State
from gateway.store.batching import Priority
from gateway.store.contract_orders import Orders
from gateway.store.dialect import Dialect
from gateway.store.operations import Step
from gateway.store.readers import Readers
from gateway.store.reads import order_listings as listings
from gateway.store.reads import orders as reads
from gateway.store.steps import hours, orders
from gateway.store.steps import order_upkeep as upkeep
from gateway.store.values import Activity, Followed, HourlyDeliveries, HourlySignals, OrderFilter, Settled
from gateway.store.writer import Writer


class Horizon:
    """The last id up to which signals can be followed: below it no signal can still be committed.

    Gateways that share a database commit ids of several orders in any order. So a look notes the last id drawn and the
    transactions that write signals. Once these have ended, all ids up to it are there, or never will be.
    """

    def __init__(self) -> None:
        self._upto = 0
        self._seen = Settled(0, frozenset())

    def move(self, look: Settled) -> int:
        """Return the horizon after another look."""
        if not look.writers:
            self._upto, self._seen = look.last, look
        elif not self._seen.writers & look.writers:
            self._upto, self._seen = self._seen.last, look
        return self._upto


class OrderMethods(Orders):
    """Order states on a database. See gateway.store.contract_orders."""

    _dialect: Dialect
    _writer: Writer
    _readers: Readers
    _horizon: Horizon

    async def read_followed(self) -> int:
        return await self._readers.run(reads.read_followed)

    async def follow_orders(self, owner: str, now: float, lease_until: float, limit: int) -> Followed:
        upto = self._horizon.move(await self._readers.run(self._dialect.read_settled))
        item = await self._readers.run(orders.prepare, owner, now, lease_until, upto, limit)
        if item is None:
            return Followed(mine=False)
        if not item.added:
            return Followed()
        cost = await self._write(orders.save_states, item)
        if cost is None:
            return Followed(more=True)
        return Followed(item.added, more=item.added == limit, cost=item.cost + cost)

    async def list_waiting(
        self, account: str, stages: tuple[int, int], before: float, limit: int, after: Key | None = None
    ) -> Sequence[State]:
        return await self._readers.run(reads.list_waiting, account, stages, before, limit, after)

    async def read_activity(self) -> Mapping[str, Activity]:
        return await self._readers.run(reads.read_activity)

    async def read_order(self, account: str, order: str, limit: int) -> tuple[OrderState, Sequence[ItemState]] | None:
        return await self._readers.run(reads.read_order, account, order, limit)

    async def list_orders(
        self, which: OrderFilter, limit: int, after: tuple[int, str, str] | None = None
    ) -> Sequence[OrderState]:
        return await self._readers.run(listings.list_orders, which, limit, after)

    async def find_orders(self, text: str, accounts: Sequence[str] | None, limit: int) -> Sequence[tuple[str, str]]:
        return await self._readers.run(listings.find_orders, text, accounts, limit)

    async def count_orders(self) -> int:
        return await self._readers.run(listings.count_orders)

    async def add_hourly_counts(
        self, answers: Mapping[tuple[str, str], int], outcomes: Mapping[tuple[str, str, str], int], now: float
    ) -> None:
        await self._write(hours.add_hours, hours.AddHours(answers, outcomes, now))

    async def read_hourly_signals(
        self, accounts: Sequence[str] | None, since: float, until: float
    ) -> Sequence[HourlySignals]:
        return await self._readers.run(hours.read_signals, accounts, since, until)

    async def read_hourly_deliveries(
        self, accounts: Sequence[str] | None, since: float, until: float
    ) -> Sequence[HourlyDeliveries]:
        return await self._readers.run(hours.read_deliveries, accounts, since, until)

    async def rebuild_orders(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        while True:
            item = await self._readers.run(upkeep.rebuild_states, after, limit)
            if not item.orders or await self._write(upkeep.replace_states, item):
                return item.orders

    async def rebuild_counts(self, after: str) -> str | None:
        while True:
            item = await self._readers.run(upkeep.rebuild_counts, after)
            if item is None:
                return None
            if await self._write(upkeep.replace_counts, item):
                return item.account

    async def purge_orders(self, before: float, limit: int) -> int:
        return int(await self._write(upkeep.purge_states, upkeep.PurgeStates(before, limit)))

    async def _write(self, step: Step, item: Any) -> Any:
        """Write in a transaction of its own: on a server beside the writer, else as the writer's next work."""
        if self._dialect.shared:
            return await self._readers.run(upkeep.run_apart, step, item)
        return await self._writer.submit(step, item, Priority.PATIENT)
