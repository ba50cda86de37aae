"""The JSON of each value that operators see: one function for each kind, used by any front end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from gateway.alerts import Alert
from gateway.config import Config
from gateway.errors import Problem
from gateway.model import Attempt, Dead, Done, Signal
from gateway.operate.account_edits import AccountEdit
from gateway.operate.accounts import AccountRow, Removal
from gateway.operate.audit import Findings, Ledger
from gateway.operate.backup import Copied
from gateway.operate.check import RouteCheck
from gateway.operate.check_store import StoreCheck
from gateway.operate.database import Moved
from gateway.operate.explain import Explanation
from gateway.operate.in_force import Change
from gateway.operate.known_orders import Imported
from gateway.operate.lookups import SignalDetails
from gateway.operate.pending import Tried
from gateway.operate.plugins import PluginPage, PluginRow
from gateway.operate.purge import Removed
from gateway.operate.quarantine import Inspected, Verdict
from gateway.operate.replay import Replayed
from gateway.operate.routes import RouteRow
from gateway.store.values import STATES, Action, DeliveryRow, QuarantineRow, ReplayJob, Result, SignalRow, Violation


def iso(seconds: float | None) -> str | None:
    """Return a time as programs read it: ISO 8601 in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def alert_json(alert: Alert) -> dict[str, Any]:
    """Return an alert. Its `watch` or its `cause` is null, and so is what its condition lacks."""
    found = alert.condition
    return {
        "id": alert.id,
        "account": found.account,
        "watch": found.watch or None,
        "cause": found.cause or None,
        "state": alert.state,
        "severity": found.severity,
        "order": found.order or None,
        "order_reference": found.order_reference or None,
        "item": found.item or None,
        "item_reference": found.item_reference or None,
        "route": found.route or None,
        "message": found.message,
        "since": iso(alert.since),
        "raised_at": iso(alert.raised_at),
        "cleared_at": iso(alert.cleared_at),
        "acknowledged_at": iso(alert.acknowledged_at),
        "acknowledged_by": alert.acknowledged_by or None,
    }


# -- actions


def action_json(row: Action) -> dict[str, Any]:
    """Return an action: who did what, when and from where."""
    return {
        "id": row.id,
        "at": iso(row.at),
        "actor": row.actor,
        "origin": row.origin,
        "action": row.action,
        "account": row.account,
        "detail": row.detail,
    }


def replay_job_json(job: ReplayJob) -> dict[str, Any]:
    """Return a replay that runs as a job, with its filter and its progress; `done` and `total` count ids of signals."""
    asked = {name: value for name, value in dataclasses.asdict(job.which).items() if value not in (None, False)}
    asked |= {name: iso(asked[name]) for name in ("since", "until") if name in asked}
    return {
        "id": job.id,
        "state": job.state,
        "reason": job.reason,
        "dry_run": job.dry_run,
        "actor": job.actor.name,
        "origin": job.actor.origin,
        "filter": {name: value for name, value in asked.items() if name != "accounts"},
        "created_at": iso(job.created_at),
        "ended_at": iso(job.ended_at),
        "done": job.reached - job.began_with + 1,
        "total": job.ends_with - job.began_with + 1,
        "deliveries": sum(job.found.values()),
        "routes": [
            {"account": account, "route": route, "deliveries": number}
            for (account, route), number in sorted(job.found.items())
        ],
    }


# -- signals and deliveries


def signal_json(row: SignalRow) -> dict[str, Any]:
    """Return a signal with its payload."""
    signal = row.signal
    return {
        "id": signal.id,
        "identity": signal.identity,
        "account": signal.account,
        "type": signal.type,
        "order": signal.order,
        "order_reference": signal.order_reference,
        "item": signal.item,
        "item_reference": signal.item_reference,
        "occurred_at": signal.occurred_at.isoformat() if signal.occurred_at else None,
        "received_at": signal.received_at.isoformat(),
        "late": signal.late,
        "incomplete": bool(signal.missing),
        "missing": list(signal.missing),
        "deliveries": row.deliveries,
        "filtered": list(row.unrouted),
        "payload": signal.payload,
    }


def details_json(details: SignalDetails) -> dict[str, Any]:
    """Return a signal with its deliveries, each with its failed attempts."""
    deliveries = [
        {
            **delivery_json(delivery),
            "failed_attempts": [attempt_json(attempt) for attempt in details.attempts.get(delivery.route, ())],
        }
        for delivery in details.deliveries
    ]
    return {**signal_json(details.row), "deliveries": deliveries}


def delivery_json(row: DeliveryRow) -> dict[str, Any]:
    """Return a delivery."""
    return {
        "signal": row.signal_id,
        "account": row.account,
        "route": row.route,
        "type": row.type,
        "order": row.order,
        "order_reference": row.order_reference,
        "item": row.item,
        "lane": row.lane,
        "state": row.state,
        "attempts": row.attempts,
        "created_at": iso(row.created_at),
        "due_at": iso(row.due_at),
        "ended_at": iso(row.ended_at),
        "held": row.held,
        "late": row.late,
        "replayed": row.replayed,
        "reason": row.reason,
    }


