"""Commands that look after routes: routes, pause, resume."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gateway import policy
from gateway.cli import render
from gateway.cli.opening import run_on_store
from gateway.cli.options import config_option, json_option
from gateway.config import Config, load_config
from gateway.model import Route, RouteKey
from gateway.store.contract import Store
from gateway.store.values import Backlog, Filter, RouteState

NOTHING = Backlog(pending=0, due=0, oldest_at=None)


@dataclass(frozen=True, slots=True)
class Row:
    """A route as listed: as configured (None: no longer), as the store remembers it, and what it has pending."""

    key: RouteKey
    route: Route | None
    state: RouteState
    backlog: Backlog

    @property
    def status(self) -> str:
        if self.route is None:
            return "not configured"
        if not self.route.enabled:
            return "off"
        return policy.Breaker.from_state(self.state).status(self.state.paused).name.lower()

    @property
    def why(self) -> str:
        """People's reason for a pause, and the target's for an open breaker."""
        return "; ".join(filter(None, (self.state.why, self.state.reason)))

    @property
    def probe_at(self) -> float | None:
        """When an open route is next tried; None for one that is not open, or that people have paused."""
        return self.state.probe_at if self.status in ("open", "misconfigured") else None


@click.command()
@config_option
@click.option("--account", help="An account's name.")
@json_option
def routes(config_path: Path, account: str | None, as_json: bool) -> None:
    """List routes: whether each delivers, why if not, and what it has pending."""
    config = load_config(config_path)
    rows = run_on_store(config, lambda store: read_rows(store, config), Filter(account=account))
    rows = [row for row in rows if account in (None, row.key[0])]
    now = time.time()
    if as_json:
        render.print_json(row_json(row, now) for row in rows)
    else:
        render.print_table([row_line(row, now) for row in rows], "No routes.")


async def read_rows(store: Store, config: Config) -> list[Row]:
    """The config's routes, in its order, then those that only the store knows of."""
    states, backlog = await store.read_route_states(), await store.read_backlog()
    known = configured(config)
    keys = dict.fromkeys([*known, *sorted({*states, *backlog})])
    return [Row(key, known.get(key), states.get(key) or RouteState(*key), backlog.get(key, NOTHING)) for key in keys]


def configured(config: Config) -> Mapping[RouteKey, Route]:
    routes = [route for account in config.accounts.values() for route in account.routes.values()]
    return {(route.account, route.name): route for route in routes}


def row_json(row: Row, now: float) -> dict[str, Any]:
    oldest = row.backlog.oldest_at
    return {
        "account": row.key[0],
        "route": row.key[1],
        "sink": row.route.sink if row.route else None,
        "state": row.status,
        "paused_at": render.iso(row.state.paused_at),
        "why": row.state.why,
        "reason": row.state.reason,
        "probe_at": render.iso(row.probe_at),
        "pending": row.backlog.pending,
        "due": row.backlog.due,
        "oldest_at": render.iso(oldest),
        "oldest_seconds": None if oldest is None else round(max(0.0, now - oldest), 3),
    }


def row_line(row: Row, now: float) -> dict[str, object]:
    oldest = row.backlog.oldest_at
    return {
        "account": row.key[0],
        "route": row.key[1],
        "sink": row.route.sink if row.route else "",
        "state": row.status,
        "pending": row.backlog.pending,
        "due": row.backlog.due,
        "oldest": "" if oldest is None else render.age(now - oldest),
        "next probe (UTC)": render.moment(row.probe_at),
        "why": row.why,
    }


@click.command()
@click.argument("account")
@click.argument("route")
@click.option("--why", default="", help="The reason, for whoever looks next.")
@config_option
def pause(account: str, route: str, why: str, config_path: Path) -> None:
    """Stop delivering on a ROUTE of an ACCOUNT, and lose nothing: what comes for it waits.

    It stays paused, also when the gateway is started again, until it is resumed. A running gateway follows within
    seconds; what it has in hand by then, it ends.
    """
    row = set_paused(load_config(config_path), (account, route), True, why)
    click.echo(f"{account}/{route} is paused; {row.backlog.pending} pending wait.")


@click.command()
@click.argument("account")
@click.argument("route")
@config_option
def resume(account: str, route: str, config_path: Path) -> None:
    """Deliver again on a ROUTE of an ACCOUNT that was paused. A running gateway follows within seconds."""
    row = set_paused(load_config(config_path), (account, route), False, "")
    if not row.state.paused:
        click.echo(f"{account}/{route} was not paused.")
        return
    click.echo(f"{account}/{route} is resumed; {row.backlog.pending} pending.")
    if row.state.reason:
        click.echo(f"Its target was failing before: {row.state.reason}. The gateway probes it first.")


def set_paused(config: Config, key: RouteKey, paused: bool, why: str) -> Row:
    """Pause or resume; the route as it was before."""

    async def work(store: Store) -> Row:
        rows = {row.key: row for row in await read_rows(store, config)}
        row = rows.get(key) or Row(key, None, RouteState(*key), NOTHING)
        if paused or row.state.paused:
            await store.set_paused(*key, paused, time.time(), why)
        return row

    return run_on_store(config, work, Filter(account=key[0], route=key[1]))


COMMANDS = (routes, pause, resume)
