"""The command plugins."""

import json

import pytest
import voluptuous as vol
from click.testing import CliRunner

from gateway.cli import main
from gateway.operate.plugins import write_sample
from gateway.sink import Secret, Sink, server_url
from gateway.sink.registry import installed_plugins
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


# -- the page of a plugin

SECRETS = {
    "odoo-key": "a-key",
    "tryton-key": "a-key",
    "slack-url": "https://hooks.slack.com/services/T/B/x",
    "hook-url": "https://example.com/hook",
    "hook-secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
    "mail-url": "json://example.com",
}


def test_a_page_has_the_options_with_meaning_and_default(folder: Folder) -> None:
    output = folder.run("plugins", "csv").output
    assert output.startswith("csv: one row per signal in CSV files")
    assert "  gzip (false)\n      Compress finished files. Needs `rotate`.\n" in output
    assert "  delimiter (,)\n      The text between values: `,` `;` `|` or `tab`.\n" in output
    assert output.endswith("  csv:\n    sink: csv\n    options:\n      directory: exports\n      rotate: daily\n")


@pytest.mark.parametrize("name", [name for name, entry in installed_plugins().items() if "cloudsignal_" in entry.value])
def test_the_sample_route_of_a_page_can_be_used(folder: Folder, name: str) -> None:
    page = json.loads(folder.run("plugins", name, "--json").output)
    assert all(option["meaning"] for option in page["options"])
    route = page["sample"].replace("\n", "\n      ")
    text = CONFIG.replace("[csv]", f"[csv, {name}]") + f"      {route}\n"
    (folder.path / "gateway.yaml").write_text(text)
    (folder.path / "secrets").mkdir()
    for file, secret in SECRETS.items():
        (folder.path / "secrets" / file).write_text(secret)
    assert f"route {name} -> {name}" in folder.run("check").output


def test_a_sample_is_made_up_of_required_options() -> None:
    class Desk(Sink):
        name = "desk"
        options = {vol.Required("api_key"): Secret(), vol.Required("url"): server_url, vol.Optional("x"): str, "y": str}

    assert write_sample(Desk).splitlines()[2:] == [
        "  options:",
        "    api_key: !file secrets/api-key",
        "    url: https://erp.example.com",
    ]


def test_a_plugin_that_is_not_there_has_no_page(folder: Folder) -> None:
    assert "did you mean 'odoo'?" in folder.run("plugins", "odo", code=1).output
