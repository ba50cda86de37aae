"""Loading a valid configuration: defaults, included files, keys, and merged routes."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.config import Admin, Config, Log, Server, Tls, load_checked, load_config, load_enabled
from gateway.config.schema import MAIN_SCHEMA, ROUTE_SCHEMA
from gateway.errors import ConfigError
from gateway.ingest import BAD_KEYS_PER_MINUTE
from gateway.keys import hash_key
from gateway.model import ALL, Retry, Route, SecretValue
from gateway.signal_types import ALERTS
from gateway.store.contract import Settings
from gateway.web.limits import MAX_BODY, Limits
from tests.unit.config.folder import Folder, Table

ACCOUNT = "accounts: {shop: {keys: [a-key-of-the-shop]}}\n"
SHOP = "accounts:\n  shop:\n    keys: [a-key-of-the-shop]\n    routes:\n"


def test_a_setting_left_out_has_its_default(folder: Folder) -> None:
    config = folder.load(ACCOUNT)
    assert config.path == folder.path / "gateway.yaml"
    assert config.server == Server(
        (("127.0.0.1", 8080),), 0o660, None, (), "x-forwarded-for", 65536, 60, 2048, 512, 75.0, 10.0
    )
    assert config.admin is None
    assert config.store == Settings("sqlite:///data/gateway.db")
    assert config.retention == 90 * 86400
    assert config.log == Log("json", "info")
    assert config.plugins == ()
    assert config.loaded == {}
    (account,) = config.accounts.values()
    assert (account.name, account.tenant, account.rate) == ("shop", "default", None)
    assert (account.unknown_types, account.unknown_orders, account.routes) == ("accept", "accept", {})


@pytest.mark.parametrize("text", ["admin:\n", "admin: {}\n", "admin: null\n"])
def test_an_admin_listener_without_settings_has_the_default_address(folder: Folder, text: str) -> None:
    assert folder.load(text + ACCOUNT).admin == Admin((("127.0.0.1", 8081),))


def test_sections_that_were_left_empty_have_their_defaults(folder: Folder) -> None:
    config = folder.load("server:\nstore:\nlog:\nplugins:\n  #- table\ninclude:\nroutes:\n" + ACCOUNT)
    assert config.server.listen == (("127.0.0.1", 8080),)
    assert config.log.level == "info"


def test_each_setting_is_taken(folder: Folder) -> None:
    text = """\
server:
  listen: "[::1]:0"
  socket_mode: "0600"
  tls: {certificate: tls/c.pem, private_key: tls/k.pem}
  trusted_proxies: [127.0.0.1, 10.0.0.0/8]
  forwarded_header: forwarded
  max_body: 131072
  bad_keys_per_minute: 5
  max_connections: 9
  max_connections_per_address: 8
  idle_timeout: 30s
  grace: 1m
admin: {listen: localhost:9000}
store: {url: "postgresql://me@db/gateway", retention: 30d, queue: 5}
log: {format: console, level: debug}
plugins: [table, chat, table]
"""
    config = folder.load(text + ACCOUNT, {"tls/c.pem": "c", "tls/k.pem": "k"})
    tls = Tls(str(folder.path / "tls/c.pem"), str(folder.path / "tls/k.pem"))
    assert config.server == Server(
        (("::1", 0),), 0o600, tls, ("127.0.0.1/32", "10.0.0.0/8"), "forwarded", 131072, 5, 9, 8, 30.0, 60.0
    )
    assert config.admin == Admin((("localhost", 9000),))
    assert config.store == Settings("postgresql://me@db/gateway", queue=5)
    assert config.retention == 30 * 86400
    assert config.log == Log("console", "debug")
    assert config.plugins == ("table", "chat")
    assert config.loaded["table"].sink is Table


def test_variables_serve_for_numbers_and_flags(folder: Folder) -> None:
    text = """\
server: {listen: !env LISTEN, max_body: !env MAX, grace: !env GRACE}
plugins: [!env SINK]
accounts:
  shop:
    keys: !env KEY
    rate: !env RATE
    routes:
      a: {sink: !env SINK, enabled: !env FLAG, signals: !env TYPE, options: {directory: x}}
