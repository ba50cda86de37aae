"""Options that several commands share."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import voluptuous as vol
from click.core import ParameterSource

from gateway import validators
from gateway.operate.lookups import Filter
from gateway.signal_types import ITEM_ERROR

F = TypeVar("F", bound=Callable[..., Any])

PLACES = (Path("gateway.yaml"), Path("config/gateway.yaml"))
"""Main configuration files that are looked for, in this order."""


def find_config() -> Path:
    """Return the first of PLACES that exists, else the last."""
    return next((place for place in PLACES if place.exists()), PLACES[-1])


config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=find_config,
    envvar="CLOUDSIGNAL_CONFIG",
    show_default=" or ".join(map(str, PLACES)),
    show_envvar=True,
    help="The main configuration file.",
)


def find_given_config(config_path: Path) -> Path | None:
    """Return the path of a command that needs no configuration: None if none was named and there is none."""
    given = click.get_current_context().get_parameter_source("config_path") is not ParameterSource.DEFAULT
    return config_path if given or config_path.exists() else None


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
limit_option = click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="Maximum number of rows."
)


def parse_time(text: str) -> float:
    """Return seconds since the epoch, from ISO 8601 (UTC if it has no offset) or from an age: 90s, 12h, 7d."""
    try:
        return validators.parse_moment(text, time.time())
    except ValueError:
        raise click.BadParameter("expected a time such as 2026-11-24T08:00, or an age such as 12h") from None


def duration(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    """Return seconds from a duration such as 90d; the callback of an option."""
    try:
        return None if text is None else validators.duration(text)
    except vol.Invalid as error:
        raise click.BadParameter(str(error)) from None


TIMES = "2026-11-24, 2026-11-24T08:00 (in UTC), 2026-11-24T08:00+01:00, or an age such as 90s, 12h, 7d"
"""The forms of a time, for help texts."""


def time_window_options(command: F) -> F:
    """Add --since and --until."""
    command = click.option("--until", type=parse_time, help=f"Received before this time: {TIMES}.")(command)
    return click.option("--since", type=parse_time, help=f"Received at this time or later: {TIMES}.")(command)


def filter_options(command: F) -> F:
    """Add the options that `make_filter` takes."""
    for option in (
        time_window_options,
        click.option("--order", help="The vendor's order id or your order reference."),
        click.option("--type", "type_", help=f"A signal type, such as {ITEM_ERROR}."),
        click.option("--route", help="A route's name."),
        click.option("--account", help="An account's name."),
    ):
        command = option(command)
    return command


def make_filter(ids: tuple[int, ...] = (), type_: str | None = None, state: Any = None, **fields: Any) -> Filter:
    """Return the filter that a command's options ask for."""
    return Filter(ids=ids or None, type=type_, state=state, **fields)
