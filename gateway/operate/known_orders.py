"""Makes orders known to an account, which frees the signals that were held for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gateway.config import Config
from gateway.operate.names import require_account
from gateway.operate.traffic import yield_to_traffic
from gateway.store.contract import Records
from gateway.store.values import MadeKnown

ORDERS_PER_TRANSACTION = 500
"""Orders made known in one transaction. A transaction takes milliseconds, so that senders hardly wait for it."""


@dataclass(frozen=True, slots=True)
class Imported:
    """Progress of an import: `done` of `total` orders, `new` ones among them, and the deliveries freed."""

    account: str
    total: int
    done: int = 0
    new: int = 0
    freed: int = 0


async def add_known_orders(
    store: Records, config: Config, account: str, orders: Sequence[str], now: float
) -> MadeKnown:
    """Make orders (ids or references) known to an account.

    Raises GatewayError if the account is not configured.
    """
    require_account(config, account)
    return await store.add_known_orders(account, orders, now)


async def make_known(store: Records, config: Config, account: str, reference: str, now: float) -> MadeKnown:
    """Make one order known to an account, and record the action if it was not known.

    Raises NotFound if the account is not configured.
    """
    made = await add_known_orders(store, config, account, [reference], now)
    if made.new:
        await store.record_action("known-order", {"account": account, "reference": reference, "freed": made.freed}, now)
    return made


async def import_orders(
    store: Records, config: Config, account: str, orders: Sequence[str], now: float, stop: asyncio.Event
) -> AsyncIterator[Imported]:
    """Make many orders known in small transactions, and yield the progress after each. Record the action at the end.

    It leaves half of the time to live traffic.
    `stop` ends the import between two transactions. A second import of the same orders changes nothing.
    Raises GatewayError if the account is not configured.
    """
    require_account(config, account)
    progress = Imported(account, len(orders))
    async for number, made in yield_to_traffic(add_by_pages(store, account, orders, now), stop):
        done, new, freed = progress.done + number, progress.new + made.new, progress.freed + made.freed
        progress = Imported(account, len(orders), done, new, freed)
        yield progress
    detail = {"account": account, "orders": progress.done, "new": progress.new, "freed": progress.freed}
    await store.record_action("orders-import", detail, now)


async def add_by_pages(
    store: Records, account: str, orders: Sequence[str], now: float
) -> AsyncIterator[tuple[int, MadeKnown]]:
    """Make orders known page by page; yield the number of each page's orders with its result."""
    for at in range(0, len(orders), ORDERS_PER_TRANSACTION):
        page = orders[at : at + ORDERS_PER_TRANSACTION]
        yield len(page), await store.add_known_orders(account, page, now)
