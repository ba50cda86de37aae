"""Commands in a shell without the gateway's secrets: they need the store, and names of accounts and routes."""

from __future__ import annotations

import pytest

from tests.support.filled import fill_with_states
from tests.support.folder import Folder

SECRETS = """\
server: {listen: !env THE_LISTENER, tls: {certificate: !env THE_CERTIFICATE, private_key: gone.pem}}
log: {level: !file gone}
store: {url: "sqlite:///gateway.db"}
plugins: [csv, slack, odoo, webhook]
tenant: acme
routes:
  alerts: {sink: slack, options: {webhook_url: !env ACME_SLACK}}
  forward: {sink: webhook, options: {url: !file gone, secrets: [!env ACME_FORWARD]}}
accounts:
  bookshop:
    keys: [!env BOOKSHOP_KEY, {key: !file gone, label: old}]
    rate: !env BOOKSHOP_RATE
    routes:
      export: {sink: csv, options: {directory: exports, delimiter: tab}}
      erp: {sink: odoo, options: {url: "https://odoo.example", database: d, api_key: !file /nowhere/odoo}}
  posters:
    keys: !env POSTERS_KEYS
"""
COMMANDS = [
    "signals",
    "signals --account posters",
    "deliveries --route erp",
    "dead",
    "quarantine",
    "show 1",
    "explain 1",
    "routes",
    "audit",
    "export",
    "export --like bookshop/export",
    "replay --dead --dry-run",
    "quarantine replay --all --dry-run",
    "purge --dry-run",
    "pause bookshop erp",
    "resume bookshop erp",
    "orders add bookshop PO-1",
    "migrate",
    "accounts list",
    "backup copy.db",
    "skip 3 --route export",
]

WHOLE = ("replay", "quarantine replay", "purge", "orders", "migrate")
"""Commands that change what they find by filters, or by settings, need a whole configuration. So do others."""


@pytest.fixture
def bare(folder: Folder) -> Folder:
    folder.fill(fill_with_states)
    (folder.path / "gateway.yaml").write_text(SECRETS)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_needs_no_secret(bare: Folder, command: str) -> None:
    assert bare.run(*command.split()).stderr.count("not set") == 0


def test_check_names_every_missing_secret(bare: Folder) -> None:
    errors = bare.run("check", code=1).stderr
    for name in ("THE_LISTENER", "THE_CERTIFICATE", "ACME_SLACK", "ACME_FORWARD", "BOOKSHOP_KEY", "POSTERS_KEYS"):
        assert f"the environment variable {name} is not set" in errors


def test_routes_without_their_secrets_keep_name_sink_and_types(bare: Folder) -> None:
    text = bare.run("routes", "--account", "bookshop").stdout
    assert [line.split()[1:3] for line in text.splitlines()[1:]] == [
        ["export", "csv"],  # it has a dead letter
        ["alerts", "slack"],
        ["forward", "webhook"],
        ["erp", "odoo"],
    ]
    assert "asks" not in bare.run("explain", "1").stderr


def test_a_format_like_that_of_a_route_with_wrong_options_is_an_error(bare: Folder) -> None:
    config = bare.path / "gateway.yaml"
    config.write_text(SECRETS.replace("delimiter: tab", "delimitr: tab"))
    assert "are wrong: `cloudsignal check` tells" in bare.run("export", "--like", "bookshop/export", code=1).stderr
    bare.run("signals")


def test_the_stores_password_is_needed(bare: Folder) -> None:
    config = bare.path / "gateway.yaml"
    config.write_text(SECRETS.replace('store: {url: "sqlite:///gateway.db"}', "store: {password: !env THE_PASSWORD}"))
    assert "gateway.yaml:3: store.password: the environment variable THE_PASSWORD is not set" in (
        bare.run("signals", code=1).stderr
    )


TENANTS = {
    "a key that nothing knows": "tenant: globex\naccounts: {printshop: {keyz: 1}}\n",
    "no YAML": "tenant: globex\naccounts: {printshop: {keys: ['a-key\n",
    "no UTF-8": b"tenant: \xff\n",
    "a list": "- tenant: globex\n",
    "a folder": None,
}


@pytest.mark.parametrize("tenant", TENANTS.values(), ids=TENANTS)
def test_an_invalid_tenant_file_is_told_and_the_rest_is_shown(bare: Folder, tenant: str | bytes | None) -> None:
    (bare.path / "gateway.yaml").write_text(SECRETS + "include: [globex.yaml]\n")
    file = bare.path / "globex.yaml"
    if tenant is None:
        file.mkdir()
    else:
        file.write_bytes(tenant if isinstance(tenant, bytes) else tenant.encode())
    for command in COMMANDS:
        if not command.startswith(WHOLE):
            result = bare.run(*command.split())
            assert result.stderr.startswith("error: globex.yaml:")
            assert "what has errors is left out here" in result.stderr
            assert "globex" not in result.stdout
    for command in ("purge", "quarantine replay --all", "forget gone --yes", "reload"):
        assert "globex.yaml:" in bare.run(*command.split(), code=1).stderr


def test_many_errors_are_told_in_short(bare: Folder) -> None:
    (bare.path / "gateway.yaml").write_text(SECRETS + "".join(f"  shop{n}: {{keyz: 1}}\n" for n in range(30)))
    assert bare.run("signals").stderr.count("error: ") == 5
    assert "more; what has errors is left out here" in bare.run("signals").stderr


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("tenant: acme", "tenant: !env TENANT", "the environment variable TENANT is not set"),
        ("rate: !env", "rat: 1 #", "unknown key 'rat'"),
        ("keys: !env POSTERS_KEYS", "keys: []", "expected at least one"),
        ("sink: csv", "sink: cvs", "did you mean 'csv'"),
    ],
)
def test_other_errors_are_told(bare: Folder, right: str, wrong: str, message: str) -> None:
    config = bare.path / "gateway.yaml"
    config.write_text(SECRETS.replace(right, wrong))
    assert message in bare.run("signals").stderr
    assert message in bare.run("reload", code=1).stderr
