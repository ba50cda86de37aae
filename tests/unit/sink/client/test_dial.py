"""Connections: the next address of a host is tried, and a fault of TLS is named without the host."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme

from gateway.sink import Context, HttpSink, Unanswered
from gateway.sink.client import dial
from tests.support.forward_proxy import ForwardProxy
from tests.support.listener import ON_BOTH_LOOPS
from tests.support.stub import Stub
from tests.support.tls_target import target, trust


class Plain(HttpSink):
    name = "plain"
    summary = "posts"


@asynccontextmanager
async def calling(certificate: trustme.LeafCert | None = None) -> AsyncIterator[tuple[Plain, Stub, int]]:
    async with target(certificate) as (stub, port):
        sink = Plain({}, Context("shop", "acme", "erp"))
        try:
            yield sink, stub, port
        finally:
            await sink.close()


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.3", "127.0.0.2", "127.0.0.1"]],
    ids=["second", "first", "third"],
)
@pytest.mark.gen_test
async def test_the_next_address_is_tried(addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The target listens on 127.0.0.1 only."""
    async with calling() as (sink, stub, port):
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert (await sink.request("GET", f"http://desk.example:{port}/")).status == 200
        assert len(stub.requests) == 1


@pytest.mark.gen_test
async def test_a_silent_address_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "STAGGER_SECONDS", 0.01)
    async with calling() as (sink, _, port):
        silent = socket.create_server(("127.0.0.2", port), backlog=0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:  # fill its backlog, so that it answers no more
            each.setblocking(False)
            each.connect_ex(("127.0.0.2", port))
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("127.0.0.2", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert (await asyncio.wait_for(sink.request("GET", f"http://desk.example:{port}/"), 60)).status == 200
        for each in (silent, *waiting):
            each.close()


@pytest.mark.parametrize(
    ("issued", "trusted", "words"),
    [
        ("localhost", False, "the certificate is not valid: .*issuer certificate"),
        ("other.example", True, "the certificate is not valid: it is for another name"),
    ],
    ids=["unknown authority", "another name"],
)
@pytest.mark.gen_test
async def test_a_certificate_is_checked(
    issued: str, trusted: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    trust(authority if trusted else trustme.CA(), monkeypatch)
    async with calling(authority.issue_cert(issued)) as (sink, stub, port):
        with pytest.raises(Unanswered, match=words) as raised:
            await sink.request("GET", f"https://localhost:{port}/secret-path")
        assert "localhost" not in str(raised.value)
        assert not stub.requests


@pytest.mark.gen_test
async def test_a_port_without_tls_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "CONNECT_SECONDS", 0.1)
    async with calling() as (sink, _, port):
        with pytest.raises(Unanswered, match="can't connect by TLS: no answer in time"):
            await sink.request("GET", f"https://localhost:{port}/secret-path")


@ON_BOTH_LOOPS
def test_tls_works_on_each_event_loop_and_in_a_tunnel(loop_factory, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    async def body() -> None:
        authority = trustme.CA()
        trust(authority, monkeypatch)
        certificate = authority.issue_cert("desk.example", "localhost")
        async with calling(certificate) as (sink, stub, port), ForwardProxy({"desk.example": port}) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            monkeypatch.setenv("NO_PROXY", "localhost")
            for url in (f"https://localhost:{port}/", "https://desk.example/", "https://desk.example/"):
                assert (await sink.request("POST", url, json="x" * 300_000)).status == 200
            assert (len(stub.requests), len(proxy.heads)) == (3, 1)
            await sink.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(body())
