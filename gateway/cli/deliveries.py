"""Commands on deliveries: deliveries, dead."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gateway.cli import render
from gateway.cli.opening import with_store
from gateway.cli.options import config_option, filter_options, json_option, limit_option, make_filter
from gateway.operate import lookups, views
from gateway.store import Store

NONE_FILTERED = "No deliveries. `audit` also counts routes that did not ask for a signal as filtered; see `explain`."


@click.command()
@config_option
@filter_options
@click.option("--state", type=click.Choice(lookups.STATES), help="Only in this state.")
@limit_option
@json_option
def deliveries(config_path: Path, limit: int, as_json: bool, **filters: Any) -> None:
    """List deliveries (one signal on one route), newest first."""
    empty = NONE_FILTERED if filters["state"] == "filtered" else "No deliveries."
    print_deliveries(config_path, make_filter(**filters), limit, as_json, empty)


@click.command()
@config_option
@filter_options
@limit_option
@json_option
def dead(config_path: Path, limit: int, as_json: bool, **filters: Any) -> None:
    """List dead letters: deliveries that were given up. They are kept and can be replayed."""
    print_deliveries(config_path, make_filter(**filters, state="dead"), limit, as_json, "No dead letters.")


def print_deliveries(config_path: Path, which: lookups.Filter, limit: int, as_json: bool, empty: str) -> None:
    async def read(store: Store) -> tuple[Sequence[lookups.DeliveryRow], str]:
        rows = await lookups.list_deliveries(store, which, limit)
        return rows, await lookups.hint_if_empty(store, rows, which)

    rows, hint = with_store(config_path, read, which, despite_errors=True)
    if as_json:
        render.print_json(views.delivery_json(row) for row in rows)
    else:
        now = time.time()
        render.print_table([delivery_line(row, now) for row in rows], empty)
    print_hint(hint)


def print_hint(hint: str) -> None:
    """Print a hint at the end of a listing that found nothing."""
    if hint:
        click.echo(f"note: {hint.removeprefix('; ')}", err=True)


def delivery_line(row: lookups.DeliveryRow, now: float) -> dict[str, object]:
    return {
        "signal": row.signal_id,
        "account": row.account,
        "route": row.route,
        "state": row.state,
        "type": row.type,
        "order": row.order,
        "since (UTC)": render.moment(row.ended_at or row.created_at),
        "item": row.item,
        "attempts": row.attempts,
        "marks": ", ".join(mark for mark in ("late", "replayed") if getattr(row, mark)),
        "next": next_step(row, now),
        "reason": row.reason,
    }


def next_step(row: lookups.DeliveryRow, now: float) -> str:
    """Describe the event that a pending delivery waits for, "" if it has ended."""
    if row.state != "pending":
        return ""
    if row.held:
        return "held: order unknown"
    if row.is_leased(now):
        return "being delivered"
    return "behind its order's earlier one" if row.due_at is None else f"at {render.moment(row.due_at)}"
