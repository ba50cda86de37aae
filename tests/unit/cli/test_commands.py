"""All commands: their help and their exit code for wrong usage."""

import re

import click
import pytest

from gateway.cli import GROUPS, main
from tests.support.folder import Folder


@pytest.mark.parametrize("words", [["nonsense"], ["show", "x"], ["signals", "--limit", "0"], ["replay", "--nope"]])
def test_wrong_usage_is_code_2(folder: Folder, words: list[str]) -> None:
    folder.run(*words, code=2)


def test_a_mistyped_command_is_told_with_the_right_one(folder: Folder) -> None:
    assert "no such command 'singals'; did you mean 'signals'?" in folder.run("singals", code=2).output


def test_the_list_of_commands_is_not_cut(folder: Folder) -> None:
    assert "...\n" not in folder.run("--help").output.partition("Set up:")[2]


def test_every_command_is_in_one_group(folder: Folder) -> None:
    grouped = [str(command.name) for group in GROUPS.values() for command in group]
    assert sorted(grouped) == sorted(main.commands)
    text = folder.run("--help").output
    for title, group in GROUPS.items():
        part = text.partition(f"\n{title}:\n")[2].partition("\n\n")[0]
        assert re.findall(r"^  (\w+)", part, re.MULTILINE) == [command.name for command in group]


def commands(group: click.Group, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        inner = commands(command, (*prefix, name)) if isinstance(command, click.Group) else []
        found += inner or [(*prefix, name)]
    return found


@pytest.mark.parametrize("words", commands(main), ids=" ".join)
def test_every_command_has_help(folder: Folder, words: tuple[str, ...]) -> None:
    assert "Usage:" in folder.run(*words, "--help").output


def test_work_that_fails_at_once_shows_no_progress(folder: Folder) -> None:
    (folder.path / "copy.db").touch()
    said = folder.run("backup", "copy.db", code=1).stderr
    assert said.startswith("copy.db is there already")
    (folder.path / "copy.db").unlink()
    assert "copying" in folder.run("backup", "copy.db").stderr
