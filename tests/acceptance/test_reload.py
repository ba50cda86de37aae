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

from tests.support.payloads import KEY, example, request
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
            wait_until(lambda: len(old) > 20, 10, "the sender")
            edit(scene, f"keys: [{KEY}]", f"keys: [{KEY}, {NEW_KEY}]")
            assert scene.cli("reload") == "reloaded: 1 account, 1 route\n"
            assert post(scene, NEW_KEY, 1) == 200
            sent = len(old)
            wait_until(lambda: len(old) > sent + 20, 10, "the sender")
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
            assert scene.cli("reload") == "reloaded: 2 accounts, 2 routes\n"
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
            wait_until(lambda: stuck.requests, 5, "the attempt")
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
    wait_until(lambda: scene.logged("gateway.started"), 20, "the start")
    scene.cli("reload")
    assert len(scene.logged("config.reloaded")) == 1
    os.close(ours)
    assert process.wait(timeout=20) == 0
    assert scene.logged("gateway.stopped")
    assert len(scene.logged("config.reloaded")) == 1


def test_a_reload_without_a_gateway_is_an_error(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert "no gateway is running on sqlite:///" in scene.cli("reload", code=1)
    with scene.running() as gateway:
        gateway.kill()
    assert "no gateway is running" in scene.cli("reload", code=1)
    assert "can't reach the gateway's process" in scene.cli("reload", "--pid", "4194304", code=1)


def test_a_gateway_on_a_server_is_named_by_its_process(tmp_path: Path, postgres_url: str) -> None:
    scene = Scene(tmp_path)
    edit(scene, "sqlite:///gateway.db", postgres_url)
    with scene.running() as gateway:
        assert "name the gateway's process with --pid" in scene.cli("reload", code=1)
        edit(scene, KEY, NEW_KEY)
        assert scene.cli("reload", "--pid", str(gateway.pid)) == "reloaded: 1 account, 1 route\n"
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
        assert "private key can't be used" in json.loads(line)["problems"][0]


def write_certificate(folder: Path, certificate: trustme.LeafCert) -> None:
    (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))


def serial_number(url: str, trusting: ssl.SSLContext) -> object:
    host, port = url.removeprefix("https://").split(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        trusting.wrap_socket(plain, server_hostname=host) as tls,
    ):
        found = tls.getpeercert()
        assert found is not None
        return found["serialNumber"]
