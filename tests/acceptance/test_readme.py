"""The README tells the truth: its tour runs, and every setting, command, metric and sink is in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from gateway import protocol
from gateway.cli import main
from gateway.config import settings_table
from gateway.metrics import PrometheusObserver
from gateway.sink.registry import installed_plugins, load_plugin
from tests.support.process import ROOT, copy_checkout, free_port

LIMITED = [protocol.TYPE, *(check for check in protocol.PARAMETERS.values() if isinstance(check, protocol.Text))]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("row", [str(row) for row in settings_table()])
def test_every_setting_is_in_the_readme(row: str) -> None:
    assert row in README


def test_the_readme_has_no_setting_that_is_gone() -> None:
    section = README.partition("## Settings")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [str(row) for row in settings_table()]


@pytest.mark.parametrize("command", main.commands.values(), ids=lambda command: str(command.name))
def test_every_command_is_in_the_readme(command: click.Command) -> None:
    assert f"| `cloudsignal {command.name}` |" in README


def test_every_metric_is_in_the_readme() -> None:
    names = {family.name for family in PrometheusObserver().registry.collect()}
    assert names
    for name in names:
        assert f"`{name}" in README


@pytest.mark.parametrize("name", installed_plugins())
def test_every_sink_has_a_page_with_its_options(name: str) -> None:
    assert f"(plugins/cloudsignal_{name}/README.md)" in README
    page = (ROOT / "plugins" / f"cloudsignal_{name}" / "README.md").read_text()
    sink = load_plugin(installed_plugins()[name]).sink
    assert sink is not None
    for option in sink.options:
        assert f"`{option}`" in page


@pytest.mark.parametrize("limit", sorted({check.limit for check in LIMITED}))
def test_every_limit_on_a_length_is_in_the_readme(limit: int) -> None:
    assert f"{limit:,}" in README.partition("Lengths are limited")[2].partition("\n\n")[0]


def tour() -> str:
    section = README.partition("## A tour")[2].partition("\n## ")[0]
    return "\n".join(re.findall(r"```bash\n(.*?)```", section, re.DOTALL))


def test_the_tour_runs(tmp_path: Path) -> None:
    script = tour()
    for port in ("8080", "8069", "8090"):
        assert port in script
        script = script.replace(port, str(free_port()))
    copy_checkout(tmp_path / "checkout")
    # The commands of this environment stand in for the README's own .venv.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path / "checkout",
        env={**os.environ, "PATH": path, "PYTHONPATH": str(tmp_path / "checkout"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "ItemShipped" in result.stdout
    assert "received_at" in result.stdout
    assert "No deliveries." in result.stdout.split("head", 1)[-1]
    assert "No dead letters." in result.stdout
