"""A running gateway applies a changed configuration as a whole or not at all, and loses no signal."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from tests.support.payloads import KEY, example, key_of, request
from tests.support.process import Gateway
from tests.support.scene import ERP, Scene, fetch, serving, wait_until
from tests.support.stub import Fault, Stub

NEW_KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


def edit(scene: Scene, old: str, new: str) -> None:
    path = scene.folder / "gateway.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def post(scene: Scene, key: str, number: int, account: str = "bookshop") -> int:
    body = request(example(order=f"K{number}", item=str(number)), key)
    return fetch(f"{scene.gateway.url}/signals/{account}", body).code


@contextmanager
def senders(scene: Scene, key: str, first: int) -> Iterator[list[int]]:
    """A sender that keeps posting with a key and collects the codes of its answers."""
    codes: list[int] = []
    stop = threading.Event()

    def send() -> None:
        for number in itertools.count(first):
            if stop.is_set():
                return
            codes.append(post(scene, key, number))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield codes
    finally:
        stop.set()
        thread.join()


def test_keys_are_rotated_without_losing_a_signal(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.running():
        with senders(scene, KEY, 1000) as old:
            wait_until(lambda: len(old) > 20, 60, "the sender")
            edit(scene, f"keys: [{KEY}]", f"keys: [{KEY}, {NEW_KEY}]")
            said = scene.cli("reload")
            assert said == "account bookshop changes: key key-2 comes\nreloaded: 1 account, 1 route\n"
            assert post(scene, NEW_KEY, 1) == 200
            sent = len(old)
            wait_until(lambda: len(old) > sent + 20, 60, "the sender")
        assert set(old) == {200}
        with senders(scene, NEW_KEY, 5000) as new:
            edit(scene, f"keys: [{KEY}, {NEW_KEY}]", f"keys: [{NEW_KEY}]")
            scene.cli("reload")
            assert post(scene, KEY, 2) == 401
        assert set(new) == {200}
        scene.wait_for_delivery()
        kept = scene.rows("SELECT count(*) FROM signals")[0][0]
        assert kept == len(old) + len(new) + 1
        assert scene.recorded().total() == kept
    assert NEW_KEY not in scene.gateway.log.read_text()
    assert len(scene.logged("config.reloaded")) == 2
    assert {line["key"] for line in scene.logged("signal.accepted")} == {"key-1", "key-2"}
    (account,) = scene.cli_json("accounts", "list")
    assert [(key["label"], bool(key["last_used"])) for key in account["keys"]] == [("key-1", True)]
    assert account["last_signal"]


def test_a_key_that_has_ended_is_named_in_the_log(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    edit(scene, f"keys: [{KEY}]", f"keys: [{{key: {KEY}, label: old, expires: 2020-01-31T00:00:00Z}}, {NEW_KEY}]")
    with scene.running():
        assert post(scene, KEY, 1) == post(scene, "a-wrong-key-of-nobody", 1) == 401
        assert post(scene, NEW_KEY, 1) == 200
        wait_until(lambda: len(scene.logged("signal.refused")) == 2, 60, "the log")
        ended, wrong = scene.logged("signal.refused")
        assert (ended["key"], ended["reason"], ended["error"]) == ("old", "expired key", wrong["error"])
        assert "key" not in wrong
        assert "the key 'old' ended at 2020-01-31" in scene.logged("config.warning")[0]["message"]
        assert scene.metric("cloudsignal_keys_ending") == 1
    (account,) = scene.cli_json("accounts", "list")
    assert [(key["label"], bool(key["last_used"])) for key in account["keys"]] == [("old", False), ("key-2", True)]


def test_a_gateway_starts_although_one_accounts_keys_have_ended(tmp_path: Path) -> None:
    scene = Scene(tmp_path, {"bookshop": {"erp": ERP}, "posters": {"erp": ERP}})
    ended = f"keys: [{{key: {key_of('posters')}, expires: 2020-01-31T00:00:00Z}}]"
    edit(scene, f"keys: [{key_of('posters')}]", ended)
    assert "accounts.posters.keys: every key has ended" in scene.cli("check", code=1)
    with scene.running():
        assert scene.send(1).code == 200
        (ended,) = scene.logged("config.keys_ended", level="error")
        assert (ended["path"], ended["line"]) == ("accounts.posters.keys", 12)
        assert "accounts.posters.keys: every key has ended" in scene.cli("reload", code=1)


def test_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.running() as gateway:
        good = (tmp_path / "gateway.yaml").read_text()
        edit(scene, f"keys: [{KEY}]", f"keys: [{NEW_KEY}]\n    rte: 5")
        said = scene.cli("reload", code=1)
        assert "gateway.yaml:9: accounts.bookshop.rte: unknown key 'rte'; did you mean 'rate'?" in said
        # After a plain SIGHUP, as systemd sends it, the outcome is in the log and the metrics.
        os.kill(gateway.pid, signal.SIGHUP)
        gateway.wait_for_log('"config.refused"')
        (refused,) = scene.logged("config.refused")
        assert "did you mean 'rate'?" in refused["problems"][0]
        assert scene.metric("cloudsignal_config_last_reload_successful") == 0
        assert scene.send(1).code == 200
        (tmp_path / "gateway.yaml").write_text(good)
        scene.cli("reload")
        assert scene.metric("cloudsignal_config_last_reload_successful") == 1
        scene.check_custody()
    assert NEW_KEY not in gateway.log.read_text()


def test_settings_that_need_a_restart_are_named_and_nothing_changes(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.running():
        edit(scene, "grace: 5s", "grace: 6s")
        edit(scene, 'admin: {listen: "127.0.0.1:0"}\n', "log: {level: debug}\n")
        edit(scene, KEY, NEW_KEY)
        said = scene.cli("reload", code=1)
        assert "the gateway goes on with its last configuration" in said
        assert "to change admin, log takes a restart; nothing was changed" in said
        assert post(scene, NEW_KEY, 1) == 401
        assert post(scene, KEY, 1) == 200


def test_accounts_and_routes_are_added_removed_and_changed(tmp_path: Path) -> None:
    target = Stub()
    with serving(target):
        shop = f'sink: post, options: {{url: "{target.url}"}}'
        scene = Scene(tmp_path, {"bookshop": {"erp": ERP, "shop": shop}})
        with scene.running():
            assert scene.send(1).code == 200
            scene.wait_for_delivery()
            # One route is removed, one is changed, and an account is added.
            text = (tmp_path / "gateway.yaml").read_text()
            lines = [line for line in text.splitlines() if not line.startswith("      shop:")]
            lines += ["  posters:", f"    keys: [{NEW_KEY}]", f"    routes: {{erp: {{{ERP}}}}}", ""]
            (tmp_path / "gateway.yaml").write_text("\n".join(lines).replace("erp.jsonl", "new.jsonl", 1))
            assert scene.cli("reload").splitlines() == [
                "account bookshop changes: route shop goes; route erp changes",
                "account posters comes",
                "reloaded: 2 accounts, 2 routes",
            ]
            assert scene.send(2).code == 200
            assert post(scene, NEW_KEY, 3, "posters") == 200
            scene.wait_for_delivery()
            assert len(target.requests) == 1
            assert len((tmp_path / "new.jsonl").read_text().splitlines()) == 1
            assert scene.rows("SELECT route FROM deliveries WHERE signal_id = 2") == [("erp",)]
            assert scene.metric("cloudsignal_route_state", route="erp") == 0
            # And back: the removed route's deliveries continue.
            (tmp_path / "gateway.yaml").write_text(text)
            scene.cli("reload")
            assert post(scene, NEW_KEY, 4, "posters") == 401
            assert scene.send(5).code == 200
            scene.wait_for_delivery()
            assert len(target.requests) == 2


def test_a_route_that_hangs_is_replaced_within_the_grace_time(tmp_path: Path) -> None:
    stuck, well = Stub(), Stub()
    stuck.faults.extend([Fault.HANG] * 100)
    with serving(stuck), serving(well):
        scene = Scene(tmp_path, {"bookshop": {"erp": f'sink: post, options: {{url: "{stuck.url}"}}'}}, grace="0.2s")
        with scene.running():
            scene.send(1)
            wait_until(lambda: stuck.requests, 60, "the attempt")
            edit(scene, stuck.url, well.url)
            scene.cli("reload")
            scene.wait_for_delivery()
        assert len(well.requests) == 1
        assert scene.states() == {"delivered": 1}


def test_a_closed_terminal_ends_the_gateway_and_does_not_reload_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    ours, terminal = os.openpty()
    with (tmp_path / "gateway.log").open("w") as log:
        process = subprocess.Popen(
            # Its own session; its controlling terminal is its standard input.
            ["setsid", "--ctty", "--wait", sys.executable, "-m", "gateway", "serve", "--config", "gateway.yaml"],
            cwd=tmp_path, env={**os.environ, **scene.env}, stdin=terminal, stdout=log, stderr=log,
        )  # fmt: skip
    os.close(terminal)
    wait_until(lambda: scene.logged("gateway.started"), 60, "the start")
    scene.cli("reload")
    assert len(scene.logged("config.reloaded")) == 1
    os.close(ours)
    assert process.wait(timeout=60) == 0
    assert scene.logged("gateway.stopped")
    assert len(scene.logged("config.reloaded")) == 1


def test_a_reload_without_a_gateway_is_an_error(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert "no gateway is running on sqlite:///" in scene.cli("reload", code=1)
    with scene.running() as gateway:
        gateway.kill()
    assert "no gateway is running" in scene.cli("reload", code=1)
    assert "no gateway is running" in scene.cli("reload", "--pid", "4194304", code=1)


def test_a_gateway_on_a_server_is_named_by_its_process(tmp_path: Path, postgres_url: str) -> None:
    scene = Scene(tmp_path)
    edit(scene, "sqlite:///gateway.db", postgres_url)
    with scene.running() as gateway:
        assert "name the gateway's process with --pid" in scene.cli("reload", code=1)
        edit(scene, KEY, NEW_KEY)
        assert scene.cli("reload", "--pid", str(gateway.pid)).endswith("reloaded: 1 account, 1 route\n")
        assert post(scene, NEW_KEY, 1) == 200


@pytest.mark.parametrize("renewed", [True, False])
def test_a_renewed_certificate_is_used(tmp_path: Path, renewed: bool) -> None:
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    write_certificate(tmp_path, authority.issue_cert("127.0.0.1"))
    (tmp_path / "gateway.yaml").write_text(f"""\
