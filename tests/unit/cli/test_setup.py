"""Commands that set up: check, init, keys, plugins."""

import hashlib
import json

import click
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from gateway.cli import main
from tests.support.scene import serving
from tests.support.stub import Answer, Stub
from tests.unit.cli.conftest import CONFIG, Folder

ENCRYPTED = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a password")
)


def test_check_sums_up_the_config(folder: Folder) -> None:
    output = folder.run("check").output
    assert "account bookshop: POST /signals/bookshop, 1 key" in output
    assert "route alerts -> csv: ItemError" in output
    assert "1 tenant, 1 account, 2 routes" in output
    assert "test-key" not in output


def test_check_says_which_account_delivers_nowhere(folder: Folder) -> None:
    (folder.path / "gateway.yaml").write_text(CONFIG.partition("    routes:")[0])
    output = folder.run("check").output
    assert "no route: its signals are kept, and delivered nowhere" in output
    assert "plugins: csv (0 routes)" in output


def test_check_prints_every_error_with_its_place(folder: Folder) -> None:
    (folder.path / "gateway.yaml").write_text(CONFIG.replace("directory: exports", "directry: exports"))
    output = folder.run("check", code=1).output
    assert "gateway.yaml:9: accounts.bookshop.routes.export.options" in output
    assert "directory" in output
    (first, *_) = (json.loads(line) for line in folder.run("check", "--json", code=1).output.splitlines())
    assert first["ok"] is False
    assert first["file"] == "gateway.yaml"
    assert first["line"] == 9


def test_check_tries_the_certificate(folder: Folder) -> None:
    authority = trustme.CA()
    good, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    good.cert_chain_pems[0].write_to_path(str(folder.path / "chain.pem"))
    tls = "server: {tls: {certificate: chain.pem, private_key: key.pem}}\n"
    (folder.path / "gateway.yaml").write_text(tls + CONFIG)
    for key in (other.private_key_pem.bytes(), b"no key", ENCRYPTED):
        (folder.path / "key.pem").write_bytes(key)
        output = folder.run("check", code=1).output
        assert "gateway.yaml: server.tls: the certificate or its private key can't be used" in output
        assert json.loads(folder.run("check", "--json", code=1).output)["path"] == "server.tls"
    good.private_key_pem.write_to_path(str(folder.path / "key.pem"))
    folder.run("check")


def test_a_missing_config_is_an_error_that_names_it(folder: Folder) -> None:
    assert "nowhere.yaml" in folder.run("check", "--config", "nowhere.yaml", code=1).output


def test_check_connect_asks_each_target(folder: Folder) -> None:
    output = folder.run("check", "--connect").output
    assert "ok   bookshop/export (csv)" in output
    (folder.path / "exports").write_text("in the way")
    output = folder.run("check", "--connect", code=1).output
    assert "FAIL bookshop/export (csv)" in output
    assert "1 of 2 routes could not deliver" in output


def test_init_writes_a_config_that_passes_the_check(folder: Folder) -> None:
    output = folder.run("init", "mine").output
    assert "wrote mine/gateway.yaml" in output
    folder.run("check", "--config", "mine/gateway.yaml")
    key = output.partition("key is ")[2].partition(";")[0]
    assert len(key) == 32
    for path in (folder.path / "mine").rglob("*.yaml"):
        assert key not in path.read_text()
    assert "mine/gateway.yaml" in folder.run("init", "mine", code=1).output


def test_a_new_key_comes_with_its_hash(folder: Folder) -> None:
    output = folder.run("keys", "new").output
    key = output.partition("key:")[2].split()[0]
    assert f"{{sha256: {hashlib.sha256(key.encode()).hexdigest()}}}" in output
    made = json.loads(folder.run("keys", "new", "--json").output)
    assert made["sha256"] == hashlib.sha256(made["key"].encode()).hexdigest()


def test_a_key_is_hashed_without_being_shown(folder: Folder) -> None:
    output = folder.run("keys", "hash", stdin="my-own-key\n").output
    assert output == f"{{sha256: {hashlib.sha256(b'my-own-key').hexdigest()}}}\n"
    assert folder.run("keys", "hash", "--key", "my-own-key").output == output
    assert json.loads(folder.run("keys", "hash", "--json", stdin="my-own-key").output)["sha256"] in output
    assert "the key is empty" in folder.run("keys", "hash", stdin="\n", code=2).output


def test_plugins_tells_enabled_from_installed(folder: Folder) -> None:
    rows = {row["name"]: row for row in map(json.loads, folder.run("plugins", "--json").output.splitlines())}
    assert rows["csv"]["state"] == "enabled"
    assert rows["slack"]["state"] == "installed"
    assert "cloudsignal-gateway" in rows["csv"]["from"]
    assert "CSV" in folder.run("plugins").output


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


@pytest.mark.parametrize("words", [["nonsense"], ["show", "x"], ["signals", "--limit", "0"], ["replay", "--nope"]])
def test_wrong_usage_is_code_2(folder: Folder, words: list[str]) -> None:
    folder.run(*words, code=2)


def test_what_is_no_url_is_wrong_usage(folder: Folder) -> None:
    output = folder.run("simulate", "gateway.example/signals/bookshop", "--key", "k", code=2).output
    assert "expected an endpoint's URL" in output
    assert "sending" not in output


def test_a_sender_with_a_wrong_key_is_told_at_once(folder: Folder) -> None:
    stub = Stub()
    stub.answer = lambda request: Answer(401)  # type: ignore[method-assign]
    with serving(stub):
        words = (f"{stub.url}/signals/bookshop", "--key", "wrong", "--orders", "1", "--attempts", "1")
        result = folder.run("simulate", *words, code=1)
    assert result.output.count("answers 401: no such account, or not its key") == 1
    assert "0 accepted" in result.output
    assert "wrong" not in result.output


def test_the_list_of_commands_is_not_cut(folder: Folder) -> None:
    assert "...\n" not in folder.run("--help").output.partition("Commands:")[2]


def commands(group: click.Group, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        inner = commands(command, (*prefix, name)) if isinstance(command, click.Group) else []
        found += inner or [(*prefix, name)]
    return found


@pytest.mark.parametrize("words", commands(main), ids=" ".join)
def test_every_command_has_help(folder: Folder, words: tuple[str, ...]) -> None:
    assert "Usage:" in folder.run(*words, "--help").output
