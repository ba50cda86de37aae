"""Alerts as values: a condition that a person should know of, its alert in the store, and the signals that tell of it.

An alert is raised once and cleared once. Both are signals of the type GatewayAlert, which routes deliver as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from gateway.model import Signal, identity_of
from gateway.signal_types import GATEWAY_ALERT

RAISED = "raised"
CLEARED = "cleared"

Severity = Literal["warning", "failure"]

AlertKey = tuple[str, str, str, str]
"""The key of an open alert: account, watch, cause and subject. At most one alert of a key is open."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A state of affairs that a person should know of.

    Either `watch` names the account's watch that found it, or `cause` the gateway's own reason. `subject` tells the
    conditions of one watch or cause apart: an item, a route, a key. `route` is the route that the condition is about,
    which gets no alert of it. `patience` is the time in seconds that the condition must last until it is raised.
    """

    account: str
    message: str
    watch: str = ""
    cause: str = ""
    subject: str = ""
    severity: Severity = "warning"
    order: str = ""
    order_reference: str = ""
    item: str = ""
    item_reference: str = ""
    route: str = ""
    patience: float = 0.0

    @property
    def key(self) -> AlertKey:
        return self.account, self.watch, self.cause, self.subject

    @property
    def name(self) -> str:
        """Return the watch or the cause."""
        return self.watch or self.cause


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert in the store. Times are seconds since the epoch.

    The condition has been there since `since`. An alert without `raised_at` waits for its condition to last, and
    nobody was told of it. An open alert has no `cleared_at`.
    """

    id: int
    condition: Condition
    since: float
    raised_at: float | None = None
    cleared_at: float | None = None
    acknowledged_at: float | None = None
    acknowledged_by: str = ""

    @property
    def state(self) -> str:
        """Return "waiting", "raised", "acknowledged" or "cleared"."""
        if self.cleared_at is not None:
            return CLEARED
        if self.raised_at is None:
            return "waiting"
        return RAISED if self.acknowledged_at is None else "acknowledged"

    def log_context(self) -> dict[str, object]:
        found = self.condition
        context = {
            "alert": self.id,
            "account": found.account,
            "watch": found.watch,
            "cause": found.cause,
            "about": found.route,
            "order": found.order,
            "item": found.item,
            "message": found.message,
        }
        return {name: value for name, value in context.items() if value}


def make_alert_signal(alert: int, condition: Condition, state: str, at: float) -> Signal:
    """Return the signal that tells of an alert's state, "raised" or "cleared". `alert` is its id in the store.

    Its `occurred_at` stays empty: with a time, the vendor's next signal of the order would count as late.
    """
    moment = datetime.fromtimestamp(at, UTC)
    payload = {"type": GATEWAY_ALERT, "alert": alert, "state": state, "datetime": moment.isoformat()}
    fields = ("watch", "cause", "severity", "order", "order_reference", "item", "item_reference", "route", "message")
    payload |= {name: value for name in fields if (value := getattr(condition, name))}
    if state == CLEARED:  # for readers of a file or a feed, which show no state
        payload["message"] = f"Cleared: {condition.message}"
    return Signal(
        account=condition.account,
        type=GATEWAY_ALERT,
        order=condition.order,
        order_reference=condition.order_reference,
        item=condition.item or None,
        item_reference=condition.item_reference or None,
        occurred_at=None,
        received_at=moment,
        payload=payload,
        identity=identity_of(condition.account, payload),
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """Changes of the store's alerts: conditions to note or raise, and open alerts to clear."""

    found: tuple[Condition, ...] = ()
    over: tuple[Alert, ...] = ()


def plan_changes(open_alerts: Mapping[AlertKey, Alert], found: Mapping[AlertKey, Condition], now: float) -> Plan:
    """Compare the open alerts with the conditions found now.

    A condition is noted if it is new, and raised if it has lasted long enough; a condition that is over is cleared.
    """
    due = []
    for key, condition in found.items():
        alert = open_alerts.get(key)
        if alert is None or (alert.raised_at is None and alert.since + condition.patience <= now):
            due.append(condition)
    return Plan(tuple(due), tuple(alert for key, alert in open_alerts.items() if key not in found))
