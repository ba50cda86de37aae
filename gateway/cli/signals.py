"""Commands on signals: signals, show, explain."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from gateway.cli import render, table
from gateway.cli.deliveries import delivery_line
from gateway.cli.opening import read_config, run_on_store, with_store
from gateway.cli.options import config_option, filter_options, json_option, limit_option, make_filter
from gateway.exact_json import to_text
from gateway.model import Attempt
from gateway.operate import lookups, views
from gateway.operate.explain import ExplainedSignal, Explanation, explain_signal


@click.command()
@config_option
@filter_options
@limit_option
@json_option
def signals(config_path: Path, limit: int, as_json: bool, **filters: Any) -> None:
    """List accepted signals, newest first."""
    which = make_filter(**filters)
    rows = with_store(config_path, lambda store: lookups.list_signals(store, which, limit), which)
    if as_json:
        render.print_json(views.signal_json(row) for row in rows)
    else:
        render.print_table([signal_line(row) for row in rows], "No signals.")


@click.command()
@click.argument("signal_id", type=int)
@config_option
@json_option
def show(signal_id: int, config_path: Path, as_json: bool) -> None:
    """Show one signal: its payload, its deliveries and their failed attempts."""
    details = with_store(config_path, lambda store: lookups.read_signal(store, signal_id))
    if as_json:
        render.print_json([views.details_json(details)])
    else:
        print_details(details)


@click.command()
@click.argument("signal_id", type=int)
@config_option
@json_option
def explain(signal_id: int, config_path: Path, as_json: bool) -> None:
    """Explain, route by route, why a signal did or did not reach it."""
    config = read_config(config_path)
    explained = run_on_store(config, lambda store: explain_signal(store, config, signal_id, time.time()))
    if as_json:
        render.print_json(views.explanation_json(signal_id, explanation) for explanation in explained.routes)
    else:
        print_explained(explained)


# -- tables


def signal_line(row: lookups.SignalRow) -> dict[str, object]:
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


def print_details(details: lookups.SignalDetails) -> None:
    for name, value in views.signal_json(details.row).items():
        if name not in ("payload", "deliveries"):
            click.echo(f"{name:16} {render.show(in_words(value))}")
    click.echo("\nPayload, as sent but for the key")
    for name, value in details.row.signal.payload.items():
        click.echo(f"  {render.show(name):20} {render.show(None if value is None else to_text(value))}")
    click.echo(f"\nDeliveries ({details.row.deliveries} given when accepted)")
    render.print_table([delivery_line(row) for row in details.deliveries], "  none: no route asked for it")
    for route, attempts in details.attempts.items():
        click.echo(f"\nFailed attempts on {route}")
        render.print_table([attempt_line(attempt) for attempt in attempts], "")


def in_words(value: object) -> object:
    """Return a JSON value as people read it: booleans as yes and no, lists with commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else value


def attempt_line(attempt: Attempt) -> dict[str, object]:
    return {
        "number": attempt.number,
        "at (UTC)": render.moment(attempt.started_at),
        "seconds": round(attempt.duration, 3),
        "outcome": attempt.kind.value,
        "reason": attempt.reason,
    }


def print_explained(explained: ExplainedSignal) -> None:
    signal = explained.row.signal
    order = f" of order {signal.order}" if signal.order else ""
    late = "; late: a later one of its order was there before" if signal.late else ""
    received = render.moment(signal.received_at.timestamp())
    table.print_text(f"Signal {signal.id}: {signal.type}{order}, accepted for {signal.account} at {received} UTC{late}")
    if not explained.configured:
        click.echo(f"The account {signal.account} is no longer configured.")
    render.print_table([explanation_line(row) for row in explained.routes], "The account has no routes.")


def explanation_line(explanation: Explanation) -> dict[str, object]:
    return {
        "route": explanation.route,
        "sink": explanation.sink,
        "state": explanation.delivery.state if explanation.delivery else explanation.why,
        "why": f"{explanation.text}. Try: {explanation.advice}" if explanation.advice else explanation.text,
    }
