"""The command simulate."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from gateway.cli import render
from gateway.cli.options import json_option
from gateway.cli.progress import Bar, progress_bar
from gateway.errors import GatewayError
from gateway.model import SecretValue

if TYPE_CHECKING:
    from gateway.simulate import Answer, Target


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
@click.option("--yes", is_flag=True, help="Do not ask, although an endpoint is not on this machine.")
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
    yes: bool,
    as_json: bool,
) -> None:
    """Play a day of orders against accounts' endpoints (URL...), with retries as the vendor's but faster.

    Each order has several items; some have errors, reprints, cancellations or two parcels. Ends with a summary
    of the answers; exit code 1 if a signal was given up.

    The routes of these accounts act for real: they write to the ERP and post to Slack. So it asks before it sends to
    another machine.
    """
    from gateway.simulate import RetrySchedule, Sender, disturb, simulate_orders  # aiohttp takes a third of a start

    targets = [make_target(url, key) for url in urls]
    confirm(urls, yes)
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


def confirm(urls: Sequence[str], yes: bool) -> None:
    """Warn that routes act for real. Ask if an endpoint is on another machine. Raises GatewayError if nobody can."""
    click.echo("note: the routes of these accounts act for real, and that can't be taken back", err=True)
    others = sorted({urlsplit(url).netloc.rpartition("@")[2] for url in urls if not is_loopback(url)})
    if not others or yes:
        return
    if not sys.stdin.isatty():
        raise GatewayError(f"{', '.join(others)}: not on this machine; confirm with --yes")
    click.confirm(f"Send made-up signals to {', '.join(others)}?", abort=True, err=True)


def is_loopback(url: str) -> bool:
    """Return True if a URL's host is this machine, by its address or as localhost."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


HINTS = {
    400: "it is no valid signal to this account",
    401: "no such account, or not its key; the sender retries, as the vendor does",
    404: "no such path; expected …/signals/ACCOUNT",
    405: "it does not take POST",
    413: "the body is too large for it",
    429: "too many signals, or too many wrong keys",
    503: "it can't take signals now",
}
"""Reasons for answers that do not accept a signal."""


class Reporter:
    """Shows the answers on the bar, and reports each reason for a refusal or for no answer once a URL."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._told: set[tuple[str, int | str]] = set()

    def __call__(self, answer: Answer) -> None:
        if not answer.accepted:
            self._tell(answer)
        if answer.last:
            self._bar.advance()

    def _tell(self, answer: Answer) -> None:
        cause = answer.reason if answer.code is None else answer.code
        if (answer.url, cause) in self._told:
            return
        self._told.add((answer.url, cause))
        if answer.code is None:
            click.echo(f"{answer.url} does not answer: {answer.reason}", err=True)
        else:
            hint = HINTS.get(answer.code, "expected 200 or 204")
            click.echo(f"{answer.url} answers {answer.code}: {hint}", err=True)


def make_target(url: str, key: str) -> Target:
    """Return the target of an endpoint's URL. Raises click.BadParameter if it is not a URL."""
    from gateway.simulate import Target

    try:
        return Target(url, SecretValue(key))
    except GatewayError as error:
        raise click.BadParameter(str(error), param_hint="URL") from None
