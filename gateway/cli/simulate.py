"""The command simulate."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from gateway.cli import render
from gateway.cli.options import json_option
from gateway.cli.progress import Bar, progress_bar
from gateway.errors import GatewayError
from gateway.model import SecretValue
from gateway.simulate import Answer, RetrySchedule, Sender, Target, disturb, simulate_orders


@click.command()
@click.argument("urls", metavar="URL...", nargs=-1, required=True)
@click.option("--key", envvar="CLOUDSIGNAL_KEY", required=True, show_envvar=True, help="A key that every URL accepts.")
@click.option("--orders", type=click.IntRange(1), default=10, show_default=True, help="Orders to play.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Signals a second. Default: unlimited.")
@click.option("--connections", type=click.IntRange(1), default=8, show_default=True, help="Concurrent requests.")
@click.option("--seed", type=int, default=0, show_default=True, help="Random seed: equal seeds play equal orders.")
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day the orders were placed. Default: a week ago. Equal days and seeds give equal signals.",
)
@click.option("--duplicates", type=click.FloatRange(0, 1), default=0.0, help="Share of the signals sent twice.")
@click.option("--late", type=click.FloatRange(0, 1), default=0.0, help="Share of the signals sent late, out of order.")
@click.option("--attempts", type=click.IntRange(1), default=100, show_default=True, help="Attempts before giving up.")
@click.option("--ca-file", type=click.Path(path_type=Path, exists=True), help="Certificates to trust, for https.")
@json_option
def simulate(
    urls: tuple[str, ...],
    key: str,
    orders: int,
    rate: float | None,
    connections: int,
    seed: int,
    start: datetime | None,
    duplicates: float,
    late: float,
    attempts: int,
    ca_file: Path | None,
    as_json: bool,
) -> None:
    """Play a day of orders against accounts' endpoints (URL...), with retries as the vendor's but faster.

    Each order has several items; some have errors, reprints, cancellations or two parcels. Ends with a summary
    of the answers; exit code 1 if a signal was given up.
    """
    targets = [make_target(url, key) for url in urls]
    rng = random.Random(seed)
    day = (start or datetime.now(UTC) - timedelta(days=7)).replace(
        hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC
    )
    events = list(disturb(simulate_orders(rng, day, timedelta(days=1), orders), rng, late, duplicates))
    schedule = RetrySchedule(attempts=attempts)
    with progress_bar("sending", len(events), hidden=as_json) as bar:
        on_answer = Reporter(bar)
        sender = Sender(
            targets, connections=connections, rate=rate, schedule=schedule, ca_file=ca_file, on_answer=on_answer
        )
        # An interrupt ends the sending, but the summary is still printed.
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(sender.run(events))
    summary = sender.summary()
    if as_json:
        render.print_json([summary.as_dict()])
    else:
        click.echo(str(summary))
    if summary.given_up:
        sys.exit(1)


class Reporter:
    """Shows the answers on the bar, and reports the first 401 of each URL."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._refused: set[str] = set()

    def __call__(self, answer: Answer) -> None:
        if answer.code == 401 and answer.url not in self._refused:
            self._refused.add(answer.url)
            hint = "no such account, or not its key; the sender retries, as the vendor does"
            click.echo(f"{answer.url} answers 401: {hint}", err=True)
        if answer.last:
            self._bar.advance()


def make_target(url: str, key: str) -> Target:
    """Return the target of an endpoint's URL. Raises click.BadParameter if it is not a URL."""
    try:
        return Target(url, SecretValue(key))
    except GatewayError as error:
        raise click.BadParameter(str(error), param_hint="URL") from None
