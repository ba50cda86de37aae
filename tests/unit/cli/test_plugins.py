"""The command plugins."""

import json

import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.support.folder import CONFIG, Folder


def test_plugins_tells_enabled_from_installed(folder: Folder) -> None:
    rows = {row["name"]: row for row in map(json.loads, folder.run("plugins", "--json").output.splitlines())}
    assert rows["csv"]["state"] == "enabled"
    assert rows["slack"]["state"] == "installed"
    assert "cloudsignal-gateway" in rows["csv"]["from"]
    assert "CSV" in folder.run("plugins").output


def test_plugins_need_no_config(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.path / "gateway.yaml").unlink()
    result = CliRunner().invoke(main, ["plugins", "--json"], env={"CLOUDSIGNAL_CONFIG": None})
    assert result.exit_code == 0
    assert {row["state"] for row in map(json.loads, result.output.splitlines())} == {"installed"}
    assert "can't be read" in folder.run("plugins", code=1).output


@pytest.mark.parametrize("place", ["gateway.yaml", "config/gateway.yaml"])
def test_the_config_is_found_in_its_usual_places(folder: Folder, place: str) -> None:
    path = folder.path / place
    path.parent.mkdir(exist_ok=True)
    (folder.path / "gateway.yaml").rename(path)
    result = CliRunner().invoke(main, ["check"], env={"CLOUDSIGNAL_CONFIG": None})
    assert result.output.startswith(f"{place}: ok")


def test_a_broken_plugin_is_named_whatever_the_config(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    info = folder.path / "outside-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[cloudsignal.sinks]\nbroken = outside_missing:S\n")
    monkeypatch.syspath_prepend(str(folder.path))
    (folder.path / "gateway.yaml").write_text(
        CONFIG.replace("[csv]", "[csv, broken]").replace("sink: csv", "sink: broken")
    )
    rows = {row["name"]: row for row in map(json.loads, folder.run("plugins", "--json").output.splitlines())}
    assert rows["broken"]["state"] == "broken"
    assert "outside_missing" in rows["broken"]["about"]
    assert rows["csv"]["state"] == "enabled"
    assert "broken could not be loaded" in folder.run("check", code=1).output
