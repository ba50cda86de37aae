"""Errors of a configuration: all are reported at once, each with file, line and path."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import load_config
from gateway.config.setting_values import NAME_EXPECTED, SIGNAL_TYPES
from gateway.errors import ConfigError
from tests.unit.config.folder import Folder

ACCOUNT = "accounts: {shop: {keys: [a-key-of-the-shop]}}\n"
ADDRESS = "expected host:port, such as 127.0.0.1:8080 or [::1]:8080, or unix:/path"
DURATION = "expected a duration such as 30s, 15m, 48h or 7d, or a number of seconds"
MAPPING = "expected a mapping (name: value)"

MAIN = [
    ("server: {listn: x}", "server.listn: unknown key 'listn'; did you mean 'listen'?"),
    ("servr: {}", "servr: unknown key 'servr'; did you mean 'server'?"),
    (
        "log: {colour: true}",
        "log.colour: unknown key 'colour'; known: format, level",
    ),
    ("server: [1]", f"server: {MAPPING}"),
    ("server: {listen: 8080}", f"server.listen: {ADDRESS}"),
    ("server: {max_body: 10}", "server.max_body: expected a whole number from 1024 to 16777216"),
    ("server: {grace: soon}", f"server.grace: {DURATION}"),
    ("server: {idle_timeout: 500ms}", f"server.idle_timeout: {DURATION}"),
    ("server: {idle_timeout: 0}", "server.idle_timeout: expected at least 1s"),
    ("server: {max_connections: 0}", "server.max_connections: expected a whole number from 1 to 1000000"),
    ("server: {bad_keys_per_minute: 0}", "server.bad_keys_per_minute: expected a whole number from 1 to 1000000"),
    (
        "server: {trusted_proxies: [10.0.0.1, example]}",
        "server.trusted_proxies[1]: expected an address or a network, such as 10.0.0.0/8",
    ),
    ("server: {tls: {certificate: c.pem}}", "server.tls.private_key: required"),
    ("server: {tls: yes}", f"server.tls: {MAPPING}"),
    ("server: {tls: {certificate: c.pem, private_key: k.pem, ca: x}}", "server.tls.ca: unknown key 'ca'; "
     "known: certificate, private_key"),
    ("admin: {listen: here}", f"admin.listen: {ADDRESS}"),
    ("admin: {listen: '127.0.0.1:8080'}", "admin.listen: must not be the public listener's address"),
    ("admin: {listen: ['127.0.0.1:1', '127.0.0.1:8080']}", "admin.listen: must not be the public listener's address"),
    ("server: {listen: ['127.0.0.1:1', 'unix:']}", f"server.listen[1]: {ADDRESS}"),
    ("server: {listen: []}", "server.listen: expected at least one entry"),
    ("server: {listen: ['127.0.0.1:1', '127.0.0.1:1']}", "server.listen: an address is given twice"),
    ("server: {socket_mode: 0o44}", 'server.socket_mode: expected the mode of a file as octal digits, such as "0660"'),
    ("store: {url: mysql://host/db}", "store.url: expected sqlite:///path/to.db or postgresql://user@host/database"),
    ("store: {retention: 1y}", f"store.retention: {DURATION}"),
    ("store: {retention: 6d}", "store.retention: expected at least 7d: the sender repeats signals for 7 days, and a "
     "removed one would be delivered again"),
    ("log: {format: xml}", "log.format: expected one of json, console"),
    ("log: {level: loud}", "log.level: expected one of debug, info, warning, error, critical"),
    ("plugins: [table, tabel]", "plugins[1]: no plugin of this name is installed; did you mean 'table'?"),
    (
        "plugins: xyz",
        "plugins: no plugin of this name is installed; known: broken, chat, erp, leaky, spare, table",
    ),
    ("plugins: {table: true}", "plugins: expected a list: begin each entry with '- '"),
    ("plugins: [5]", "plugins[0]: expected text; put it in quotes"),
    ("include: {}", "include: expected a list: begin each entry with '- '"),
    ("include: [nowhere.yaml]", "include[0]: there is no such file"),
    ("include: nowhere.yaml", "include: there is no such file"),
    ("tenant: Acme Inc.", f"tenant: {NAME_EXPECTED}"),
    ("routes: [x]", f"routes: {MAPPING}"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "error"), MAIN, ids=[error for _, error in MAIN])
def test_the_main_file(folder: Folder, line: str, error: str) -> None:
    assert folder.errors(f"# a comment\n{ACCOUNT}\n{line}\n") == [f"gateway.yaml:4: {error}"]


ACCOUNTS = [
    ("{}", "keys: required"),
    ("", "keys: required"),
    ("[a-key-of-the-shop]", MAPPING),
    ("{keys: []}", "keys: expected at least one entry"),
    ("{keys: -13b37bb1ed6d3403e158abe719b4f6d0}", "keys: expected a list: begin each entry with '- '"),
    ("{keys: {sha256: x}}", "keys: expected a list: begin each entry with '- '"),
    ("{keys: [12345678]}", "keys[0]: expected text; put it in quotes"),
    ("{keys: ['']}", "keys[0]: expected text"),
    ("{keys: [a-key-of-the-shop, {label: x}]}", "keys[1]: expected either key or sha256"),
    ("{keys: [{sha256: abc}]}", "keys[0].sha256: expected a SHA-256 digest: 64 hex digits, as `cloudsignal keys hash` "
     "prints them"),
    ("{keys: [{key: key-of-the-shop-x, expires: 2027-01-31}]}", "keys[0].expires: expected a time with its offset, "
     "such as 2027-01-31T00:00:00Z"),
    ("{keys: [{key: key-of-the-shop-x, labl: y}]}", "keys[0].labl: unknown key 'labl'; did you mean 'label'?"),
    ("{keys: [{something: y}]}", "keys[0]: unknown key; known: key, sha256, label, expires"),
    ("{keys: [key-of-the-shop-x], rate: 0}", "rate: expected a number above 0"),
    ("{keys: [key-of-the-shop-x], rate: fast}", "rate: expected a number"),
    ("{keys: [key-of-the-shop-x], unknown_types: drop}", "unknown_types: expected one of accept, reject"),
    ("{keys: [key-of-the-shop-x], unknown_orders: reject}", "unknown_orders: expected one of accept, hold"),
    ("{keys: [key-of-the-shop-x], key: y}", "key: unknown key 'key'; did you mean 'keys'?"),
    ("{keys: [key-of-the-shop-x], routes: [y]}", f"routes: {MAPPING}"),
    ("{keys: [key-of-the-shop-x], routes: {Erp: {}}}", f"routes.Erp: {NAME_EXPECTED}"),
    ("{keys: [key-of-the-shop-x], routes: {erp: {enabled: false}}}", "routes.erp: the tenant has no route of this name "
     "to switch off"),
]  # fmt: skip


@pytest.mark.parametrize(("account", "error"), ACCOUNTS, ids=[error for _, error in ACCOUNTS])
def test_an_account(folder: Folder, account: str, error: str) -> None:
    path = "accounts.shop" if error == MAPPING else f"accounts.shop.{error}"
    error = f"{path}: {MAPPING}" if error == MAPPING else path
    assert folder.errors(f"accounts:\n  shop: {account}\n") == [f"gateway.yaml:2: {error}"]


ROUTES = [
    ("{options: {}}", "sink: required"),
    ("table", MAPPING),
    ("", "sink: required"),
    ("{enabled: true}", "sink: required"),
    ("{sink: 5}", "sink: expected text; put it in quotes"),
    ("{sink: spare}", "sink: not enabled: add 'spare' to plugins"),
    ("{sink: tabel}", "sink: no plugin of this name is installed; did you mean 'table'?"),
    ("{sink: broken}", "sink: the plugin broken could not be loaded: ImportError: no module named nothing"),
    ("{sink: leaky, signals: []}", "signals: expected at least one entry"),
    ("{sink: leaky, signals: 5}", "signals: expected a list"),
    ("{sink: table}", "options.directory: required"),
    ("{sink: table, options: }", "options.directory: required"),
    ("{sink: table, options: x}", f"options: {MAPPING}"),
    ("{sink: table, options: {directory: 5}}", "options.directory: expected text"),
    ("{sink: table, options: {directory: x, seperator: ';'}}", "options.seperator: unknown key 'seperator'; "
     "did you mean 'separator'?"),
    ("{sink: erp, options: {url: 'ftp://x'}}", "options.url: expected a URL"),
    ("{sink: erp, options: {url: 'http://x', login: {user: u}}}", "options.login.password: required"),
    ("{sink: erp, options: {url: 'http://x', login: u}}", f"options.login: {MAPPING}"),
    ("{sink: erp, options: {url: 'http://x', login: {user: u, passwort: p, password: p}}}",
     "options.login.passwort: unknown key 'passwort'; did you mean 'password'?"),
    ("{sink: erp, options: {url: 'http://x', lines: [1, x]}}", "options.lines[1]: expected a whole number"),
    ("{sink: erp, options: {url: 'http://x', lines: 1}}", "options.lines: expected a list"),
    ("{sink: leaky, options: {size: 5}}", "options: the schema of these options failed: TypeError"),
    ("{sink: leaky, enabled: maybe}", "enabled: expected true or false"),
    ("{enabled: 'no'}", "enabled: expected true or false"),
    ("{enabled: off}", "enabled: expected true or false"),
    ("{enable: false}", "enable: unknown key 'enable'; did you mean 'enabled'?"),
    ("{sink: leaky, concurrency: 0}", "concurrency: expected a whole number from 1 to 1000"),
    ("{sink: leaky, rate: -1}", "rate: expected a number above 0"),
    ("{sink: leaky, order: random}", "order: expected one of lane, none"),
    ("{sink: leaky, retry: 5}", f"retry: {MAPPING}"),
    ("{sink: leaky, retry: {first: x}}", f"retry.first: {DURATION}"),
    ("{sink: leaky, retry: {factor: 0.5}}", "retry.factor: expected a number, at least 1"),
    ("{sink: leaky, retry: {give_up: 7d}}", "retry.give_up: unknown key 'give_up'; did you mean 'give_up_after'?"),
    ("{sink: leaky, signls: ['*']}", "signls: unknown key 'signls'; did you mean 'signals'?"),
    ("{sink: leaky, signals: ItemShiped}", "signals: unknown signal type 'ItemShiped'; did you mean 'ItemShipped'?"),
    ("{sink: leaky, signals: Xyz}", f"signals: unknown signal type; known: {', '.join(SIGNAL_TYPES)}"),
]  # fmt: skip


@pytest.mark.parametrize(("route", "error"), ROUTES, ids=[error for _, error in ROUTES])
@pytest.mark.parametrize("path", ["routes", "accounts.shop.routes"])
def test_a_route(folder: Folder, route: str, error: str, path: str) -> None:
    error = f"{path}.erp: {MAPPING}" if error == MAPPING else f"{path}.erp.{error}"
    plugins = "plugins: [table, chat, erp, leaky, broken]\n"
    if path == "routes":
        text = f"{plugins}{ACCOUNT}\n\n\nroutes:\n  erp: {route}\n"
    else:
        text = f"{plugins}\naccounts:\n  shop:\n    keys: [a-key-of-the-shop]\n    routes:\n      erp: {route}\n"
    assert folder.errors(text) == [f"gateway.yaml:7: {error}"]


def test_the_line_is_that_of_the_key_or_of_the_mapping_that_lacks_it(folder: Folder) -> None:
    text = """\