server: {{listen: 127.0.0.1:0, tls: {{certificate: chain.pem, private_key: key.pem}}}}
store: {{url: sqlite:///{tmp_path}/gateway.db}}
accounts: {{bookshop: {{keys: [{KEY}]}}}}
""")
    with Gateway(tmp_path) as gateway:
        assert gateway.url.startswith("https://")
        first = serial_number(gateway.url, trusting)
        if renewed:
            write_certificate(tmp_path, authority.issue_cert("127.0.0.1"))
        else:
            (tmp_path / "key.pem").write_text("no key")
        os.kill(gateway.pid, signal.SIGHUP)
        gateway.wait_for_log("config.reloaded" if renewed else "config.refused")
        assert (serial_number(gateway.url, trusting) != first) is renewed
        assert gateway.terminate() == 0
    if not renewed:
        (line,) = [line for line in gateway.log.read_text().splitlines() if "config.refused" in line]
        assert "holds no private key in PEM" in json.loads(line)["problems"][0]


def write_certificate(folder: Path, certificate: trustme.LeafCert) -> None:
    (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))


def serial_number(url: str, trusting: ssl.SSLContext) -> object:
    host, port = url.removeprefix("https://").split(":")
    with (
        socket.create_connection((host, int(port)), timeout=60) as plain,
        trusting.wrap_socket(plain, server_hostname=host) as tls,
    ):
        found = tls.getpeercert()
        assert found is not None
        return found["serialNumber"]


# -- accounts that go

MANY = [f"client{number}" for number in range(4)]


def include_tenants(scene: Scene) -> None:
    """Move all accounts but the bookshop to tenants' files of their own."""
    path = scene.folder / "gateway.yaml"
    head, _, rest = path.read_text().partition("  client0:\n")
    path.write_text("include: [tenants/*.yaml]\n" + head)
    (scene.folder / "tenants").mkdir()
    (scene.folder / "tenants" / "north.yaml").write_text(f"tenant: north\naccounts:\n  client0:\n{rest}")


def make_scene(folder: Path) -> Scene:
    scene = Scene(folder, {"bookshop": {"erp": ERP}, **{name: {"erp": ERP} for name in MANY}})
    include_tenants(scene)
    return scene


@pytest.mark.parametrize("how", ["renamed", "emptied", "gone", "accounts"])
def test_a_tenants_file_that_drops_out_is_refused_by_command_and_signal(tmp_path: Path, how: str) -> None:
    scene = make_scene(tmp_path)
    north = tmp_path / "tenants" / "north.yaml"
    text = north.read_text()
    with scene.running() as gateway:
        if how == "renamed":
            north.rename(north.with_suffix(".yml"))
        elif how == "emptied":
            north.write_text("tenant: north\n")
        elif how == "gone":
            north.unlink()
        else:
            north.write_text(text.partition("  client1:")[0])
        said = scene.cli("reload", code=1)
        if how != "accounts":
            assert "4 of 5 accounts would go: client0, client1, client2, client3" in said
        else:
            assert "3 of 5 accounts would go: client1, client2, client3" in said
        assert ("include tenants/*.yaml: it matched 1 files, and matches none now" in said) is (
            how in ("renamed", "gone")
        )
        assert "cloudsignal reload --force" in said
        assert "a reload would need --force" in scene.cli("check", "--diff")
        assert ("tenants/north.yml is not included" in scene.cli("check")) is (how == "renamed")
        os.kill(gateway.pid, signal.SIGHUP)
        gateway.wait_for_log('"config.refused"', 2)
        assert scene.send(1, "client3").code == 200
        north.with_suffix(".yml").unlink(missing_ok=True)
        north.write_text(text)
        assert scene.cli("reload") == "reloaded: 5 accounts, 5 routes\n"


def test_a_forced_reload_passes_once_and_tells_what_stays_pending(tmp_path: Path) -> None:
    target = Stub()
    target.faults.extend([Fault.HANG] * 100)
    with serving(target):
        posting = f'sink: post, options: {{url: "{target.url}"}}'
        scene = Scene(tmp_path, {"bookshop": {"erp": ERP}, **{n: {"erp": posting} for n in MANY}}, grace="0.2s")
        include_tenants(scene)
        north = tmp_path / "tenants" / "north.yaml"
        text = north.read_text()
        with scene.running() as gateway:
            assert scene.send(1, "client2").code == 200
            north.unlink()
            said = scene.cli("reload", "--force")
            assert "account client2 goes: 1 pending on erp\n" in said
            assert "include tenants/*.yaml changes: tenants/north.yaml goes\n" in said
            assert "reloaded: 1 account, 1 route\n" in said
            assert "no file matches tenants/*.yaml" in said
            wait_until(lambda: len(scene.logged("config.account_left")) == len(MANY), 60, "a line for each")
            assert {line["account"]: line["pending"] for line in scene.logged("config.account_left")} == {
                **{name: {} for name in MANY},
                "client2": {"erp": 1},
            }
            assert fetch(f"{gateway.url}/signals/client2", b"{}").code == 401
            # It passes once: the next reload is judged anew.
            north.write_text(text)
            scene.cli("reload")
            north.unlink()
            os.kill(gateway.pid, signal.SIGHUP)
            gateway.wait_for_log('"config.refused"')
            assert scene.rows("SELECT count(*) FROM actions WHERE action = 'reload-force'") == [(1,)]


def test_a_reload_prints_warnings(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    with scene.running():
        (tmp_path / "tenants" / "south.yml").write_text("tenant: south\n")
        assert "warning: gateway.yaml:1: include: tenants/south.yml is not included" in scene.cli("reload")


def test_a_name_used_again_does_not_inherit(tmp_path: Path) -> None:
    target, stranger = Stub(), Stub()
    target.faults.extend([Fault.HANG] * 100)
    with serving(target, stranger):
        old = f'sink: post, options: {{url: "{target.url}"}}'
        scene = Scene(tmp_path, {"bookshop": {"erp": ERP}, "client60": {"erp": old}}, grace="0.2s")
        text = (tmp_path / "gateway.yaml").read_text()
        with scene.running():
            assert scene.send(1, "client60").code == 200
            (tmp_path / "gateway.yaml").write_text(text.partition("  client60:")[0])
            assert "account client60 goes: 1 pending on erp" in scene.cli("reload")
            # The same client comes back, and goes again.
            (tmp_path / "gateway.yaml").write_text(text)
            assert "account client60 comes" in scene.cli("reload")
            (tmp_path / "gateway.yaml").write_text(text.partition("  client60:")[0])
            scene.cli("reload")
            # Another client gets its name.
            edited = text.replace(key_of("client60"), NEW_KEY).replace(target.url, stranger.url)
            (tmp_path / "gateway.yaml").write_text(edited)
            assert "accounts.client60: another client had this name" in scene.cli("reload", code=1)
        assert "accounts.client60: another client had this name" in scene.refused_start()
        scene.cli("forget", "client60", "--yes")
        with scene.running():
            assert post(scene, NEW_KEY, 2, "client60") == 200
            wait_until(lambda: stranger.requests, 60, "the delivery")
            assert len(stranger.requests) == 1
            assert b'"order":"K2"' in stranger.requests[0].body