"""
    env = {"LISTEN": "10.0.0.1:1", "MAX": "2048", "GRACE": "1.5", "SINK": "table", "RATE": "2", "FLAG": "false"}
    config = folder.load(text, env={**env, "KEY": "a-key-of-the-shop", "TYPE": "*"})
    assert config.server.listen == (("10.0.0.1", 1),)
    assert (config.server.max_body, config.server.grace) == (2048, 1.5)
    account = config.accounts["shop"]
    assert (account.rate, account.keys[0].digest) == (2.0, hash_key("a-key-of-the-shop"))
    assert (account.routes["a"].enabled, account.routes["a"].signals) == (False, ALL)


def test_two_ports_that_are_any_do_not_clash(folder: Folder) -> None:
    config = folder.load("server: {listen: '127.0.0.1:0'}\nadmin: {listen: '127.0.0.1:0'}\n" + ACCOUNT)
    assert config.admin == Admin((("127.0.0.1", 0),))


def test_the_environment_is_the_process_own_unless_given(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSIGNAL_TEST_KEY", "key-from-the-environment")
    folder.write({"gateway.yaml": "accounts: {shop: {keys: [!env CLOUDSIGNAL_TEST_KEY]}}"})
    config = load_config(str(folder.path / "gateway.yaml"))
    assert config.accounts["shop"].keys[0].digest == hash_key("key-from-the-environment")


def test_a_file_in_the_working_directory(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write({"gateway.yaml": "include: [tenants/*.yaml]", "tenants/a.yaml": "tenant: a\n" + ACCOUNT})
    monkeypatch.chdir(folder.path)
    assert load_config("gateway.yaml", {}).path == Path("gateway.yaml")
    assert list(load_config(Path("./gateway.yaml"), {}).tenants) == ["a"]


def test_it_is_frozen(folder: Folder) -> None:
    config = folder.load("plugins: [table]\nroutes: {a: {sink: table, options: {directory: x}}}\n" + ACCOUNT)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.retention = 1  # type: ignore[misc]
    for mapping in (config.accounts, config.loaded, config.accounts["shop"].routes):
        with pytest.raises(TypeError):
            mapping["x"] = None  # type: ignore[index]
    with pytest.raises(TypeError):
        config.accounts["shop"].routes["a"].options["directory"] = "y"  # type: ignore[index]


# -- keys


def test_keys_come_as_text_or_digest_with_label_and_end(folder: Folder) -> None:
    text = f"""\
accounts:
  shop:
    keys:
      - first-key-of-the-shop
      - {{sha256: {hash_key("second").hex().upper()}, label: old, expires: 2027-01-31T01:00:00+01:00}}
      - {{key: !env THIRD}}
"""
    keys = folder.load(text, env={"THIRD": "third-key-of-the-shop"}).accounts["shop"].keys
    assert [key.digest for key in keys] == [
        hash_key("first-key-of-the-shop"),
        hash_key("second"),
        hash_key("third-key-of-the-shop"),
    ]
    assert [key.label for key in keys] == ["key-1", "old", "key-3"]
    assert [key.expires for key in keys] == [None, datetime(2027, 1, 31, tzinfo=UTC), None]


# -- included files


def test_tenants_come_from_files_and_from_the_main_one(folder: Folder) -> None:
    main = "include: [tenants/*.yaml, more/**/*.yaml, extra.yaml]\ntenant: own\n"
    main += "accounts: {z: {keys: [key-of-the-shop-1]}}\n"
    files = {
        "tenants/b.yaml": "tenant: b\naccounts: {b1: {keys: [key-of-the-shop-2]}, b2: {keys: [key-of-the-shop-3]}}\n",
        "tenants/a.yaml": "tenant: a\naccounts: {a1: {keys: [key-of-the-shop-4]}}\n",
        "tenants/.hidden.yaml": "not: read",
        "tenants/notes.txt": "not: read",
        "more/deep/er/c.yaml": "tenant: c\n" + ACCOUNT,
        "extra.yaml": "tenant: nothing-yet\n",
    }
    config = folder.load(main, files)
    found = {tenant: [account.name for account in accounts] for tenant, accounts in config.tenants.items()}
    assert found == {"own": ["z"], "a": ["a1"], "b": ["b1", "b2"], "c": ["shop"]}
    assert list(found) == ["own", "a", "b", "c"]


def test_a_file_is_read_once_and_the_main_one_is_not_its_own(folder: Folder) -> None:
    files = {"tenants/a.yaml": "tenant: a\n" + ACCOUNT}
    config = folder.load("include: ['*.yaml', tenants/*.yaml, tenants/a.yaml, ./tenants/../tenants/a.yaml]\n", files)
    assert list(config.accounts) == ["shop"]


def test_files_stand_relative_to_the_file_that_names_them(folder: Folder) -> None:
    files = {
        "tenants/a.yaml": "tenant: a\naccounts: {shop: {keys: [!file keys/shop]}}\n",
        "tenants/keys/shop": "the-right-key-of-it\n",
        "keys/shop": "wrong\n",
    }
    assert folder.load("include: tenants/*.yaml\n", files).accounts["shop"].keys[0].digest == hash_key(
        "the-right-key-of-it"
    )


# -- routes

TENANT = """\
plugins: [chat, table, erp]
tenant: acme
routes:
  alerts: {sink: chat, options: {webhook_url: "https://chat.example.com/x", channel: ops}, rate: 5}
  export: {sink: table, signals: [ItemShipped, '*'], options: {directory: all}}