plugins: [erp]
accounts:
  shop:
    keys:
      - a-key-of-the-shop
      - sha256: x
    routes:
      erp:
        sink: erp

        options:
          login:
            user: me
          lines:
            - 1
            - x
"""
    errors = folder.errors(text)
    assert errors == [
        "gateway.yaml:6: accounts.shop.keys[1].sha256: expected a SHA-256 digest: 64 hex digits, as `cloudsignal keys "
        "hash` prints them",
        "gateway.yaml:11: accounts.shop.routes.erp.options.url: required",
        "gateway.yaml:12: accounts.shop.routes.erp.options.login.password: required",
        "gateway.yaml:16: accounts.shop.routes.erp.options.lines[1]: expected a whole number",
    ]


def test_every_error_of_every_file_at_once_in_order(folder: Folder) -> None:
    main = "include: [tenants/*.yaml, lost.yaml]\nserver:\n  listen: x\n  grace: y\nplugins: [erp]\nlog: {level: z}\n"
    acme = """\
tenant: acme
routes:
  erp: {sink: erp, options: {url: no}}
accounts:
  shop: {keys: [!env SHOP_KEY], rate: none}
  Other: {keys: [key-of-the-shop-x]}
  third:
    keys: [key-of-the-shop-x]
    routes:
      chat: {sink: chat, options: {webhook_url: !file ./nowhere}, retry: {cap: x}}
