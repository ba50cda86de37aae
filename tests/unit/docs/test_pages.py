"""The pages of the project: each link leads somewhere, each path and command that they name is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from gateway.cli import main
from gateway.sink.registry import installed_plugins, load_plugin
from tests.support.pages import ROOT, anchors, links, names, paths, rows
from tests.unit.test_layers import RANKS

PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part in ("build", "dist") for part in path.relative_to(ROOT).parts)
)
README = (ROOT / "README.md").read_text()
MADE_LATER = re.compile(r"(data|exports|tour|my-gateway|tls|bookshop)(/|$)|damaged\.db|^\w+\.(db|example)$")
"""Paths of examples, that a reader makes."""


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for link in links(text):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text()), link


OF_OTHERS = ("plugins", "odoo_recordings")
OURS = [page for page in PAGES if "cloudsignal_" not in str(page) and page.parent.name not in OF_OTHERS]


@pytest.mark.parametrize("page", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_are_there(page: Path) -> None:
    """A path is found from the project's root, from gateway/, or from the page's own folder or its helpers'."""
    bases = (ROOT, ROOT / "gateway", page.parent, page.parent / "support")
    missing = [
        path
        for path in paths(page.read_text())
        if not MADE_LATER.search(path) and not any([*base.glob(path)] for base in bases)
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_that_are_named_exist(page: Path) -> None:
    for name in re.findall(r"`cloudsignal ([a-z]+)[^`]*`", page.read_text()):
        assert name in main.commands, name


def test_commands_that_the_code_names_exist() -> None:
    named = [
        (str(path.relative_to(ROOT)), name)
        for folder in ("gateway", "plugins")
        for path in (ROOT / folder).rglob("*.py")
        for name in re.findall(r"`cloudsignal ([a-z]+)", path.read_text())
    ]
    assert named
    assert [(path, name) for path, name in named if name not in main.commands] == []


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_the_readme_lists_every_sink() -> None:
    assert sorted(names(README, "sink")) == sorted(
        name for name, entry in installed_plugins().items() if entry.value.startswith("cloudsignal_")
    )


@pytest.mark.parametrize("name", names(README, "sink"))
def test_a_sink_has_a_page_with_its_options(name: str) -> None:
    page = (ROOT / "plugins" / f"cloudsignal_{name}" / "README.md").read_text()
    sink = load_plugin(installed_plugins()[name]).sink
    assert sink is not None
    for option in sink.options:
        assert f"`{option}`" in page


def test_the_readmes_commands_can_be_parsed() -> None:
    for line in re.findall(r"^cloudsignal (.*?)(?: &)?$", README, re.MULTILINE):
        name, *words = shlex.split(line)
        command = main.commands[name]
        assert isinstance(command, click.Command)
        command.make_context(name, words, resilient_parsing=True)


def test_every_option_of_the_tests_is_listed() -> None:
    given = re.findall(r'addoption\("(--[a-z-]+)"', (ROOT / "tests" / "acceptance" / "conftest.py").read_text())
    page = (ROOT / "tests" / "README.md").read_text()
    assert [name.split()[0] for name in names(page, "option")] == given


def test_every_bench_is_listed() -> None:
    benches = {
        path.stem
        for path in (ROOT / "tests" / "bench").glob("*.py")
        if f"python -m tests.bench.{path.stem} [--" in path.read_text()
    }
    page = (ROOT / "tests" / "bench" / "README.md").read_text()
    assert set(re.findall(r"`python -m tests\.bench\.(\w+)`", page)) == benches - {"fill"}


@pytest.mark.parametrize("page", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_that_are_named_exist(page: Path) -> None:
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text()):
        assert f"def {name}(" in (ROOT / path).read_text(), name


def test_the_architecture_names_every_part_of_the_gateway() -> None:
    page = (ROOT / "gateway" / "README.md").read_text()
    layers = [re.findall(r"`([^`]+)`", row[0]) for row in rows(page, "layer")]
    named = [{name.removesuffix("/").removesuffix(".py") for name in layer} for layer in layers]
    assert named == RANKS[::-1]


def test_every_helper_of_the_tests_is_listed() -> None:
    page = (ROOT / "tests" / "README.md").read_text()
    helpers = [path.name for path in (ROOT / "tests" / "support").glob("*.py") if path.name != "__init__.py"]
    assert [name for name in helpers if not re.search(rf"[`/]{name}`", page)] == []
