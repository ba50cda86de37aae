"""The commands check and init."""

import json

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from tests.support.folder import CONFIG, Folder

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
    tls = "server: {tls: {certificate: chain.pem, private_key: key.pem}}\n"
    (folder.path / "gateway.yaml").write_text(tls + CONFIG)
    chain = good.cert_chain_pems[0].bytes()
    broken = chain.replace(b"M", b"!")
    for first, second, setting, message in (
        (chain, other.private_key_pem.bytes(), "private_key", "key.pem is not the private key of the certificate in"),
        (chain, b"no key", "private_key", "key.pem holds no private key in PEM"),
        (chain, ENCRYPTED, "private_key", "key.pem is encrypted"),
        (good.private_key_pem.bytes(), chain, "certificate", "a private key: are the two files swapped?"),
        (chain, chain, "private_key", "key.pem holds no private key in PEM; it holds a certificate"),
        (b"", good.private_key_pem.bytes(), "certificate", "chain.pem holds no certificate in PEM"),
        (broken, good.private_key_pem.bytes(), "", "the certificate or its private key can't be used"),
    ):
        (folder.path / "chain.pem").write_bytes(first)
        (folder.path / "key.pem").write_bytes(second)
        path = f"server.tls.{setting}".rstrip(".")
        output = folder.run("check", code=1).output
        assert output.startswith(f"gateway.yaml: {path}: ")
        assert message in output
        assert json.loads(folder.run("check", "--json", code=1).output)["path"] == path
    (folder.path / "chain.pem").write_bytes(chain)
    good.private_key_pem.write_to_path(str(folder.path / "key.pem"))
    folder.run("check")


def test_a_missing_config_is_an_error_that_names_it(folder: Folder) -> None:
    assert "nowhere.yaml" in folder.run("check", "--config", "nowhere.yaml", code=1).output


def test_check_prints_warnings_and_goes_on(folder: Folder) -> None:
    old = "    keys: [test-key-of-the-bookshop, {key: an-old-key-of-the-bookshop, expires: 2020-01-31T00:00:00Z}]"
    text = CONFIG.replace("    keys: [test-key-of-the-bookshop]", old)
    (folder.path / "gateway.yaml").write_text("include: [tenants/*.yaml]\n" + text)
    result = folder.run("check")
    assert "warning: gateway.yaml:1: include[0]: no file matches tenants/*.yaml" in result.output
    assert "keys[1]: the key 'key-2' ended at 2020-01-31 00:00 UTC" in result.output
    (summary,) = (json.loads(line) for line in folder.run("check", "--json").output.splitlines())
    assert [warning["line"] for warning in summary["warnings"]] == [1, 7]


def test_check_refuses_an_account_whose_only_key_has_ended(folder: Folder) -> None:
    only = CONFIG.replace(
        "test-key-of-the-bookshop", "{key: an-old-key-of-the-bookshop, expires: 2020-01-31T00:00:00Z}"
    )
    (folder.path / "gateway.yaml").write_text(only)
    assert "accounts.bookshop.keys: every key has ended" in folder.run("check", code=1).output
    assert json.loads(folder.run("check", "--json", code=1).output)["ok"] is False


def test_check_connect_asks_each_target(folder: Folder) -> None:
    output = folder.run("check", "--connect").output
    assert "ok   bookshop/export (csv)" in output
    (folder.path / "exports").write_text("in the way")
    output = folder.run("check", "--connect", code=1).output
    assert "FAIL bookshop/export (csv)" in output
    assert output.splitlines()[-1].startswith("1 of 2 routes could not deliver; the first: bookshop/export: Not a")


@pytest.mark.parametrize(("words", "routes"), [(["--account", "bookshop"], 2), (["--route", "alerts"], 1)])
def test_check_connect_asks_chosen_routes(folder: Folder, words: list[str], routes: int) -> None:
    _, _, *asked = folder.run("check", "--connect", *words, "--json").output.splitlines()
    assert len(asked) == routes


def test_check_connect_asks_the_store(folder: Folder) -> None:
    output = folder.run("check", "--connect").output
    assert f"ok   store {folder.path}/gateway.db\n       can be read and written" in output
    (folder.path / "gateway.db").write_bytes(b"no database" * 1000)
    result = folder.run("check", "--connect", code=1)
    assert f"FAIL store {folder.path}/gateway.db" in result.output
    assert "ok   bookshop/export (csv)" in result.output
    assert result.stderr.startswith("the store: ")


def test_check_connect_makes_no_store(folder: Folder) -> None:
    for file in folder.path.glob("gateway.db*"):
        file.unlink()
    assert "is not there yet; the first start makes it" in folder.run("check", "--connect").output
    (folder.path / "gateway.yaml").write_text(CONFIG.replace("sqlite:///gateway.db", "sqlite:///new/folder/gateway.db"))
    assert "is not there yet" in folder.run("check", "--connect").output
    (folder.path / "new").write_text("in the way")
    assert "new is not a folder" in folder.run("check", "--connect", code=1).output
    assert not [*folder.path.glob("*.db")]


def test_check_connect_refuses_unknown_names(folder: Folder) -> None:
    assert "did you mean 'bookshop'?" in folder.run("check", "--connect", "--account", "bokshop", code=1).stderr
    assert "did you mean 'alerts'?" in folder.run("check", "--connect", "--route", "alert", code=1).stderr
    folder.run("check", "--account", "bookshop", code=2)


def test_check_connect_tells_one_target_in_one_line(folder: Folder) -> None:
    tenant = "tenant: acme\nroutes:\n  all: {sink: csv, options: {directory: x, filename: one.csv}}\n"
    accounts = "".join(f"  client{n}: {{keys: [test-key-of-client-{n}]}}\n" for n in range(9))
    config = CONFIG.replace("tenant: acme\n", tenant) + accounts
    (folder.path / "gateway.yaml").write_text(config)
    assert "ok   bookshop/all (csv), and 9 other routes" in folder.run("check", "--connect", "--route", "all").output


def test_init_writes_a_config_that_passes_the_check(folder: Folder) -> None:
    output = folder.run("init", "mine").output
    assert "wrote mine/gateway.yaml" in output
    folder.run("check", "--config", "mine/gateway.yaml")
    key = output.partition("key is ")[2].partition(";")[0]
    assert len(key) == 32
    for path in (folder.path / "mine").rglob("*.yaml"):
        assert key not in path.read_text()
    assert "mine/gateway.yaml" in folder.run("init", "mine", code=1).output
