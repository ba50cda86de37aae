"""TLS, with a certificate made on the spot."""

import asyncio
import ssl
from contextlib import AsyncExitStack

import pytest
import trustme
from tornado.simple_httpclient import HTTPStreamClosedError

from gateway.web.http1 import Server
from gateway.web.limits import Limits
from tests.support.listener import ON_BOTH_LOOPS, Gateway
from tests.support.payloads import example

pytestmark = [pytest.mark.gen_test, ON_BOTH_LOOPS]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_signals_are_taken_over_tls(gateway: Gateway, trusting: ssl.SSLContext) -> None:
    assert gateway.url.startswith("https://")
    assert (await gateway.post(example(), ssl_options=trusting)).code == 200
    assert (await gateway.post(b"x" * 65537, ssl_options=trusting)).code == 413
    (row,) = await gateway.kept()
    assert row.signal.payload == example()


async def test_a_sender_that_does_not_trust_the_certificate_sends_nothing(gateway: Gateway) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await gateway.post(example())
    assert await gateway.kept() == []


async def test_plain_http_is_refused_on_the_tls_port(gateway: Gateway) -> None:
    gateway.url = gateway.url.replace("https", "http")
    with pytest.raises((ConnectionError, HTTPStreamClosedError)):
        await gateway.post(example())
    assert await gateway.kept() == []


async def test_strangers_in_the_middle_of_a_handshake_make_room(
    gateway: Gateway, http_server: Server, http_port: int, trusting: ssl.SSLContext
) -> None:
    """They have sent nothing, so no request says who they are."""
    http_server.limits = Limits(max_connections=3)
    async with AsyncExitStack() as stack:
        strangers = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", http_port)
            stack.callback(writer.close)
            strangers.append(reader)
        for n in range(3):
            assert (await gateway.post(example(n=n), ssl_options=trusting)).code == 200
        assert await strangers[0].read() == b""
    assert len(await gateway.kept()) == 3
