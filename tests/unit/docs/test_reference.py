"""config/README.md is complete: every setting, command, option, metric, log event and error, and none that is gone."""

from __future__ import annotations

import inspect
import re

import click
import pytest

from gateway import errors, protocol
from gateway.cli import main
from gateway.config import settings_table
from gateway.metrics import PrometheusObserver
from gateway.web.answers import STATUS
from tests.support.events import logged_events
from tests.support.pages import ROOT, names, rows, section

PAGE = (ROOT / "config" / "README.md").read_text()
LENGTHS = [protocol.TYPE, *(check for check in protocol.PARAMETERS.values() if isinstance(check, protocol.Text))]
FILTERS = ["--account", "--route", "--type", "--order", "--since", "--until"]


def test_settings() -> None:
    lines = section(PAGE, "## Settings").splitlines()
    assert [line for line in lines if line.startswith("| `")] == [str(row) for row in settings_table()]


@pytest.mark.parametrize("limit", sorted({check.limit for check in LENGTHS}))
def test_limits_on_lengths(limit: int) -> None:
    assert f"{limit:,}" in PAGE.partition("Lengths are limited")[2].partition("\n\n")[0]


# -- commands


def commands(group: click.Group, prefix: str = "cloudsignal") -> dict[str, click.Command]:
    """Return every command by its full name."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        found[f"{prefix} {name}"] = command
        if isinstance(command, click.Group):
            found |= commands(command, f"{prefix} {name}")
    return found


def parameters(command: click.Command) -> list[str]:
    """Return a command's arguments and options, as the table writes them."""
    context = click.Context(command)
    return [
        re.sub(r"[^A-Z_]", "", param.make_metavar(context)) if isinstance(param, click.Argument) else param.opts[0]
        for param in command.params
        if not getattr(param, "hidden", False)
    ]


COMMANDS = commands(main)


def test_commands() -> None:
    assert sorted(names(PAGE, "command")) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_its_arguments_and_options(name: str) -> None:
    (cells,) = [cells for first, cells, _ in rows(PAGE, "command") if first == f"`{name}`"]
    listed = [cell.strip("`.") for cell in cells.split(", ") if cell]
    spread = [each for cell in listed for each in (FILTERS if cell == "filters" else [cell])]
    assert sorted(spread) == sorted(parameters(COMMANDS[name]))


def test_options() -> None:
    used = {name for command in COMMANDS.values() for name in parameters(command) if name.startswith("--")}
    assert names(PAGE, "option") == sorted(used)


# -- what is watched


def test_metrics_with_their_labels() -> None:
    found = {name: ", ".join(labels) for name, labels in PrometheusObserver().labels.items()}
    assert {row[0].strip("`"): row[1] for row in rows(PAGE, "metric")} == found


EVENTS = logged_events()


def test_log_events() -> None:
    listed = names(PAGE, "event")
    assert sorted(listed) == sorted(EVENTS)
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("event", EVENTS)
def test_a_log_event_has_its_level(event: str) -> None:
    (levels,) = [row[1].split(", ") for row in rows(PAGE, "event") if row[0] == f"`{event}`"]
    assert set(levels) <= EVENTS[event]


# -- errors


def test_errors_with_their_status() -> None:
    classes = {
        name: kind
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.GatewayError)
    }
    found = {name: status(kind) for name, kind in classes.items()}
    assert {row[0].strip("`"): row[1] for row in rows(PAGE, "error")} == found


def status(kind: type[errors.GatewayError]) -> str:
    """Return the HTTP status of an error, "" where it is never answered."""
    return next((str(STATUS[each]) for each in kind.__mro__ if each in STATUS), "")


def test_every_status_is_explained() -> None:
    listed = ", ".join(names(PAGE, "answer")).split(", ")
    assert {str(code) for code in STATUS.values()} <= set(listed)


def test_every_row_says_something() -> None:
    for first in ("setting", "command", "option", "metric", "event", "error", "answer", "field"):
        assert rows(PAGE, first)
        for row in rows(PAGE, first):
            assert len(row[-1]) > 6, row
