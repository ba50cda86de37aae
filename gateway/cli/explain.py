"""The command that tells why a signal did or did not reach each route."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from gateway.cli import render
from gateway.cli.opening import run_on_store
from gateway.cli.options import config_option, json_option
from gateway.config import load_config
from gateway.errors import GatewayError
from gateway.operate.explain import Explanation, Facts
from gateway.operate.explain import explain as explain_routes
from gateway.store.contract import Store
from gateway.store.values import Filter


@click.command()
@click.argument("signal_id", type=int)
@config_option
@json_option
def explain(signal_id: int, config_path: Path, as_json: bool) -> None:
    """Tell, route by route, why a signal did or did not reach it."""
    config = load_config(config_path)
    facts = run_on_store(config, lambda store: read_facts(store, signal_id))
    signal = facts.signal.signal
    found = explain_routes(facts, config.accounts.get(signal.account), time.time())
    if as_json:
        render.print_json(explanation_json(signal_id, explanation) for explanation in found)
        return
    order = f" of order {signal.order}" if signal.order else ""
    late = "; late: a later one of its order was there before" if signal.late else ""
    came = render.moment(signal.received_at.timestamp())
    click.echo(f"Signal {signal_id}: {signal.type}{order}, accepted for {signal.account} at {came} UTC{late}")
    if signal.account not in config.accounts:
        click.echo(f"The account {signal.account} is no longer configured.")
    render.print_table([explanation_line(explanation) for explanation in found], "The account has no routes.")


async def read_facts(store: Store, signal_id: int) -> Facts:
    rows = await store.list_signals(Filter(ids=[signal_id]), 1)
    if not rows:
        raise GatewayError(f"there is no signal {signal_id}")
    account = rows[0].signal.account
    deliveries = await store.list_deliveries(Filter(ids=[signal_id]), 1000)
    states = {route: state for (owner, route), state in (await store.read_route_states()).items() if owner == account}
    return Facts(rows[0], {row.route: row for row in deliveries}, await store.read_heads(signal_id), states)


def explanation_json(signal_id: int, explanation: Explanation) -> dict[str, Any]:
    row = explanation.delivery
    return {
        "signal": signal_id,
        "route": explanation.route,
        "sink": explanation.sink,
        "state": row.state if row else None,
        "why": explanation.why,
        "text": explanation.text,
        "behind": explanation.behind,
        "attempts": row.attempts if row else None,
        "due_at": render.iso(row.due_at) if row else None,
        "ended_at": render.iso(row.ended_at) if row else None,
        "replayed": row.replayed if row else None,
    }


def explanation_line(explanation: Explanation) -> dict[str, object]:
    return {
        "route": explanation.route,
        "sink": explanation.sink,
        "state": explanation.delivery.state if explanation.delivery else "not given",
        "why": explanation.text,
    }


COMMANDS = (explain,)
