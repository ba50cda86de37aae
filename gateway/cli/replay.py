"""Commands that change what is stored: replay, orders."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gateway.cli import progress, render
from gateway.cli.opening import with_store
from gateway.cli.options import config_option, filter_options, json_option, make_filter
from gateway.config import load_config
from gateway.config.values import did_you_mean
from gateway.errors import GatewayError
from gateway.store.contract import Store
from gateway.store.values import Filter


@click.command()
@click.argument("signal_ids", type=int, nargs=-1)
@config_option
@filter_options
@click.option("--dead", "only_dead", is_flag=True, help="Only dead letters.")
@click.option("--after", type=int, help="Only signals with a higher id than this, to go on where a replay stopped.")
@click.option("--dry-run", is_flag=True, help="Say what would be replayed, per route, and change nothing.")
@json_option
def replay(
    signal_ids: tuple[int, ...], config_path: Path, only_dead: bool, dry_run: bool, as_json: bool, **filters: Any
) -> None:
    """Deliver again what has ended: by signal id, or by the filters. A running gateway takes it up within seconds.

    What is pending already is left alone. Live signals go first: replays get a quarter of a route. Ctrl-C ends it in
    order, and says where it stopped.
    """
    if not (signal_ids or only_dead or any(value is not None for value in filters.values())):
        raise click.UsageError("say what to replay: signal ids, --dead, or a filter such as --account")
    which = make_filter(signal_ids, state="dead" if only_dead else None, **filters)
    done = with_store(config_path, lambda store: replay_pages(store, which, dry_run, hidden=as_json), which)
    rows = [{"account": account, "route": route, "deliveries": n} for (account, route), n in sorted(done.found.items())]
    if as_json:
        render.print_json({**row, "replayed": not dry_run} for row in rows)
    else:
        render.print_table(rows, "Nothing matches.")
    total = done.found.total()
    if rows and not as_json:
        click.echo(f"{total} would be replayed; nothing was changed." if dry_run else f"{total} to be delivered again.")
    if done.stopped_at is not None:
        click.echo(f"Interrupted after signal {done.stopped_at}; to go on: --after {done.stopped_at}", err=True)
        sys.exit(progress.INTERRUPTED)


@dataclass
class Done:
    """How many deliveries were or would be replayed, per (account, route), and where it was interrupted: a signal."""

    found: Counter[tuple[str, str]]
    stopped_at: int | None = None


async def replay_pages(store: Store, which: Filter, dry_run: bool, hidden: bool) -> Done:
    done = Done(Counter())
    pages = store.count_replay(which) if dry_run else store.replay(which, time.time())
    with progress.interruptible() as asked, progress.progress_bar("replaying", 1, hidden) as bar:
        async for page in progress.until(asked, pages, yielding=not dry_run):
            done.found.update(page.found)
            done.stopped_at = page.reached if page.reached < page.last else None
            bar.follow(page)
    if done.found and not dry_run:
        await store.record_action("replay", replay_note(which, done), time.time())
    return done


def replay_note(which: Filter, done: Done) -> dict[str, object]:
    """What the history tells of a replay: what was asked for, and how many deliveries it was."""
    asked = {name: value for name, value in dataclasses.asdict(which).items() if value is not None}
    return {**asked, "deliveries": done.found.total()}


@click.command()
@click.argument("account")
@click.argument("orders", nargs=-1)
@click.option("--from", "file", type=click.File("r"), help="Read orders from a file, one a line; - is standard input.")
@config_option
def orders(account: str, orders: tuple[str, ...], file: Any, config_path: Path) -> None:
    """Make orders (ids or references) known to an ACCOUNT that holds unknown ones, and free what was held."""
    names = [*orders, *(line.strip() for line in file or () if line.strip())]
    if not names:
        raise click.UsageError("name at least one order, or use --from FILE")
    known_accounts = load_config(config_path).accounts
    if account not in known_accounts:
        hint = did_you_mean(account, list(known_accounts))
        raise GatewayError(f"there is no account {account!r} in the configuration{hint}")
    freed = with_store(config_path, lambda store: store.add_known_orders(account, names, time.time()))
    known, held = render.count(len(names), "order"), "delivery" if freed == 1 else "deliveries"
    click.echo(f"{known} known to {account}; {freed} held {held} freed.")


COMMANDS = (replay, orders)
