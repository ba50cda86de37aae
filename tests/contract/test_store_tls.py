"""PostgreSQL with TLS: verify-full accepts the server that the URL means, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from gateway.errors import StoreError
from gateway.store import open_store
from gateway.store.contract import Settings
from gateway.store.values import Filter
from tests.contract.store_case import accept, claim, finish, numbered
from tests.support.debian import find_debian
from tests.support.postgres import Server
from tests.support.process import free_port

PORT = free_port()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The certificate that signed the server's, which is for localhost. The wheel's server has no TLS."""
    program = find_debian("postgresql", "usr/lib/postgresql/*/bin/postgres")
    server = Server(binaries=program.parent)
    server.stop()
    signer = trustme.CA()
    own = signer.issue_cert("localhost")
    server.add_file("server.crt", b"".join(blob.bytes() for blob in own.cert_chain_pems))
    server.add_file("server.key", own.private_key_pem.bytes())
    server.add_file("pg_hba.conf", b"local all all trust\nhostssl all all 127.0.0.1/32 trust\n")
    server.settings |= {"listen_addresses": "127.0.0.1", "port": str(PORT), "ssl": "on"}
    server.start()
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    signer.cert_pem.write_to_path(str(path))
    yield path
    server.stop()


def deliver(root: Path, host: str = "localhost") -> int:
    """Accept and deliver a signal, and return the number of signals."""

    async def run() -> int:
        options = f"hostaddr=127.0.0.1&port={PORT}&sslmode=verify-full&sslrootcert={root}"
        store = open_store(Settings(f"postgresql://postgres@{host}/postgres?{options}"))
        try:
            await accept(store, numbered(1))
            await finish(store, await claim(store))
            return len(await store.list_signals(Filter(), 10))
        finally:
            await store.close()

    return asyncio.run(run())


def test_the_expected_server_is_accepted(authority: Path) -> None:
    assert deliver(authority) == 1


def test_a_certificate_of_another_authority_is_refused(authority: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with pytest.raises(StoreError, match=r"certificate verify failed; .* sslrootcert in store\.url") as caught:
        deliver(other)
    assert str(caught.value).startswith("can't open the store postgres at localhost: ")


def test_a_certificate_of_another_name_is_refused(authority: Path) -> None:
    with pytest.raises(StoreError, match=r'"localhost".* does not match host name "db\.example"; .* store\.url'):
        deliver(authority, "db.example")


def test_an_authority_that_is_not_there_is_named(authority: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r'root certificate file ".*/lacking\.pem" does not exist.* store\.url'):
        deliver(tmp_path / "lacking.pem")
