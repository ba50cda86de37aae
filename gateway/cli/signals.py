"""Commands on signals: signals, show, explain."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.cli import render, table
from gateway.cli.deliveries import delivery_line, print_hint
from gateway.cli.opening import read_config, run_on_store, with_store
from gateway.cli.options import config_option, filter_options, json_option, limit_option, make_filter
from gateway.exact_json import to_text
from gateway.model import Attempt
from gateway.operate import lookups, views
from gateway.operate.explain import ExplainedSignal, Explanation, explain_signal
from gateway.store import Store

F = TypeVar("F", bound=Callable[..., Any])


@click.command()
@config_option
@filter_options
@limit_option
@json_option
def signals(config_path: Path, limit: int, as_json: bool, **filters: Any) -> None:
    """List accepted signals, newest first."""
    which = make_filter(**filters)

    async def read(store: Store) -> tuple[Sequence[lookups.SignalRow], str]:
        rows = await lookups.list_signals(store, which, limit)
        return rows, await lookups.hint_if_empty(store, rows, which)

    rows, hint = with_store(config_path, read, which, despite_errors=True)
    if as_json:
        render.print_json(views.signal_json(row) for row in rows)
    else:
        render.print_table([signal_line(row) for row in rows], "No signals.")
    print_hint(hint)


def which_signals(command: F) -> F:
    """Add the argument SIGNAL_ID, and --order and --account in its place."""
    for decorate in (
        click.option("--account", help="With --order: only this account's."),
        click.option("--order", help="All signals of an order: the vendor's order id or your order reference."),
        click.argument("signal_id", type=int, required=False),
    ):
        command = decorate(command)
    return command


async def choose_signals(store: Store, signal_id: int | None, order: str | None, account: str | None) -> Sequence[int]:
    """Return the one signal that the command line names, or all of an order."""
    if signal_id is not None:
        return [signal_id]
    assert order is not None
    return await lookups.find_order(store, order, account)


def require_one(signal_id: int | None, order: str | None) -> None:
    if (signal_id is None) == (order is None):
        raise click.UsageError("name one signal by its SIGNAL_ID, or an order's signals by --order")


@click.command()
@which_signals
@config_option
@json_option
def show(signal_id: int | None, order: str | None, account: str | None, config_path: Path, as_json: bool) -> None:
    """Show a signal, or all of an order: payload, deliveries and their failed attempts."""
    require_one(signal_id, order)

    async def read(store: Store) -> list[lookups.SignalDetails]:
        ids = await choose_signals(store, signal_id, order, account)
        return [await lookups.read_signal(store, number) for number in ids]

    found = with_store(config_path, read, lookups.Filter(account=account), despite_errors=True)
    if as_json:
        render.print_json(map(views.details_json, found))
        return
    for number, details in enumerate(found):
        click.echo("\n" if number else "", nl=False)
        print_details(details)


@click.command()
@which_signals
@config_option
@json_option
def explain(signal_id: int | None, order: str | None, account: str | None, config_path: Path, as_json: bool) -> None:
    """Explain, route by route, why a signal, or each of an order, did or did not reach it."""
    require_one(signal_id, order)
    config = read_config(config_path, despite_errors=True)

    async def read(store: Store) -> list[ExplainedSignal]:
        ids = await choose_signals(store, signal_id, order, account)
        return [await explain_signal(store, config, number, time.time()) for number in ids]

    found = run_on_store(config, read, lookups.Filter(account=account))
    if as_json:
        render.print_json(views.explanation_json(each.row, row) for each in found for row in each.routes)
        return
    for number, explained in enumerate(found):
        click.echo("\n" if number else "", nl=False)
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
        "marks": ", ".join(mark for mark, is_so in (("late", signal.late), ("incomplete", signal.missing)) if is_so),
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
    now = time.time()
    render.print_table([delivery_line(row, now) for row in details.deliveries], "  none: no route asked for it")
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
    reference = f" (your reference {signal.order_reference})" if signal.order_reference else ""
    order = f" of order {signal.order}{reference}" if signal.order else ""
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
        "why": explanation.text,
        "try": explanation.advice,
    }