"""
    errors = folder.errors(main, {"tenants/acme.yaml": acme, "tenants/bad.yaml": "a: [", "tenants/c.yaml": "- x\n"})
    assert errors == [
        "gateway.yaml:1: include[1]: there is no such file",
        f"gateway.yaml:3: server.listen: {ADDRESS}",
        f"gateway.yaml:4: server.grace: {DURATION}",
        "gateway.yaml:6: log.level: expected one of debug, info, warning, error, critical",
        "tenants/acme.yaml:3: routes.erp.options.url: expected a URL",
        "tenants/acme.yaml:5: accounts.shop.keys[0]: the environment variable SHOP_KEY is not set",
        "tenants/acme.yaml:5: accounts.shop.rate: expected a number",
        f"tenants/acme.yaml:6: accounts.Other: {NAME_EXPECTED}",
        "tenants/acme.yaml:10: accounts.third.routes.chat.options.webhook_url: can't read the file ./nowhere: "
        "No such file or directory",
        f"tenants/acme.yaml:10: accounts.third.routes.chat.retry.cap: {DURATION}",
        "tenants/acme.yaml:10: accounts.third.routes.chat.sink: not enabled: add 'chat' to plugins",
        "tenants/bad.yaml:1: not YAML: a value is missing, or a ',' is too many",
        f"tenants/c.yaml:1: {MAPPING}",
    ]


def test_a_tenants_wrong_default_is_told_once(folder: Folder) -> None:
    text = "plugins: [erp]\nroutes:\n  erp: {sink: erp}\n"
    text += "accounts:\n  a: {keys: [key-of-the-shop-a]}\n  b: {keys: [key-of-the-shop-b]}\n"
    assert folder.errors(text) == ["gateway.yaml:3: routes.erp.options.url: required"]


def test_switching_off_a_wrong_default_leaves_its_error(folder: Folder) -> None:
    text = "plugins: [erp]\nroutes:\n  erp: {sink: erp}\n"
    text += "accounts: {a: {keys: [key-of-the-shop-x], routes: {erp: {enabled: false}}}}\n"
    assert folder.errors(text) == ["gateway.yaml:3: routes.erp.options.url: required"]


def test_a_route_that_is_off_is_checked_as_any_other(folder: Folder) -> None:
    text = "plugins: [erp]\nroutes:\n  erp: {sink: erp, enabled: false}\n" + ACCOUNT
    assert folder.errors(text) == ["gateway.yaml:3: routes.erp.options.url: required"]


def test_switching_off_names_the_nearest_route(folder: Folder) -> None:
    text = (
        "plugins: [table]\nroutes: {export: {sink: table, options: {directory: x}}}\n"
        "accounts: {a: {keys: [key-of-the-shop-x], routes: {exports: {enabled: false}}}}\n"
    )
    assert folder.errors(text) == [
        "gateway.yaml:3: accounts.a.routes.exports: the tenant has no route of this name to switch off; "
        "did you mean 'export'?"
    ]


# -- names that are defined twice, files that are wrong as a whole


def test_names_must_be_unique(folder: Folder) -> None:
    files = {
        "a.yaml": "tenant: acme\naccounts:\n  shop: {keys: [key-of-the-shop-x]}\n",
        "b.yaml": "accounts:\n  shop: {keys: [key-of-the-shop-y]}\n  other: {keys: [key-of-the-shop-z]}\n"
        "tenant: acme\n",
    }
    assert folder.errors("include: '[ab].yaml'\n", files) == [
        "b.yaml:2: accounts.shop: this account is already in a.yaml:3; names must be unique",
        "b.yaml:4: tenant: this tenant is already in a.yaml:1; names must be unique",
    ]


def test_an_included_file_is_a_tenants(folder: Folder) -> None:
    files = {"a.yaml": "accounts: {}\n", "b.yaml": "", "c.yaml": "tenant: c\nserver: {}\nacounts: {}\nplugins: [x]\n"}
    assert folder.errors("include: ['[abc].yaml']\n" + ACCOUNT, files) == [
        "a.yaml:1: tenant: required",
        "b.yaml:1: tenant: required",
        "c.yaml:2: server: only the main file may have 'server'",
        "c.yaml:3: acounts: unknown key 'acounts'; did you mean 'accounts'?",
        "c.yaml:4: plugins: only the main file may have 'plugins'",
    ]


@pytest.mark.parametrize("text", ["", "{}", "accounts:\n", "include: ['none/*.yaml']\n"])
def test_a_gateway_without_accounts_would_refuse_everything(folder: Folder, text: str) -> None:
    assert folder.errors(text) == [
        "gateway.yaml:1: there are no accounts: add some here, or include a tenant's file that has accounts"
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("- a list\n", MAPPING),
        ("just text", MAPPING),
        ("server: {listen: x\nlog: {}", "not YAML: the '{' of line 1 is not closed by '}', or a ',' is missing"),
        ("!env NOTHING", "the environment variable NOTHING is not set"),
    ],
)
def test_a_main_file_that_is_wrong_as_a_whole(folder: Folder, text: str, error: str) -> None:
    (found,) = folder.errors(text)
    assert found in (f"gateway.yaml:1: {error}", f"gateway.yaml:2: {error}")


@pytest.mark.parametrize("name", ["nowhere.yaml", "sub/nowhere.yaml", "."])
def test_a_main_file_that_can_not_be_read_is_named_as_given(folder: Folder, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(str(folder.path / name), {})
    reason = "Is a directory" if name == "." else "No such file or directory"
    assert str(caught.value) == f"{folder.path / name}: can't be read: {reason}"


def test_an_included_directory_can_not_be_read(folder: Folder) -> None:
    (folder.path / "tenants").mkdir()
    assert folder.errors("include: tenants\n" + ACCOUNT) == ["tenants: can't be read: Is a directory"]


@pytest.mark.parametrize("pattern", ["../shared/*.yaml", "../shared/acme.yaml", "../main/../shared/a*"])
def test_a_file_elsewhere_is_named_as_given(folder: Folder, pattern: str, tmp_path: Path) -> None:
    inner = Folder(tmp_path / "main")
    folder.write({"shared/acme.yaml": "tenant: acme\naccounts:\n  shop: {}\n"})
    assert inner.errors(f"include: [{pattern}]\n") == ["../shared/acme.yaml:3: accounts.shop.keys: required"]


def test_an_absolute_file_is_named_as_given_unless_it_is_below(folder: Folder, tmp_path: Path) -> None:
    inner = Folder(tmp_path / "main")
    tenant = "tenant: {}\naccounts: {{}}\nroute: {{}}\n"
    folder.write({"other/a.yaml": tenant.format("a"), "main/tenants/b.yaml": tenant.format("b")})
    assert inner.errors(f"include: [{tmp_path}/other/a.yaml, {tmp_path}/main/tenants/b.yaml]\n") == [
        f"{tmp_path}/other/a.yaml:3: route: unknown key 'route'; did you mean 'routes'?",
        "tenants/b.yaml:3: route: unknown key 'route'; did you mean 'routes'?",
    ]


def test_tls_files_must_be_there(folder: Folder) -> None:
    text = "server:\n  tls:\n    certificate: tls/c.pem\n    private_key: tls/k.pem\n" + ACCOUNT
    assert folder.errors(text, {"tls/c.pem": "x"}) == [
        "gateway.yaml:4: server.tls.private_key: the file can't be read: No such file or directory"
    ]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("server: {listen: !env X}", "server.listen"),
        ("plugins: [!env X]", "plugins[0]"),
        ("plugins: !env X", "plugins"),
        ("include: [!env X]", "include[0]"),
        ("tenant: !env X", "tenant"),
        ("server: !env X", "server"),
        ("accounts: !env X", "accounts"),
        ("accounts: {shop: !env X}", "accounts.shop"),
        ("accounts: {shop: {keys: !env X}}", "accounts.shop.keys"),
        ("accounts: {shop: {keys: [{key: !env X}]}}", "accounts.shop.keys[0].key"),
        ("routes: {a: !env X}", "routes.a"),
        ("routes: {a: {sink: !env X}}", "routes.a.sink"),
        ("routes: {a: {sink: erp, options: !env X}}", "routes.a.options"),
        ("routes: {a: {sink: erp, options: {url: !env X}}}", "routes.a.options.url"),
        ("routes: {a: {sink: erp, retry: {cap: !env X}, options: {url: 'http://x'}}}", "routes.a.retry.cap"),
        ("routes: {a: {sink: chat, signals: !env X, options: {webhook_url: 'http://x'}}}", "routes.a.signals"),
    ],
)
def test_a_missing_variable_is_one_error_wherever_it_stands(folder: Folder, line: str, path: str) -> None:
    plugins = "" if line.startswith("plugins") else "plugins: [erp, chat]\n"
    accounts = "" if line.startswith("accounts") else ACCOUNT
    errors = folder.errors(f"{line}\n{plugins}{accounts}")
    assert errors == [f"gateway.yaml:1: {path}: the environment variable X is not set"]