accounts:
  plain:
    keys: [key-of-the-plain-one]
  own:
    keys: [key-of-the-shop-k]
    routes:
      alerts: {enabled: false}
      export: {sink: table, options: {directory: own, separator: ;}}
      erp:
        sink: erp
        signals: ItemShipped
        options: {url: "https://erp.example.com/", login: {user: me, password: secret-word}}
        enabled: true
        concurrency: 1
        rate: 0.5
        retry: {first: 1s, cap: 5m}
        order: none
"""


@pytest.fixture
def config(folder: Folder) -> Config:
    return folder.load(TENANT)


def test_a_tenants_routes_are_each_accounts(config: Config) -> None:
    routes = config.accounts["plain"].routes
    assert list(routes) == ["alerts", "export"]
    assert {(route.account, route.tenant) for route in routes.values()} == {("plain", "acme")}


def test_settings_that_a_route_leaves_out_are_the_sinks(config: Config) -> None:
    assert config.accounts["plain"].routes["alerts"] == Route(
        account="plain",
        tenant="acme",
        name="alerts",
        sink="chat",
        signals=ALERTS,
        options={"webhook_url": SecretValue("https://chat.example.com/x"), "channel": "ops"},
        enabled=True,
        concurrency=2,
        rate=5.0,
        retry=Retry(),
        order="none",
    )


def test_a_route_says_how_it_is_run(config: Config) -> None:
    assert config.accounts["own"].routes["erp"] == Route(
        account="own",
        tenant="acme",
        name="erp",
        sink="erp",
        signals=frozenset({"ItemShipped"}),
        options={"url": "https://erp.example.com", "login": {"user": "me", "password": SecretValue("secret-word")}},
        concurrency=1,
        rate=0.5,
        retry=Retry(first=1.0, factor=2.0, cap=300.0, give_up_after=7 * 86400.0),
        order="none",
    )


def test_a_route_of_the_same_name_replaces_the_whole_route(config: Config) -> None:
    route = config.accounts["own"].routes["export"]
    assert route.options == {"directory": "own", "separator": ";"}
    assert route.signals == ALL
    assert config.accounts["plain"].routes["export"].options == {"directory": "all", "separator": ","}


def test_a_route_switched_off_keeps_what_the_tenant_gave_it(config: Config) -> None:
    off, on = (config.accounts[name].routes["alerts"] for name in ("own", "plain"))
    assert (off.enabled, on.enabled) == (False, True)
    assert dataclasses.replace(off, account="plain", enabled=True) == on


def test_an_accounts_route_may_be_off_with_all_its_settings(folder: Folder) -> None:
    text = """\
plugins: table
accounts:
  a: {keys: [key-of-the-shop-k], routes: {x: {sink: table, enabled: false, options: {directory: d}}}}
"""
    assert folder.load(text).accounts["a"].routes["x"].enabled is False


def test_anchors_share_options(folder: Folder) -> None:
    text = """\
