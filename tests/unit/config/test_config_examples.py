"""The example configuration, the starter and the table of settings."""

from __future__ import annotations

import re
import shutil
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gateway import config as config_package
from gateway.config import Config, load_config, settings_table, write_starter
from gateway.config.schema import SECTIONS
from gateway.errors import GatewayError
from gateway.keys import hash_key
from gateway.model import SecretValue
from gateway.sink.registry import installed_plugins

ROOT = Path(__file__).parents[3]
SECRETS = {
    "acme-slack-url": "https://hooks.slack.com/services/T0/B0/x",
    "slack-url": "https://hooks.slack.com/services/T0/B0/y",
    "bookshop-odoo-key": "odoo-key",
    "calendars-tryton-key": "tryton-key",
    "odoo-key": "odoo-key",
    "posters-hook-url": "https://hooks.example/posters",
    "posters-mail": "mailtos://user:password@example.com?to=ops@example.com",
    "posters-hook-secret": "whsec_" + "A" * 44,
}


def use_examples(directory: Path) -> None:
    """Remove each `#` before an example setting, no space follows it; and write the files that they name."""
    (directory / "secrets").mkdir()
    for name, text in SECRETS.items():
        (directory / "secrets" / name).write_text(f"{text}\n")
    for path in directory.rglob("*.yaml"):
        path.write_text(re.sub(r"^( *)#(?=[^\s#])", r"\1", path.read_text(), flags=re.MULTILINE))


def test_the_example_runs_as_it_is() -> None:
    config = load_config(ROOT / "config" / "gateway.yaml", {})
    accounts = {tenant: [account.name for account in accounts] for tenant, accounts in config.tenants.items()}
    assert accounts == {"acme": ["bookshop", "posters"], "globex": ["calendars"]}
    assert config.plugins == ("csv",)
    assert config.store.url.startswith("sqlite:///")
    assert all(account.routes for account in config.accounts.values())
    assert [key.digest for key in config.accounts["bookshop"].keys] == [
        hash_key("demo-key-bookshop-change-me"),
        hash_key("demo-key-bookshop-old-change-me"),
    ]


def check_examples(directory: Path, account: str) -> Config:
    config = load_config(directory / "gateway.yaml", {})
    routes = [route for each in config.accounts.values() for route in each.routes.values()]
    assert {route.sink for route in routes} == set(config.plugins) >= {"csv", "slack", "odoo"}
    assert config.accounts[account].routes["erp"].options["api_key"] == SecretValue("odoo-key")
    return config


def ships(entry: EntryPoint) -> bool:
    """Return True if a plugin is in this project's plugins folder, not in another installed package."""
    return (
        entry.value.startswith("cloudsignal_") and entry.dist is not None and entry.dist.name == "cloudsignal-gateway"
    )


def test_the_examples_that_are_held_back_are_right(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "config" / "tls").mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (tmp_path / "config" / "tls" / name).touch()
    use_examples(tmp_path / "config")
    config = check_examples(tmp_path / "config", "bookshop")
    assert set(config.plugins) == {name for name, entry in installed_plugins().items() if ships(entry)}
    assert config.server.tls is not None
    assert config.accounts["bookshop"].routes["alerts"].enabled
    assert not config.accounts["posters"].routes["alerts"].enabled


@pytest.mark.parametrize("name", ["gateway.yaml", "tenants/acme.yaml", "tenants/globex.yaml"])
def test_the_examples_fit_a_page(name: str) -> None:
    assert all(len(line) <= 120 for line in (ROOT / "config" / name).read_text().splitlines())


# -- the starter


def token(count: int) -> str:
    return "0f" * count


def test_the_starter_runs_and_its_key_is_right(tmp_path: Path) -> None:
    starter = write_starter(tmp_path / "new" / "gateway", token)
    config = load_config(tmp_path / "new" / "gateway" / "gateway.yaml", {})
    (account,) = config.accounts.values()
    assert starter.key == token(16)
    assert [key.digest for key in account.keys] == [hash_key(starter.key)]
    assert account.routes["export"].sink == "csv"


def test_the_starter_keeps_no_key(tmp_path: Path) -> None:
    starter = write_starter(tmp_path, token)
    assert [path.relative_to(tmp_path).as_posix() for path in starter.files] == [
        "gateway.yaml",
        "tenants/my-company.yaml",
    ]
    for path in starter.files:
        assert starter.key not in path.read_text()
        assert "@" not in path.read_text()
    assert starter.key not in repr(starter)


def test_the_starters_examples_are_right(tmp_path: Path) -> None:
    write_starter(tmp_path, token)
    (tmp_path / "tls").mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (tmp_path / "tls" / name).touch()
    use_examples(tmp_path)
    config = check_examples(tmp_path, "my-shop")
    assert not config.accounts["my-shop"].routes["alerts"].enabled


def test_two_starters_have_two_keys(tmp_path: Path) -> None:
    assert write_starter(tmp_path / "a").key != write_starter(tmp_path / "b").key


@pytest.mark.parametrize("name", ["gateway.yaml", "tenants/my-company.yaml"])
def test_the_starter_overwrites_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(GatewayError, match=re.escape(f"{tmp_path / name} is already there; nothing was written")):
        write_starter(tmp_path, token)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
    assert (tmp_path / name).read_text() == "mine"


def test_the_starter_needs_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(GatewayError, match=r"file/gateway\.yaml can't be written: "):
        write_starter(tmp_path / "file", token)


# -- the table of settings


def test_the_table_has_every_setting_of_the_examples() -> None:
    paths = {row.path for row in settings_table()}
    used = set()
    for file in (ROOT / "config").rglob("*.yaml"):
        used |= set(shape(YAML(typ="safe", pure=True).load(file.read_text())))
    assert used
    assert used <= paths


def shape(data: object, path: str = "") -> list[str]:
    """Return the settings that a file uses, by their names in the table. Options of sinks are left out."""
    data = data if isinstance(data, dict) else {}
    found = []
    for name, value in data.items():
        inner = f"{path}.{name}".removeprefix(".")
        if inner in ("routes", "accounts.<account>.routes"):
            found += [each for route in (value or {}).values() for each in shape(route, "routes.<route>")]
        elif inner == "accounts":
            found += [each for account in value.values() for each in shape(account, "accounts.<account>")]
        elif inner.endswith("keys"):
            found += [each for key in value for each in shape(key, "accounts.<account>.keys[]")]
        elif isinstance(value, dict) and not inner.endswith("options"):
            found += shape(value, inner)
        else:
            found.append(inner)
    return found


def test_each_row_has_path_default_and_meaning() -> None:
    rows = settings_table()
    assert len({row.path for row in rows}) == len(rows)
    assert all(row.default and row.meaning for row in rows)
    assert "| `server.max_body` | `65536` | longest body of a request, in bytes |" in map(str, rows)
    assert {row.default for row in rows if row.path.endswith(("sink", "keys", "certificate"))} == {"required"}


def test_only_settings_that_hold_others_are_left_out_of_the_table() -> None:
    paths = {row.path for row in settings_table()}
    every = {f"{prefix}.{s.name}".removeprefix(".") for prefix, settings in SECTIONS.items() for s in settings}
    left_out = every - paths
    assert left_out == {"server", "store", "log", "routes.<route>.retry"}
    assert all(any(path.startswith(f"{section}.") for path in paths) for section in left_out)


def test_the_package_gives_what_it_promises() -> None:
    assert all(getattr(config_package, name) for name in config_package.__all__)
