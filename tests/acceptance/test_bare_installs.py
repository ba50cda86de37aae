"""Installations without optional packages, each in a process of its own: no pytest, no apprise, only pytest."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.testing import HttpSinkContract
from tests.support import example
from tests.support.process import ROOT


def test_the_kit_needs_only_pytest(tmp_path: Path) -> None:
    example.write_plugin(tmp_path / "desk")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:tornado", "test_desk.py"],
        cwd=tmp_path / "desk",
        env={"PYTHONPATH": f"{example.PAGE.parents[1]}:{tmp_path / 'desk'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    passed, skipped = map(int, re.findall(r"(\d+) passed, (\d+) skipped", done.stdout)[0])
    # The example takes one delivery at a time, and looks up no orders: six tests.
    assert (done.returncode, skipped) == (0, 7), done.stdout
    assert passed == len([name for name in dir(HttpSinkContract) if name.startswith("test_")]) - 7


def test_the_gateway_does_not_import_pytest() -> None:
    code = "import sys, gateway.service, gateway.cli; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=example.PAGE.parents[1], check=True, timeout=60)


@pytest.mark.parametrize("module", ["fake_odoo", "fake_receiver", "fake_slack", "fake_tryton"])
def test_a_stub_server_does_not_import_pytest(module: str) -> None:
    """The README's tour starts them where only the gateway is installed."""
    code = f"import sys; sys.modules['pytest'] = None; import gateway.testing, tests.support.{module}"
    subprocess.run([sys.executable, "-c", code], cwd=example.PAGE.parents[1], check=True, timeout=60)


def test_without_the_library_the_plugin_is_broken_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(
        "plugins: [csv, apprise]\n"
        "accounts:\n  shop:\n    keys: [some-key-of-the-shop]\n    routes:\n"
        "      people: {sink: apprise, options: {urls: 'json://127.0.0.1'}}\n"
        "      export: {sink: csv, options: {directory: exports}}\n"
    )
    listed = run_without_apprise(tmp_path, "plugins", "--json")
    rows = {row["name"]: row for row in map(json.loads, listed.stdout.splitlines())}
    assert (rows["csv"]["state"], rows["apprise"]["state"]) == ("enabled", "broken")
    assert "pip install 'cloudsignal-gateway[apprise]'" in rows["apprise"]["about"]
    checked = run_without_apprise(tmp_path, "check")
    assert checked.returncode == 1
    (line,) = [line for line in checked.stderr.splitlines() if "gateway.yaml:" in line]
    assert "gateway.yaml:6: accounts.shop.routes.people.sink: the plugin apprise could not be loaded" in line
    assert "pip install" in line


def run_without_apprise(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in an interpreter that can't import the library."""
    code = "import sys; sys.modules['apprise'] = None; from gateway.cli import main; main(prog_name='cloudsignal')"
    return subprocess.run(
        [sys.executable, "-c", code, *words, "--config", "gateway.yaml"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
