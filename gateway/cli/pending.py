"""Commands on pending deliveries: retry, skip, probe."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import click

from gateway.cli import render
from gateway.cli.opening import read_config, run_on_store
from gateway.cli.options import config_option, json_option
from gateway.operate import views
from gateway.operate.pending import Tried, follow, probe_route, retry_now, skip_delivery
from gateway.store import Store

wait_option = click.option(
    "--wait", type=click.FloatRange(0), default=5.0, show_default=True, help="Seconds to wait for the outcome."
)


@click.command()
@click.argument("signal_id", type=int)
@click.option("--route", help="Only on this route; else on all on which it is pending.")
@wait_option
@config_option
@json_option
def retry(signal_id: int, route: str | None, wait: float, config_path: Path, as_json: bool) -> None:
    """Try a pending delivery now, also on a route that rests: it is then the probe.

    A running gateway tries it within seconds. Deliveries that have ended are repeated by `replay`.
    """
    config = read_config(config_path, despite_errors=True)

    async def ask(store: Store) -> Sequence[Tried]:
        return await retry_now(store, config, signal_id, route, time.time())

    tell(run_on_store(config, lambda store: ask_and_follow(store, ask, wait)), as_json)


@click.command()
@click.argument("account")
@click.argument("route")
@wait_option
@config_option
@json_option
def probe(account: str, route: str, wait: float, config_path: Path, as_json: bool) -> None:
    """Try a resting ROUTE of an ACCOUNT now, with one of its pending deliveries.

    Use it when the target was down or its settings were wrong, and you have mended them.
    """
    config = read_config(config_path, despite_errors=True)

    async def ask(store: Store) -> Sequence[Tried]:
        return [await probe_route(store, config, (account, route), time.time())]

    tell(run_on_store(config, lambda store: ask_and_follow(store, ask, wait)), as_json)


@click.command()
@click.argument("signal_id", type=int)
@click.option("--route", required=True, help="The route on which it is pending.")
@click.option("--why", default="", help="The reason, kept with the delivery.")
@config_option
@json_option
def skip(signal_id: int, route: str, why: str, config_path: Path, as_json: bool) -> None:
    """End a pending delivery without delivering it; the next one of its order follows.

    It counts as filtered, and can be replayed.
    """
    config = read_config(config_path, despite_errors=True)
    row = run_on_store(config, lambda store: skip_delivery(store, config, signal_id, route, why, time.time()))
    if as_json:
        render.print_json([{"account": row.account, "route": row.route, "signal": row.signal_id, "state": "filtered"}])
    else:
        click.echo(f"{row.account}/{row.route}: signal {row.signal_id} is skipped, and counts as filtered.")


async def ask_and_follow(store: Store, ask: Callable[[Store], Awaitable[Sequence[Tried]]], wait: float) -> list[Tried]:
    """Ask for the tries, and wait for their outcomes."""
    return [await follow(store, tried, wait, time.time) for tried in await ask(store)]


def tell(tries: Sequence[Tried], as_json: bool) -> None:
    """Print the outcomes; exit with 1 if a try has failed."""
    if as_json:
        render.print_json(map(views.tried_json, tries))
    for tried in () if as_json else tries:
        click.echo(describe(tried))
    if any(tried.outcome in ("failed", "dead") for tried in tries):
        sys.exit(1)


def describe(tried: Tried) -> str:
    name = f"{tried.account}/{tried.route}"
    if tried.signal_id is None:
        return f"{name}: nothing is due to try it with; its next signal will be tried at once."
    because = f": {tried.reason}" if tried.reason else ""
    words = {
        "waiting": f"is due now, and was not tried yet. Is a gateway running? `cloudsignal explain {tried.signal_id}`",
        "failed": f"was tried, and failed{because}",
        "dead": f"was tried, and is a dead letter{because}",
    }
    return f"{name}: signal {tried.signal_id} {words.get(tried.outcome, f'is {tried.outcome}{because}')}"
