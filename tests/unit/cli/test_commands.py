"""All commands: their help and their exit code for wrong usage."""

import click
import pytest

from gateway.cli import main
from tests.support.folder import Folder


@pytest.mark.parametrize("words", [["nonsense"], ["show", "x"], ["signals", "--limit", "0"], ["replay", "--nope"]])
def test_wrong_usage_is_code_2(folder: Folder, words: list[str]) -> None:
    folder.run(*words, code=2)


def test_the_list_of_commands_is_not_cut(folder: Folder) -> None:
    assert "...\n" not in folder.run("--help").output.partition("Commands:")[2]


def commands(group: click.Group, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        inner = commands(command, (*prefix, name)) if isinstance(command, click.Group) else []
        found += inner or [(*prefix, name)]
    return found


@pytest.mark.parametrize("words", commands(main), ids=" ".join)
def test_every_command_has_help(folder: Folder, words: tuple[str, ...]) -> None:
    assert "Usage:" in folder.run(*words, "--help").output