plugins: [table]
routes:
  one: &route {sink: table, options: &options {directory: x}}
  two: {<<: *route, signals: [ItemShipped]}
  three: {sink: table, options: {<<: *options, separator: ;}}
"""
    routes = folder.load(text + ACCOUNT).accounts["shop"].routes
    assert routes["two"].options == routes["one"].options
    assert routes["two"].signals == {"ItemShipped"}
    assert routes["three"].options == {"directory": "x", "separator": ";"}


def test_a_broken_plugin_that_no_route_uses_breaks_nothing(folder: Folder) -> None:
    config = folder.load("plugins: [broken, table]\n" + ACCOUNT)
    assert config.loaded["broken"].error == "ImportError: no module named nothing"
    assert config.loaded["broken"].sink is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "the plugin broken could not be loaded: ImportError: no module named nothing"),
        ("gone", "no plugin of this name is installed; known: broken, chat, erp, leaky, spare, table"),
    ],
)
def test_a_route_of_a_plugin_that_can_not_be_loaded_says_why_and_the_rest_is_loaded(
    folder: Folder, name: str, reason: str
) -> None:
    route = f"{{sink: {name}, options: {{anything: goes, password: s3cret-word}}, concurrency: 2}}"
    good_route = "{sink: table, options: {directory: x}}"
    config = folder.load(f"plugins: [{name}, table]\n{SHOP}      bad: {route}\n      good: {good_route}\n")
    bad, good = config.routes["shop", "bad"], config.routes["shop", "good"]
    assert (bad.broken, bad.sink, bad.signals, bad.options, bad.concurrency) == (reason, name, {"*"}, {}, 2)
    assert good.broken == ""
    assert f"gateway.yaml:6: accounts.shop.routes.bad.sink: {reason}" in map(str, config.plugin_problems)
    with pytest.raises(ConfigError, match=r"routes\.bad\.sink: "):
        load_checked(config.path, {})


def test_other_errors_are_told_with_those_of_plugins(folder: Folder) -> None:
    errors = folder.errors(f"plugins: [broken]\n{SHOP}      bad: {{sink: broken, rate: fast}}\n")
    assert [error.partition(": ")[2].partition(":")[0] for error in errors] == [
        "accounts.shop.routes.bad.rate",
        "accounts.shop.routes.bad.sink",
    ]


def test_only_what_is_enabled_is_loaded(folder: Folder) -> None:
    assert set(folder.load("plugins: [table]\n" + ACCOUNT).loaded) == {"table"}


def test_the_same_files_give_the_same_config(folder: Folder) -> None:
    assert folder.load(TENANT) == folder.load(TENANT)
    with pytest.raises(ConfigError):
        folder.load(TENANT.replace("acme", "!"))
    assert folder.load(TENANT).tenants.keys() == {"acme"}


def test_enabled_plugins_are_told_whatever_else_is_wrong(folder: Folder) -> None:
    folder.write({"gateway.yaml": "plugins: [broken, table, nowhere]\nserver: wrong\nkey: !env UNSET\n"})
    enabled = load_enabled(folder.path / "gateway.yaml", {})
    assert {name: bool(plugin.sink) for name, plugin in enabled.items()} == {"broken": False, "table": True}


@pytest.mark.parametrize("text", ["a: [", None])
def test_enabled_plugins_of_a_file_that_can_not_be_read(folder: Folder, text: str | None) -> None:
    folder.write({"gateway.yaml": text} if text else {})
    with pytest.raises(ConfigError, match=r"gateway\.yaml"):
        load_enabled(folder.path / "gateway.yaml", {})


def test_the_settings_defaults_are_those_of_the_parts() -> None:
    """Each default is stated as people write it, beside its meaning, and as the part that uses it needs it."""
    settings = MAIN_SCHEMA({})
    server, limits = settings["server"], Limits()
    assert Retry(**ROUTE_SCHEMA({"sink": "csv"})["retry"]) == Retry()
    assert server["max_body"] == MAX_BODY
    assert server["max_connections"] == limits.max_connections
    assert server["max_connections_per_address"] == limits.max_connections_per_address
    assert server["idle_timeout"] == limits.idle_timeout
    assert server["bad_keys_per_minute"] == BAD_KEYS_PER_MINUTE
    assert settings["store"]["queue"] == Settings("sqlite:///gateway.db").queue
