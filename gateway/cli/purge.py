"""The command that removes what is old and done with."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import voluptuous as vol
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from gateway.cli import render
from gateway.cli.opening import run_on_store
from gateway.cli.options import config_option, json_option
from gateway.config import load_config
from gateway.errors import StoreError
from gateway.operate import housekeeping
from gateway.store.contract import Store
from gateway.validators import duration


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be removed: signals received before a time, with dead letters or without, and perhaps quarantine."""

    before: float
    dead: bool
    quarantine: bool


@dataclass(slots=True)
class Removed:
    signals: int = 0
    deliveries: int = 0
    quarantined: int = 0


def age(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    """Seconds, from 90d and the like."""
    try:
        return None if text is None else duration(text)
    except vol.Invalid as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@config_option
@click.option("--older-than", metavar="TIME", callback=age, help="Such as 30d; store.retention where not given.")
@click.option("--dead", is_flag=True, help="Also signals that became dead letters, which can't be replayed then.")
@click.option("--quarantine", is_flag=True, help="Also requests that were quarantined.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and change nothing.")
@json_option
def purge(
    config_path: Path, older_than: float | None, dead: bool, quarantine: bool, dry_run: bool, as_json: bool
) -> None:
    """Remove old signals that are done with, as the gateway itself does every hour.

    What is pending stays, whatever its age; dead letters and quarantine only go where they are asked for. The sender
    repeats a signal for 7 days: one that is removed by then may act twice.
    """
    config = load_config(config_path)
    wish = Wish(time.time() - (config.retention if older_than is None else older_than), dead, quarantine)

    async def work(store: Store) -> Removed:
        counted = await count(store, wish)
        return counted if dry_run else await remove(store, wish, counted, hidden=as_json)

    removed = run_on_store(config, work)
    if as_json:
        render.print_json([to_json(removed, dry_run)])
    else:
        click.echo(in_words(removed, dry_run))


async def count(store: Store, wish: Wish) -> Removed:
    quarantined = await store.count_quarantine(wish.before) if wish.quarantine else 0
    return Removed(await store.count_purge(wish.before, wish.dead), 0, quarantined)


async def remove(store: Store, wish: Wish, counted: Removed, hidden: bool) -> Removed:
    """What goes as a whole, then batch after batch; in the history once done."""
    removed = Removed()
    columns = ("removing", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=hidden) as progress:
        task = progress.add_task("", total=counted.signals + counted.quarantined)
        with contextlib.suppress(StoreError):  # others are at work without a break: then row by row
            async for part in store.drop_partitions(wish.before, wish.dead):
                removed.signals += part.signals
                removed.deliveries += part.deliveries
                progress.advance(task, part.signals)
        async for batch in housekeeping.purge_signals(store, wish.before, wish.dead):
            removed.signals += batch.signals
            removed.deliveries += batch.deliveries
            progress.advance(task, batch.signals)
        if wish.quarantine:
            async for number in housekeeping.purge_quarantine(store, wish.before):
                removed.quarantined += number
                progress.advance(task, number)
    await store.record_action("purge", {"before": render.iso(wish.before), **to_json(removed, False)}, time.time())
    return removed


def to_json(removed: Removed, dry_run: bool) -> dict[str, Any]:
    found = {"signals": removed.signals, "quarantined": removed.quarantined, "removed": not dry_run}
    return found if dry_run else {**found, "deliveries": removed.deliveries}


def in_words(removed: Removed, dry_run: bool) -> str:
    signals = render.count(removed.signals, "signal")
    quarantined = render.count(removed.quarantined, "quarantined request")
    if dry_run:
        return f"{signals} and {quarantined} would be removed; nothing was changed."
    deliveries = "1 delivery" if removed.deliveries == 1 else f"{removed.deliveries} deliveries"
    return f"{signals} with {deliveries}, and {quarantined} removed."


COMMANDS = (purge,)
