"""Commands that look: signals, show, deliveries, dead, plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gateway.cli import render
from gateway.cli.opening import with_store
from gateway.cli.options import config_option, filter_options, json_option, limit_option, make_filter
from gateway.config import load_enabled
from gateway.errors import GatewayError
from gateway.model import Attempt
from gateway.sink.registry import describe_plugin, installed_plugins
from gateway.store.contract import Store
from gateway.store.values import DeliveryRow, Filter, SignalRow


@click.command()
@config_option
@filter_options
@limit_option
@json_option
def signals(config_path: Path, limit: int, as_json: bool, **filters: Any) -> None:
    """List accepted signals, newest first."""
    which = make_filter(**filters)
    rows = with_store(config_path, lambda store: store.list_signals(which, limit), which)
    if as_json:
        render.print_json(signal_json(row) for row in rows)
    else:
        render.print_table([signal_line(row) for row in rows], "No signals.")


@click.command()
@click.argument("signal_id", type=int)
@config_option
@json_option
def show(signal_id: int, config_path: Path, as_json: bool) -> None:
    """Show one signal: what was sent, and what became of it on each route."""
    row, deliveries, attempts = with_store(config_path, lambda store: read_signal(store, signal_id))
    if as_json:
        tried = {d.route: [attempt_json(a) for a in attempts.get(d.route, ())] for d in deliveries}
        details = [{**delivery_json(d), "failed_attempts": tried[d.route]} for d in deliveries]
        render.print_json([{**signal_json(row), "deliveries": details}])
        return
    for name, value in signal_json(row).items():
        if name not in ("payload", "deliveries"):
            click.echo(f"{name:16} {render.show(in_words(value))}")
    click.echo("\nPayload, as sent but for the key")
    for name, value in row.signal.payload.items():
        click.echo(f"  {render.show(name):20} {render.show(value)}")
    click.echo(f"\nDeliveries ({row.deliveries} given when accepted)")
    render.print_table([delivery_line(d) for d in deliveries], "  none: no route asked for it")
    for route, tries in attempts.items():
        click.echo(f"\nFailed attempts on {route}")
        render.print_table([attempt_line(a) for a in tries], "")


def in_words(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else value


async def read_signal(
    store: Store, signal_id: int
) -> tuple[SignalRow, Sequence[DeliveryRow], Mapping[str, Sequence[Attempt]]]:
    which = Filter(ids=[signal_id])
    rows = await store.list_signals(which, 1)
    if not rows:
        raise GatewayError(f"there is no signal {signal_id}")
    return rows[0], await store.list_deliveries(which, 1000), await store.read_attempts(signal_id)


@click.command()
@config_option
@filter_options
@click.option("--state", type=click.Choice(["pending", "delivered", "dead", "filtered"]), help="Only in this state.")
@limit_option
@json_option
def deliveries(config_path: Path, limit: int, as_json: bool, **filters: Any) -> None:
    """List deliveries (one signal on one route), newest first."""
    list_deliveries(config_path, make_filter(**filters), limit, as_json, "No deliveries.")


@click.command()
@config_option
@filter_options
@limit_option
@json_option
def dead(config_path: Path, limit: int, as_json: bool, **filters: Any) -> None:
    """List dead letters: deliveries given up, kept, and ready to be replayed."""
    list_deliveries(config_path, make_filter(**filters, state="dead"), limit, as_json, "No dead letters.")


def list_deliveries(config_path: Path, which: Filter, limit: int, as_json: bool, empty: str) -> None:
    rows = with_store(config_path, lambda store: store.list_deliveries(which, limit), which)
    if as_json:
        render.print_json(delivery_json(row) for row in rows)
    else:
        render.print_table([delivery_line(row) for row in rows], empty)


@click.command()
@config_option
@json_option
def plugins(config_path: Path, as_json: bool) -> None:
    """List the sinks that are installed, which of them are enabled, and what is wrong with a broken one."""
    enabled = load_enabled(config_path)
    rows = []
    for name, entry in installed_plugins().items():
        plugin = enabled.get(name) or describe_plugin(entry)
        state = "broken" if plugin.error else "enabled" if plugin.sink else "installed"
        about = plugin.error or (plugin.sink.summary if plugin.sink else "")
        source = f"{plugin.distribution} {plugin.version}"
        rows.append({"name": name, "state": state, "from": source, "about": about})
    if as_json:
        render.print_json(rows)
    else:
        render.print_table(rows, "No sinks are installed.")


# -- a row as JSON, and as a line of a table


def signal_json(row: SignalRow) -> dict[str, Any]:
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
        "deliveries": row.deliveries,
        "unrouted": list(row.unrouted),
        "payload": signal.payload,
    }


def signal_line(row: SignalRow) -> dict[str, object]:
    signal = row.signal
    return {
        "id": signal.id,
        "received (UTC)": render.moment(signal.received_at.timestamp()),
        "account": signal.account,
        "type": signal.type,
        "order": signal.order,
        "reference": signal.order_reference,
        "item": signal.item,
        "late": "late" if signal.late else "",
        "deliveries": row.deliveries,
    }


def delivery_json(row: DeliveryRow) -> dict[str, Any]:
    return {
        "signal": row.signal_id,
        "account": row.account,
        "route": row.route,
        "lane": row.lane,
        "state": row.state,
        "attempts": row.attempts,
        "created_at": render.iso(row.created_at),
        "due_at": render.iso(row.due_at),
        "ended_at": render.iso(row.ended_at),
        "held": row.held,
        "late": row.late,
        "replayed": row.replayed,
        "reason": row.reason,
    }


def delivery_line(row: DeliveryRow) -> dict[str, object]:
    return {
        "signal": row.signal_id,
        "account": row.account,
        "route": row.route,
        "state": row.state,
        "attempts": row.attempts,
        "since (UTC)": render.moment(row.ended_at or row.created_at),
        "marks": ", ".join(mark for mark in ("late", "replayed") if getattr(row, mark)),
        "next": next_step(row),
        "reason": row.reason,
    }


def next_step(row: DeliveryRow) -> str:
    """What a pending delivery waits for."""
    if row.state != "pending":
        return ""
    if row.held:
        return "held: order unknown"
    if row.leased:
        return "being delivered"
    return "behind its order's earlier one" if row.due_at is None else f"at {render.moment(row.due_at)}"


def attempt_json(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "started_at": render.iso(attempt.started_at),
        "seconds": round(attempt.duration, 3),
        "outcome": attempt.kind.value,
        "reason": attempt.reason,
    }


def attempt_line(attempt: Attempt) -> dict[str, object]:
    return {
        "number": attempt.number,
        "at (UTC)": render.moment(attempt.started_at),
        "seconds": round(attempt.duration, 3),
        "outcome": attempt.kind.value,
        "reason": attempt.reason,
    }


COMMANDS = (signals, show, deliveries, dead, plugins)
