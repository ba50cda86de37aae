"""Looks for conditions that people should know of, again and again, and raises and clears their alerts."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from gateway.alerts import Alert, AlertKey, Condition, Plan, plan_changes
from gateway.config import Config
from gateway.errors import StoreError
from gateway.operate.alerts import make_telling
from gateway.operate.conditions import Facts, find_conditions, free_space
from gateway.operate.watching import Watching
from gateway.store import is_sqlite, path_of
from gateway.store.contract import Store
from gateway.store.values import Telling

log = structlog.get_logger()

FIRST_ROUND_AFTER = 30.0
"""Seconds from the start to the first round: routes that failed before get a chance to recover."""
ROUND_EVERY = 20.0
"""Seconds from one round to the next. With LEASE, each minute has a round, also if the gateway that did them ends."""
LEASE = 35.0
"""Seconds for which one of several gateways does the rounds; it renews the lease with each round."""
LEASE_KEY = ("", "alerts")
"""Key of the lease among those of routes. No account has an empty name."""
BATCH = 100
"""Alerts raised or cleared in one transaction, for which other writes wait."""

PURGE_EVERY = 3600.0
"""Seconds from the end of a purge of old alerts to the next."""

T = TypeVar("T")


class AlertWatch:
    """The rounds of one gateway. `wake(account, routes)` tells the dispatcher of new deliveries."""

    def __init__(
        self,
        store: Store,
        config: Callable[[], Config],
        now: Callable[[], float],
        wake: Callable[[str, Iterable[str]], None],
        redact: Callable[[str], str],
    ) -> None:
        self._store = store
        self._config = config
        self._now = now
        self._wake = wake
        self._redact = redact
        self._watching = Watching(store, now())
        self._id = uuid.uuid4().hex
        self._purge_at = 0.0

    async def watch(self) -> None:
        """Run one round after the other without end. An error ends a round, never the gateway."""
        await asyncio.sleep(FIRST_ROUND_AFTER)
        while True:
            try:
                await self.run_round()
            except StoreError as error:
                log.warning("alert.round_failed", reason=str(error))
            except Exception:  # an error here must not end a gateway that serves
                log.exception("alert.round_failed")
            await asyncio.sleep(ROUND_EVERY)

    async def run_round(self) -> None:
        """Look once, unless another gateway does it, and raise and clear what has changed."""
        now = self._now()
        if self._store.shared and not await self._store.own_routes([LEASE_KEY], self._id, now, now + LEASE):
            return
        config = self._config()
        open_alerts = await self._store.read_open_alerts()
        watched: list[Condition] = []
        if await self._watching.is_behind(now):  # then alerts of watches stay as they are
            open_alerts = {key: alert for key, alert in open_alerts.items() if not alert.condition.watch}
        else:
            watched = await self._watching.find(config.accounts, open_alerts, now)
        facts = await self._read_facts(config)
        # On a thread: ten thousand accounts take longer than the event loop may be blocked.
        plan = await asyncio.to_thread(plan_round, facts, watched, open_alerts, now)
        for conditions in batches(plan.found):
            await self._raise([make_telling(config, condition) for condition in conditions], now)
        for alerts in batches(plan.over):
            await self._clear(alerts, [make_telling(config, alert.condition) for alert in alerts], now)
        if now >= self._purge_at and not await self._store.purge_alerts(now - config.retention, BATCH):
            self._purge_at = now + PURGE_EVERY

    async def _read_facts(self, config: Config) -> Facts:
        folder = path_of(config.store).parent if is_sqlite(config.store) else None
        return Facts(
            config,
            await self._store.read_route_states(),
            await self._store.count_dead(),
            (await self._store.read_key_uses()).keys(),
            await asyncio.to_thread(free_space, folder) if folder else None,
            self._redact,
        )

    async def _raise(self, tellings: Sequence[Telling], now: float) -> None:
        raised = await self._store.raise_alerts(tellings, now)
        for alert in raised:
            log.warning("alert.raised", **alert.log_context())
        self._wake_routes(raised, tellings)

    async def _clear(self, alerts: Sequence[Alert], tellings: Sequence[Telling], now: float) -> None:
        cleared = await self._store.clear_alerts(alerts, tellings, now)
        for alert in cleared:
            log.info("alert.cleared", **alert.log_context())
        self._wake_routes(cleared, tellings)

    def _wake_routes(self, told: Sequence[Alert], tellings: Sequence[Telling]) -> None:
        keys = {alert.condition.key for alert in told}
        for telling in tellings:
            if telling.routes and telling.condition.key in keys:
                self._wake(telling.condition.account, [route.name for route in telling.routes])


def plan_round(facts: Facts, watched: Sequence[Condition], open_alerts: Mapping[AlertKey, Alert], now: float) -> Plan:
    """Return the changes that a round makes."""
    own = find_conditions(facts, open_alerts, datetime.fromtimestamp(now, UTC))
    return plan_changes(open_alerts, {condition.key: condition for condition in (*own, *watched)}, now)


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the items, at most BATCH at a time."""
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
