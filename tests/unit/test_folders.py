"""tests/unit needs no server and no process: these tests are in contract/ and acceptance/."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

UNIT = Path(__file__).parent
FIXTURES = {"postgres", "postgres_url", "pooler", "tryton"}
MODULES = {
    "subprocess",
    "multiprocessing",
    "tests.support.postgres",
    "tests.support.pooler",
    "tests.support.process.Gateway",
    "tests.support.process.run_cli",
}
"""Modules and names that start a server or a process."""


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", sorted(UNIT.rglob("*.py")), ids=lambda path: str(path.relative_to(UNIT)))
def test_a_unit_test_needs_no_server_and_no_process(path: Path) -> None:
    tree = ast.parse(path.read_text())
    arguments = {argument.arg for node in ast.walk(tree) if isinstance(node, ast.arguments) for argument in node.args}
    assert not arguments & FIXTURES
    assert not imported(tree) & MODULES
