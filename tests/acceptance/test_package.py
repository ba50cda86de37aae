"""The wheel has the gateway and the plugins, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.process import copy_checkout

SINKS = {
    "csv": "CsvSink",
    "slack": "SlackSink",
    "odoo": "OdooSink",
    "tryton": "TrytonSink",
    "webhook": "WebhookSink",
    "apprise": "AppriseSink",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("package")
    copy_checkout(folder / "source")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*pip, str(folder / "source")], check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_it_holds_the_gateway_and_the_plugins_only(wheel: zipfile.ZipFile) -> None:
    tops = {Path(name).parts[0] for name in wheel.namelist() if ".dist-info" not in name}
    assert tops == {"gateway", *(f"cloudsignal_{name}" for name in SINKS)}


def test_it_contains_the_files_that_the_gateway_reads_at_run_time(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "gateway/py.typed" in names
    assert any(name.startswith("gateway/store/migrations/0001") for name in names)
    assert any(name.startswith("gateway/starter/") and name.endswith(".yaml") for name in names)


def test_it_declares_the_command_and_the_sinks(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    lines = wheel.read(name).decode().splitlines()
    assert "cloudsignal = gateway.__main__:main" in lines
    for sink, kind in SINKS.items():
        assert f"{sink} = cloudsignal_{sink}:{kind}" in lines
