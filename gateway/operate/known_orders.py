"""Makes orders known to an account, which frees the signals that were held for them."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.config import Config
from gateway.operate.names import require_account
from gateway.store.contract import Records


async def add_known_orders(store: Records, config: Config, account: str, orders: Sequence[str], now: float) -> int:
    """Make orders (ids or references) known to an account. Return the number of held deliveries that this freed.

    Raises GatewayError if the account is not configured.
    """
    require_account(config, account)
    return await store.add_known_orders(account, orders, now)
