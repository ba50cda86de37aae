"""Writes of alerts. The row of an alert and the signal that tells of it are in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from peewee import Database

from gateway.alerts import CLEARED, RAISED, Alert, AlertKey, Condition, make_alert_signal
from gateway.model import Signal, lane_of
from gateway.store.operations import Accept, Answers
from gateway.store.rows import LARGEST_ID, clean, micros, seconds
from gateway.store.steps.actions import record_action
from gateway.store.tables import Alerts
from gateway.store.values import Actor, AlertFilter, Target, Telling

AcceptSignals = Callable[[Database, Sequence[Accept]], Answers]

FIELDS = {
    "account": Alerts.account,
    "watch": Alerts.watch,
    "cause": Alerts.cause,
    "subject": Alerts.subject,
    "severity": Alerts.severity,
    "order": Alerts.order_id,
    "order_reference": Alerts.order_reference,
    "item": Alerts.item,
    "item_reference": Alerts.item_reference,
    "route": Alerts.route,
    "message": Alerts.message,
}
"""Fields of a condition, and their columns."""


class RaiseAlerts(NamedTuple):
    """Conditions to note or to raise; see `Alerts.raise_alerts`."""

    tellings: Sequence[Telling]
    now: float


class ClearAlerts(NamedTuple):
    """Alerts to clear; see `Alerts.clear_alerts`."""

    over: Sequence[Alert]
    tellings: Sequence[Telling]
    now: float


class Acknowledge(NamedTuple):
    """An alert that a person has seen."""

    alert: int
    now: float
    actor: Actor


class PurgeAlerts(NamedTuple):
    """Alerts to purge, at most `limit`."""

    before: float
    limit: int


def raise_alerts(db: Database, items: Sequence[RaiseAlerts], accept: AcceptSignals) -> list[list[Alert]]:
    """Note or raise conditions; answer each call with the alerts that it raised."""
    return [raise_some(db, item, accept) for item in items]


def raise_some(db: Database, item: RaiseAlerts, accept: AcceptSignals) -> list[Alert]:
    """Raise the conditions of one call."""
    raised = [(found, telling) for telling in item.tellings if (found := raise_one(db, telling.condition, item.now))]
    tell(db, raised, RAISED, item.now, accept)
    return [alert for alert, _ in raised]


def raise_one(db: Database, condition: Condition, now: float) -> Alert | None:
    """Return the condition's alert if it is raised now."""
    at, waits = micros(now), condition.patience > 0
    values: dict[Any, Any] = {column: clean(getattr(condition, name)) for name, column in FIELDS.items()}
    times = {Alerts.since: at, Alerts.raised_at: None if waits else at}
    # Another gateway's transaction with the same key is waited for: the unique index has room for one open alert.
    insert = Alerts.insert({**values, **times}).on_conflict(action="nothing").returning(Alerts.id)
    if new := [found for (found,) in insert.tuples().execute(db)]:
        return None if waits else Alert(new[0], condition, now, now)
    key = (Alerts.account, Alerts.watch, Alerts.cause, Alerts.subject)
    same = [column == values[column] for column in key]
    lasted = Alerts.since <= at - micros(condition.patience)
    update = Alerts.update({**values, Alerts.raised_at: at})
    update = update.where(*same, Alerts.cleared_at.is_null(), Alerts.raised_at.is_null(), lasted)
    rows = update.returning(Alerts.id, Alerts.since).tuples().execute(db)
    return next((Alert(found, condition, since / 1e6, now) for found, since in rows), None)


def clear_alerts(db: Database, items: Sequence[ClearAlerts], accept: AcceptSignals) -> list[list[Alert]]:
    """Clear alerts; answer each call with the alerts that it cleared."""
    return [clear_some(db, item, accept) for item in items]


def clear_some(db: Database, item: ClearAlerts, accept: AcceptSignals) -> list[Alert]:
    """Clear the alerts of one call."""
    pairs = zip(item.over, item.tellings, strict=True)
    cleared = [
        (replace(alert, cleared_at=item.now), telling) for alert, telling in pairs if clear_one(db, alert.id, item.now)
    ]
    tell(db, cleared, CLEARED, item.now, accept)
    return [alert for alert, _ in cleared]