def attempt_json(attempt: Attempt) -> dict[str, Any]:
    """Return a failed attempt."""
    return {
        "number": attempt.number,
        "started_at": iso(attempt.started_at),
        "seconds": round(attempt.duration, 3),
        "outcome": attempt.kind.value,
        "reason": attempt.reason,
    }


def told_signal_json(signal: Signal) -> dict[str, Any]:
    """Return a new signal as an event tells it."""
    return {
        "id": signal.id,
        "account": signal.account,
        "type": signal.type,
        "order": signal.order,
        "order_reference": signal.order_reference,
        "item": signal.item,
        "received_at": signal.received_at.isoformat(),
        "payload": signal.payload,
    }


def result_json(result: Result) -> dict[str, Any]:
    """Return the result of an attempt as an event tells it: delivered, filtered, dead or retry."""
    signal, decision = result.delivery.signal, result.decision
    outcome = decision.state if isinstance(decision, Done) else "dead" if isinstance(decision, Dead) else "retry"
    return {
        "signal": signal.id,
        "account": signal.account,
        "route": result.delivery.route,
        "type": signal.type,
        "order": signal.order,
        "order_reference": signal.order_reference,
        "outcome": outcome,
        "reason": decision.reason,
        "attempt": result.delivery.attempt,
        "at": iso(result.ended_at),
    }


def explanation_json(signal: SignalRow, explanation: Explanation) -> dict[str, Any]:
    """Return the explanation of a signal on one route."""
    row = explanation.delivery
    return {
        "signal": signal.signal.id,
        "type": signal.signal.type,
        "order": signal.signal.order,
        "order_reference": signal.signal.order_reference,
        "route": explanation.route,
        "sink": explanation.sink,
        "state": row.state if row else None,
        "why": explanation.why,
        "text": explanation.text,
        "behind": explanation.behind,
        "advice": explanation.advice,
        "attempts": row.attempts if row else None,
        "due_at": iso(row.due_at) if row else None,
        "ended_at": iso(row.ended_at) if row else None,
        "replayed": row.replayed if row else None,
    }


# -- routes


def route_json(row: RouteRow, now: float) -> dict[str, Any]:
    """Return a route with its state and backlog."""
    return {
        "account": row.key[0],
        "route": row.key[1],
        "sink": row.route.sink if row.route else None,
        "state": row.status,
        "paused_at": iso(row.state.paused_at),
        "why": row.state.why,
        "reason": row.reason,
        "probe_at": iso(row.probe_at),
        "pending": row.backlog.pending,
        "due": row.backlog.due,
        "dead": row.dead,
        **age_json(row.backlog.oldest_at, now),
    }


def age_json(oldest_at: float | None, now: float) -> dict[str, Any]:
    """Return the fields of the oldest pending delivery."""
    age = None if oldest_at is None else round(max(0.0, now - oldest_at), 3)
    return {"oldest_at": iso(oldest_at), "oldest_seconds": age}


# -- quarantine, replay, purge, audit


def quarantine_json(row: QuarantineRow) -> dict[str, Any]:
    """Return a quarantined request."""
    return {
        "id": row.id,
        "account": row.account,
        "received_at": iso(row.received_at),
        "errors": row.errors,
        "body": row.body,
    }


