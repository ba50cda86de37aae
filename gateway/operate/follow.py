"""Follows the signals: adds them to order states and counts, after their commit, within two seconds.

Of several gateways one follows; another takes over when its lease ends. Senders come first: in a rush the follower gets
a fiftieth of a core, which is some hundred signals a second, and the rest follows after the rush.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable

import structlog

from gateway.dispatch.throttle import Traffic
from gateway.errors import StoreError
from gateway.store.contract_orders import Orders

log = structlog.get_logger()

EVERY = 0.5
"""Seconds between two looks for new signals. On a shared database they may have to wait for the next look but one."""
LEASE = 1.5
"""Seconds after which another gateway may follow. A gateway renews it while there are signals."""
BATCH = 200
"""Signals added in one transaction: some milliseconds of work, for which a sender may wait."""
RUSH_PACE = 50.0
"""Seconds that pass for each second of CPU time in a rush of requests."""
TRAFFIC_PACE = 2.0
"""Seconds that pass for each second of CPU time beside some requests."""
LONGEST_PAUSE = 5.0
"""Longest wait in seconds after a failure. The waits double from EVERY on."""
LAST_ROUND = 2.0
"""Seconds that a stop waits for the last signals to be added. The rest is added after the next start."""


class Follower:
    """Adds signals to order states from `follow` to `finish`. `now` is the gateway's clock, in seconds."""

    def __init__(self, store: Orders, traffic: Traffic, now: Callable[[], float]) -> None:
        self._store = store
        self._traffic = traffic
        self._now = now
        self._name = uuid.uuid4().hex

    async def follow(self, every: float = EVERY) -> None:
        """Add signals without end. An error costs time, and nothing else."""
        pause, told = every, ""
        while True:
            try:
                while await self._add_batch():
                    pass
                pause, told = every, ""
            except StoreError as error:
                pause = min(2 * pause, LONGEST_PAUSE)
                if str(error) != told:
                    told = str(error)
                    log.warning("orders.not_followed", reason=told)
            except Exception:  # states must not end a gateway that serves
                pause = LONGEST_PAUSE
                log.exception("orders.not_followed")
            await asyncio.sleep(pause)

    async def finish(self) -> None:
        """Add the last signals before a stop, as far as there is time."""
        try:
            async with asyncio.timeout(LAST_ROUND):
                while await self._add_batch(hurry=True):
                    pass
        except (StoreError, TimeoutError) as error:
            log.info("orders.not_finished", reason=str(error))

    async def _add_batch(self, hurry: bool = False) -> bool:
        """Add one batch and wait for its turn. Return True if there are more signals."""
        now = self._now()
        began = time.monotonic()
        followed = await self._store.follow_orders(self._name, now, now + LEASE, BATCH)
        if not hurry and followed.cost:
            await asyncio.sleep(self._pace() * followed.cost - (time.monotonic() - began))
        return followed.more

    def _pace(self) -> float:
        if self._traffic.rush:
            return RUSH_PACE
        return TRAFFIC_PACE if self._traffic.present else 0.0
