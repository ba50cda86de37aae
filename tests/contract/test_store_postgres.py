"""PostgreSQL: passwords are never shown, TLS is used if the URL asks for it, and failures are described."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import pytest

from gateway.errors import GatewayError, StoreError
from gateway.store import open_store
from gateway.store.contract import Settings
from gateway.store.values import Filter
from tests.support.postgres import Server
from tests.support.process import free_port
from tests.support.stores import run_on_store


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(port: int) -> Iterator[Server]:
    """A server that asks for a password over the network. It has no TLS; see test_tls."""
    server = Server()
    server.stop()
    server.add_file("pg_hba.conf", b"local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    server.settings |= {"listen_addresses": "127.0.0.1", "port": str(port)}
    server.start()
    server.execute("ALTER USER postgres PASSWORD 's3cret/w@rd'")
    yield server
    server.stop()


def looks(url: str, **settings: str) -> bool:
    async def look() -> bool:
        store = open_store(Settings(url, **settings))  # type: ignore[arg-type]
        try:
            return await store.list_signals(Filter(), 1) == []
        finally:
            await store.close()

    return asyncio.run(look())


def test_no_connection_is_made_without_the_tls_that_the_url_asks_for(server: Server, port: int) -> None:
    with pytest.raises(StoreError, match="server does not support SSL"):
        looks(f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=require", password="s3cret/w@rd")


@pytest.mark.parametrize("password", ["s3cret/w@rd", "wr0ng-word", ""])
def test_a_password_is_in_the_url_or_beside_it_and_never_shown(server: Server, port: int, password: str) -> None:
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    if password == "s3cret/w@rd":
        assert looks(url, password=password)
        assert looks(url.replace("postgres@", "postgres:s3cret%2Fw%40rd@", 1))
        return
    with pytest.raises(StoreError, match=r"can't open the store postgres at 127\.0\.0\.1: ") as caught:
        looks(url, password=password)
    assert not password or password not in str(caught.value)


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(StoreError, match=r"can't open the store db at 127\.0\.0\.1: .*refused") as caught:
        run_on_store(f"postgresql://me:s3cret@127.0.0.1:{free_port()}/db")
    assert "s3cret" not in str(caught.value)


def test_the_driver_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("gateway.store.postgres.open", raising=False)
    monkeypatch.setitem(sys.modules, "gateway.store.postgres.open", None)
    with pytest.raises(GatewayError, match="install cloudsignal-gateway with the extra postgres"):
        run_on_store("postgresql://me@127.0.0.1/db")
