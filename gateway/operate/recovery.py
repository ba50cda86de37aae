"""Opens the store of a gateway that starts, and ends what an earlier run left in hand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway import policy
from gateway.config import Config
from gateway.errors import StoreError, StoreUnreachable
from gateway.store import open_store, passes_by_itself
from gateway.store.contract import Store


@dataclass(frozen=True, slots=True)
class Recovered:
    """An open store, the number of leases that were released, and of due times that were too far ahead."""

    store: Store
    released: int
    reset: int


async def open_and_recover(config: Config, now: float) -> Recovered:
    """Open and recover the store once. Raises StoreUnreachable if this may succeed later."""
    loop = asyncio.get_running_loop()
    store = await asyncio.to_thread(open_store, config.store, exclusive=True, loop=loop)
    try:
        return await recover(store, config, now)
    except StoreError as error:
        await store.close()
        if error.__cause__ and passes_by_itself(error.__cause__):
            raise StoreUnreachable(str(error)) from error
        raise


async def recover(store: Store, config: Config, now: float) -> Recovered:
    """Release an earlier run's leases, and reset due times that its clock set too far ahead."""
    longest = max((route.retry.cap for route in config.routes.values()), default=0.0)
    released = 0 if store.shared else await store.release_leases(now)
    return Recovered(store, released, await store.reset_due_times(now, now + max(longest, policy.MISCONFIGURED_PROBE)))