def inspected_json(found: Inspected) -> dict[str, Any]:
    """Return a quarantined request with the verdict that a replay would give now."""
    now = {"result": found.verdict.result, "routes": found.verdict.routes, "errors": found.verdict.errors}
    return {**quarantine_json(found.row), "now": now}


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict on a quarantined request."""
    return dataclasses.asdict(verdict)


def tried_json(tried: Tried) -> dict[str, Any]:
    """Return a try of a pending delivery, and its outcome."""
    return {
        "account": tried.account,
        "route": tried.route,
        "signal": tried.signal_id,
        "outcome": tried.outcome,
        "reason": tried.reason,
    }


def replayed_json(replayed: Replayed, dry_run: bool) -> list[dict[str, Any]]:
    """Return the numbers of deliveries replayed, one object for each route."""
    return [
        {"account": account, "route": route, "deliveries": number, "replayed": not dry_run}
        for (account, route), number in sorted(replayed.found.items())
    ]


def removed_json(removed: Removed, dry_run: bool) -> dict[str, Any]:
    """Return the numbers of rows removed; a dry run does not count deliveries."""
    found = {"signals": removed.signals, "quarantined": removed.quarantined, "removed": not dry_run}
    return found if dry_run else {**found, "deliveries": removed.deliveries}


def violation_json(violation: Violation) -> dict[str, Any]:
    """Return one error that an audit found."""
    return {
        "signal": violation.signal_id,
        "account": violation.account,
        "route": violation.route,
        "wrong": violation.problem,
    }


def findings_json(findings: Findings) -> dict[str, Any]:
    """Return the findings of an audit with its ledger."""
    return {
        "ok": findings.ok,
        "complete": findings.stopped_at is None,
        "signals": findings.signals,
        "wrong": findings.violations,
        "routes": ledger_json(findings.ledger),
    }


def ledger_json(ledger: Ledger) -> list[dict[str, Any]]:
    """Return a ledger, one object for each route: accepted, then each state."""
    columns = ("accepted", *STATES)
    return [
        {"account": key[0], "route": key[1], **{name: counts[name] for name in columns}}
        for key, counts in sorted(ledger.items())
    ]


# -- installation and configuration


def plugin_page_json(page: PluginPage) -> dict[str, Any]:
    """Return the page of a plugin; `schema` of an option is JSON Schema."""
    return {
        "name": page.name,
        "source": page.source,
        "summary": page.summary,
        "signals": list(page.signals),
        "order": page.order,
        "concurrency": page.concurrency,
        "options": [
            {"name": row.name, "default": row.default or None, "meaning": row.meaning, "schema": dict(row.form)}
            for row in page.options
        ],
        "sample": page.sample,
    }


def plugin_json(row: PluginRow) -> dict[str, Any]:
    """Return an installed plugin."""
    return {"name": row.name, "state": row.state, "from": row.source, "about": row.about}


def config_json(config: Config, warnings: Iterable[Problem] = ()) -> dict[str, Any]:
    """Return a valid configuration's tenants, accounts, routes and plugins, and its warnings."""
    accounts = {
        account.name: {
            "tenant": account.tenant,
            "routes": {
                route.name: {"sink": route.sink, "signals": sorted(route.signals), "enabled": route.enabled}
                for route in account.routes.values()
            },
        }
        for account in config.accounts.values()
    }
    return {
        "ok": True,
        "tenants": list(config.tenants),
        "accounts": accounts,
        "plugins": list(config.plugins),
        "warnings": [dataclasses.asdict(warning) for warning in warnings],
    }


def account_json(row: AccountRow, now: float) -> dict[str, Any]:
    """Return an account with its keys and the health of its routes."""
    keys = [
        {
            "label": key.label,
            "last_used": iso(key.last_used),
            "expires": None if key.expires is None else key.expires.isoformat(),
        }
        for key in row.keys
    ]
    return {
        "account": row.account,
        "tenant": row.tenant,
        "endpoint": row.endpoint,
        "keys": keys,
        "last_signal": iso(row.last_signal),
        "state": row.state,
        "pending": row.pending,
        **age_json(row.oldest_at, now),
        "routes": [
            {
                "route": route.key[1],
                "state": route.status,
                "why": route.why,
                "pending": route.backlog.pending,
                "dead": route.dead,
            }
            for route in row.routes
        ],
        "left_at": iso(row.left_at),
    }


def account_edit_json(prepared: AccountEdit, written: bool) -> dict[str, Any]:
    """Return an edit of an account in the configuration. Only here a new key is shown."""
    end = prepared.old_keys_end
    return {
        "account": prepared.account,
        "action": prepared.action,
        "file": str(prepared.edit.path),
        "diff": list(prepared.diff),
        "endpoint": prepared.endpoint,
        "key": prepared.key if written else None,
        "old_keys_end": end.isoformat() if end else None,
        "written": written,
    }


def forgotten_json(account: str, found: Removal, dry_run: bool) -> dict[str, Any]:
    """Return the numbers of rows that were removed, or would be."""
    numbers = dataclasses.asdict(found)
    del numbers["done"]
    return {"account": account, **numbers, "removed": not dry_run}


def imported_json(imported: Imported) -> dict[str, Any]:
    """Return the numbers of an import of known orders."""
    numbers = {"orders": imported.done, "new": imported.new, "freed": imported.freed}
    return {"account": imported.account, **numbers, "done": imported.done == imported.total}


def change_json(change: Change) -> dict[str, Any]:
    """Return a change between the configuration in force and another."""
    return dataclasses.asdict(change)


def problem_json(problem: Problem) -> dict[str, Any]:
    """Return an error of a configuration."""
    return {"ok": False, **dataclasses.asdict(problem)}


def check_json(check: RouteCheck) -> dict[str, Any]:
    """Return the answer of a route's target."""
    return dataclasses.asdict(check)


def store_check_json(check: StoreCheck) -> dict[str, Any]:
    """Return the answer of the store."""
    return dataclasses.asdict(check)


def copied_json(copied: Copied) -> dict[str, Any]:
    """Return the file and the figures of a backup or a restored store."""
    return {
        "file": str(copied.file.absolute()),
        "bytes": copied.size,
        "ok": copied.findings.ok,
        "signals": copied.findings.signals,
        "wrong": copied.findings.violations,
        "kept": str(copied.kept) if copied.kept else None,
    }


def moved_json(moved: Moved) -> dict[str, Any]:
    """Return the numbers of rows that a move has copied."""
    return dataclasses.asdict(moved)
