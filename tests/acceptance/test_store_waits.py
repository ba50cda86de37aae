"""A start without its store: a database that is not up yet and a full disk are waited for, wrong settings are not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import disk
from tests.support.postgres import Server
from tests.support.process import Gateway, free_port
from tests.support.scene import Scene, fetch, wait_until


class Waiting(Scene):
    """A gateway on fixed ports, which does not come up until its store does."""

    def __init__(self, folder: Path, url: str = "", **options: Any) -> None:
        port, admin = free_port(), free_port()
        super().__init__(folder, port=port, **options)
        config = folder / "gateway.yaml"
        text = config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{admin}")
        config.write_text(text.replace("sqlite:///gateway.db", url) if url else text)
        self.public, self.admin = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}"
        self._starting = threading.Thread(target=self._start)

    def _start(self) -> None:
        self.gateway.start(fault=None)

    @contextmanager
    def waiting(self) -> Iterator[Gateway]:
        """Run it until it waits, and stop it unless the test has ended it."""
        self._starting.start()
        wait_until(lambda: self.gateway.log.exists() and self.logged("store.waiting"), 60, "the start to wait")
        self.gateway.url, self.gateway.admin_url = self.public, self.admin
        try:
            yield self.gateway
        finally:
            if self.gateway.running:
                self.gateway.kill()
            self._starting.join()

    def come_up(self) -> None:
        wait_until(lambda: self.logged("gateway.started"), 60, "the start to go on")
        self._starting.join()

    def assert_waits(self, reason: str) -> None:
        assert fetch(f"{self.public}/healthz").code == 200
        assert self.send(1).code == 503
        code, checks = self.ready()
        assert code == 503
        assert reason in checks["store"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server({"listen_addresses": "127.0.0.1", "port": str(free_port())})
    yield server
    server.stop()


def test_a_database_that_is_not_up_yet_is_waited_for(tmp_path: Path, server: Server) -> None:
    scene = Waiting(tmp_path, server.url())
    server.stop()
    with scene.waiting() as gateway:
        scene.assert_waits("can't open the store postgres at")
        server.start()
        scene.come_up()
        scene.resend(1)
        assert scene.ready()[0] == 200
        assert scene.send(2).code == 200
        assert gateway.terminate() == 0
    assert len(scene.logged("store.waiting")) <= 3  # once for each reason


def test_a_wait_ends_with_the_signal_to_stop(tmp_path: Path) -> None:
    scene = Waiting(tmp_path, f"postgresql://gate:s3cret@127.0.0.1:{free_port()}/db")
    scene.gateway.start = lambda fault=None: start_without_waiting(scene.gateway)  # type: ignore[method-assign]
    with scene.waiting() as gateway:
        scene.assert_waits("Connection refused")
        assert gateway.terminate() == 0
    assert scene.logged("gateway.stopped")
    assert "s3cret" not in gateway.log.read_text()


def start_without_waiting(gateway: Gateway) -> None:
    with pytest.raises(AssertionError, match="did not start"):
        Gateway.start(gateway)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dbname": "nowhere"}, 'database "nowhere" does not exist'),
        ({"user": "nobody-here"}, 'role "nobody-here" does not exist'),
        ({"sslmode": "require"}, "does not support SSL"),
    ],
)
def test_wrong_settings_are_an_error_at_once(tmp_path: Path, server: Server, change: dict[str, str], says: str) -> None:
    if server._process is None:
        server.start()
    given = {"host": "127.0.0.1", "port": server.settings["port"], "user": "postgres", **change}
    database = given.pop("dbname", "postgres")
    query = "&".join(f"{name}={value}" for name, value in given.items())
    scene = Scene(tmp_path)
    config = tmp_path / "gateway.yaml"
    config.write_text(config.read_text().replace("sqlite:///gateway.db", f"postgresql:///{database}?{query}"))
    assert says in scene.refused_start()


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
def test_a_database_of_another_encoding_is_refused_by_name(tmp_path: Path, server: Server, encoding: str) -> None:
    if server._process is None:
        server.start()
    name = f"db_{encoding.lower()}"
    server.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    scene = Scene(tmp_path)
    config = tmp_path / "gateway.yaml"
    config.write_text(config.read_text().replace("sqlite:///gateway.db", server.url(name)))
    says = scene.refused_start()
    assert f"{name} at {server.folder} has the encoding {encoding}" in says
    assert "expected UTF8" in says
    assert f"encoding {encoding}" in scene.cli("audit", code=1)
    assert f"encoding {encoding}" in scene.cli("check", "--connect", code=1)
    assert f"encoding {encoding}" in scene.cli("migrate", code=1)
    assert server.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", name) == [(0,)]


def test_texts_are_kept_whatever_encoding_the_client_is_set_to(tmp_path: Path, server: Server) -> None:
    if server._process is None:
        server.start()
    server.execute("CREATE DATABASE fine")
    scene = Scene(tmp_path)
    config = tmp_path / "gateway.yaml"
    url = server.url("fine", client_encoding="LATIN1")
    config.write_text(config.read_text().replace("sqlite:///gateway.db", url))
    scene.gateway = Gateway(tmp_path, {**scene.env, "PGCLIENTENCODING": "LATIN1"}, scene.gateway._program)
    with scene.running():
        assert scene.send(1, order="jam 😀").code == 200
    assert [row["order"] for row in scene.cli_json("signals")] == ["jam 😀"]


@pytest.mark.parametrize("made", [True, False], ids=["with a store", "without a store"])
def test_a_full_disk_is_waited_for(tmp_path: Path, made: bool) -> None:
    if not disk.may_mount():
        pytest.skip("we may not mount here")
    with disk.SmallDisk(tmp_path).made() as full:
        scene = Waiting(tmp_path, store=Path("disk/gateway.db"))
        if made:
            with scene.running():
                scene.send(1)
                scene.wait_for_delivery()
            scene.gateway.log.unlink()
        full.fail(0)
        with scene.waiting() as gateway:
            scene.assert_waits("the disk is full")
            full.mend(0)
            scene.come_up()
            scene.resend(1)
            scene.check_custody()
            assert gateway.terminate() == 0
