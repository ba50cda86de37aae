"""The store's methods about alerts, a part of gateway.store.store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.alerts import Alert, AlertKey
from gateway.order_state import State
from gateway.store.dialect import Dialect, Notifier
from gateway.store.readers import Readers
from gateway.store.reads import waiting
from gateway.store.steps import alerts
from gateway.store.values import Actor, AlertFilter, Telling
from gateway.store.writer import Writer


class AlertMethods:
    """Alerts, as gateway.store.contract_alerts promises them."""

    _writer: Writer
    _readers: Readers
    _dialect: Dialect
    _notifier: Notifier | None
    _actor: Actor

    async def raise_alerts(self, tellings: Sequence[Telling], now: float) -> Sequence[Alert]:
        item = alerts.RaiseAlerts(tellings, now)
        raised: Sequence[Alert] = await self._writer.submit(self._dialect.raise_alerts, item)
        self._notify_of(raised, tellings)
        return raised

    async def clear_alerts(self, over: Sequence[Alert], tellings: Sequence[Telling], now: float) -> Sequence[Alert]:
        item = alerts.ClearAlerts(over, tellings, now)
        cleared: Sequence[Alert] = await self._writer.submit(self._dialect.clear_alerts, item)
        self._notify_of(cleared, tellings)
        return cleared

    async def read_open_alerts(self) -> Mapping[AlertKey, Alert]:
        return await self._readers.run(alerts.read_open_alerts)

    async def list_late(
        self, accounts: Sequence[str], stages: tuple[int, int], kind: str, before: float, limit: int
    ) -> Sequence[State]:
        return await self._readers.run(waiting.list_late, accounts, stages, kind, before, limit)

    async def list_troubled(self, accounts: Sequence[str], stages: tuple[int, int], limit: int) -> Sequence[State]:
        return await self._readers.run(waiting.list_troubled, accounts, stages, limit)

    async def list_active_hours(self, account: str, since: float) -> Sequence[float]:
        return await self._readers.run(waiting.list_active_hours, account, since)

    async def oldest_unfollowed(self) -> float | None:
        return await self._readers.run(waiting.oldest_unfollowed)

    async def list_alerts(self, which: AlertFilter, limit: int) -> Sequence[Alert]:
        return await self._readers.run(alerts.list_alerts, which, limit)

    async def acknowledge_alert(self, alert: int, now: float) -> bool:
        item = alerts.Acknowledge(alert, now, self._actor)
        return bool(await self._writer.submit(alerts.acknowledge_alerts, item))

    async def purge_alerts(self, before: float, limit: int) -> int:
        return int(await self._writer.submit(alerts.purge_alerts, alerts.PurgeAlerts(before, limit)))

    def _notify_of(self, told: Sequence[Alert], tellings: Sequence[Telling]) -> None:
        """Notify other processes of the routes that got an alert."""
        keys = {alert.condition.key for alert in told}
        new = [telling for telling in tellings if telling.condition.key in keys]
        routes = [(telling.condition.account, route.name) for telling in new for route in telling.routes]
        if self._notifier and routes:
            self._notifier.notify(routes)