def clear_one(db: Database, alert: int, now: float) -> bool:
    """Clear an open alert; return True if it was raised before. One that was not is removed."""
    still_open = (Alerts.id == alert) & Alerts.cleared_at.is_null()
    Alerts.delete().where(still_open, Alerts.raised_at.is_null()).execute(db)
    return bool(Alerts.update({Alerts.cleared_at: micros(now)}).where(still_open).execute(db))


def tell(db: Database, alerts: Sequence[tuple[Alert, Telling]], state: str, now: float, accept: AcceptSignals) -> None:
    """Write the signals that tell of alerts, with their deliveries."""
    if alerts:
        accept(db, [make_accept(alert.id, telling, state, now) for alert, telling in alerts])


def make_accept(alert: int, telling: Telling, state: str, now: float) -> Accept:
    """Return the operation that writes an alert's signal. It is never held, whatever the account does with orders."""
    signal = make_alert_signal(alert, telling.condition, state, now)
    return Accept(signal, targets_of(telling, signal), telling.unrouted, hold=False)


def targets_of(telling: Telling, signal: Signal) -> list[Target]:
    return [Target(route.name, lane_of(signal, route.order)) for route in telling.routes]


def acknowledge_alerts(db: Database, items: Sequence[Acknowledge]) -> list[bool]:
    """Note that alerts were seen, and record the actions; answer each with False if that was done before."""
    return [acknowledge_one(db, item) for item in items]


def acknowledge_one(db: Database, item: Acknowledge) -> bool:
    seen = {Alerts.acknowledged_at: micros(item.now), Alerts.acknowledged_by: clean(item.actor.name)}
    unseen = (Alerts.raised_at.is_null(False), Alerts.cleared_at.is_null(), Alerts.acknowledged_at.is_null())
    update = Alerts.update(seen).where(Alerts.id == item.alert, *unseen).returning(Alerts.account)
    accounts = [account for (account,) in update.tuples().execute(db)]
    for account in accounts:
        record_action(db, item.now, item.actor, "acknowledge", {"account": account, "alert": item.alert})
    return bool(accounts)


def purge_alerts(db: Database, items: Sequence[PurgeAlerts]) -> list[int]:
    """Purge alerts that were cleared long ago; answer each with their number."""
    return [purge_some(db, item) for item in items]


def purge_some(db: Database, item: PurgeAlerts) -> int:
    old = Alerts.select(Alerts.id).where(Alerts.cleared_at < micros(item.before)).limit(item.limit)
    ids = [found for (found,) in old.tuples().execute(db)]
    return int(Alerts.delete().where(Alerts.id.in_(ids)).execute(db)) if ids else 0


# -- reads, on a reader's thread


def read_open_alerts(db: Database) -> dict[AlertKey, Alert]:
    """Return the open alerts by key."""
    alerts = map(make_alert, Alerts.select().where(Alerts.cleared_at.is_null()).dicts().execute(db))
    return {alert.condition.key: alert for alert in alerts}


def list_alerts(db: Database, which: AlertFilter, limit: int) -> list[Alert]:
    """Return alerts that were raised, newest first."""
    query = Alerts.select().where(Alerts.raised_at.is_null(False), *terms_of(which))
    return [make_alert(row) for row in query.order_by(Alerts.id.desc()).limit(limit).dicts().execute(db)]


def terms_of(which: AlertFilter) -> list[Any]:
    """Return the filter's conditions."""
    terms: list[Any] = []
    if which.ids is not None:
        terms.append(Alerts.id.in_([found for found in which.ids if abs(found) <= LARGEST_ID]))
    if which.accounts is not None:
        terms.append(Alerts.account.in_(list(which.accounts)))
    if which.before is not None:
        terms.append(Alerts.id < min(which.before, LARGEST_ID))
    if which.state is not None:
        terms.append(Alerts.cleared_at.is_null(which.state != "cleared"))
    if which.state in ("raised", "acknowledged"):
        terms.append(Alerts.acknowledged_at.is_null(which.state == "raised"))
    return terms


def make_alert(row: dict[str, Any]) -> Alert:
    """Build an alert from the table's columns."""
    condition = Condition(**{name: row[column.name] for name, column in FIELDS.items()})
    raised, cleared, seen = (seconds(row[name]) for name in ("raised_at", "cleared_at", "acknowledged_at"))
    return Alert(row["id"], condition, row["since"] / 1e6, raised, cleared, seen, row["acknowledged_by"])
