"""Alerts as operators see them: list them, acknowledge one; and the routes that get the signals of an alert."""

from __future__ import annotations

from gateway.alerts import Alert, Condition
from gateway.config import Config
from gateway.errors import GatewayError
from gateway.signal_types import GATEWAY_ALERT
from gateway.store.contract_alerts import Alerts
from gateway.store.values import AlertFilter, Telling

__all__ = ["Alert", "AlertFilter", "acknowledge_alert", "list_alerts", "make_telling", "read_alert"]


async def list_alerts(store: Alerts, which: AlertFilter, limit: int) -> list[Alert]:
    """Return alerts that were raised, newest first. `before` of the filter begins the next page."""
    return [*await store.list_alerts(which, limit)]


async def read_alert(store: Alerts, alert: int) -> Alert:
    """Return an alert. Raises GatewayError if there is none of this id, or if it was never raised."""
    found = await store.list_alerts(AlertFilter(ids=[alert]), 1)
    if not found:
        raise GatewayError(f"there is no alert {alert}: `cloudsignal alerts` lists them")
    return found[0]


async def acknowledge_alert(store: Alerts, alert: int, now: float) -> tuple[Alert, bool]:
    """Note that a person has seen an open alert. Return it as it is now, and False if nothing was to be noted.

    Raises GatewayError if there is no such alert. One that is cleared or acknowledged stays as it is.
    """
    await read_alert(store, alert)
    noted = await store.acknowledge_alert(alert, now)
    return await read_alert(store, alert), noted


def make_telling(config: Config, condition: Condition) -> Telling:
    """Return the routes that get the signals of the condition's alert: never the route that it is about."""
    account = config.accounts.get(condition.account)
    routes = [route for route in account.routes.values() if route.enabled] if account else []
    told = [route for route in routes if route.wants(GATEWAY_ALERT) and route.name != condition.route]
    return Telling(condition, told, [route.name for route in routes if route not in told])
