"""HTTP/1.1 server: the life of a connection, time limits, hang-ups, and several requests on one connection."""

import asyncio

import pytest
from tornado.ioloop import IOLoop

from gateway.web.http1 import Server
from gateway.web.limits import Limits
from tests.support.accounts import make_account
from tests.support.listener import ON_BOTH_LOOPS, Gateway
from tests.support.payloads import example, request
from tests.support.wire import CHUNKED, LIMIT, Connect, chunks, head, plain

pytestmark = [pytest.mark.gen_test, ON_BOTH_LOOPS]


async def test_a_connection_serves_many_requests(wire: Connect, gateway: Gateway) -> None:
    bodies = [request(example(n=n)) for n in range(5)]
    async with wire() as connection:
        for body in bodies:
            await connection.write(plain(body))
            assert await connection.code() == 200
        await connection.write(*map(plain, bodies), plain(b"{"), head(method="GET", path="/healthz"))
        assert [await connection.code() for _ in range(7)] == [200] * 5 + [401, 200]
        await connection.write(head(method="GET"))
        assert await connection.code() == 405
        assert await connection.closed()
    assert len(await gateway.kept()) == 5


async def test_pipelined_requests_are_answered_in_order(wire: Connect, gateway: Gateway) -> None:
    """The requests are five times the read-ahead limit."""
    bodies = [request(example(n=n)) if n % 2 else b"{}" for n in range(5 * Limits().read_ahead)]
    async with wire() as connection:
        for body in bodies:
            await connection.write(plain(body))
        assert [await connection.code() for _ in bodies] == [200 if n % 2 else 401 for n in range(len(bodies))]
    kept = reversed(await gateway.kept())
    assert [row.signal.payload["n"] for row in kept] == list(range(1, len(bodies), 2))


async def test_a_sender_that_half_closes_is_still_answered(wire: Connect, gateway: Gateway) -> None:
    async with wire() as connection:
        await connection.write(plain(request(example())), plain(request(example(n=1))))
        connection.writer.write_eof()
        assert [await connection.code() for _ in range(2)] == [200, 200]
        assert await connection.closed()
    for begun in (b"", head("Content-Length: 100"), head("Content-Length: 100") + b"{"):
        async with wire() as connection:
            await connection.write(begun)
            connection.writer.write_eof()
            assert await connection.closed()
    async with wire() as connection:
        await connection.write(head(f"Content-Length: {LIMIT + 1}"), b"{")
        connection.writer.write_eof()
        assert await connection.code() == 413
        assert await connection.closed()
    assert len(await gateway.kept()) == 2


async def test_a_refused_sender_that_half_closes_is_closed(wire: Connect) -> None:
    async with wire() as connection:
        await connection.write(head(f"Content-Length: {LIMIT + 1}"), b"{")
        assert await connection.code() == 413
        connection.writer.write_eof()
        assert await connection.closed()


async def test_a_connection_is_closed_on_request(wire: Connect) -> None:
    for request_bytes in (
        plain(request(example()), "Connection: close"),
        head(f"Content-Length: {len(request(example()))}", version="1.0") + request(example()),
    ):
        async with wire() as connection:
            await connection.write(request_bytes)
            assert await connection.code() == 200
            assert await connection.closed()


async def test_a_hang_up_within_a_request_stores_nothing(wire: Connect, gateway: Gateway) -> None:
    for start in (head("Content-Length: 100"), head("Content-Length: 100") + b"{", head(CHUNKED) + b"5\r\n{"):
        async with wire() as connection:
            await connection.write(start)
    assert (await gateway.post(example())).code == 200
    assert len(await gateway.kept()) == 1


async def test_a_signal_is_stored_if_its_sender_hangs_up_before_the_answer(
    wire: Connect, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, released = asyncio.Event(), asyncio.Event()
    accept = gateway.store.accept

    async def wait(*values):
        arrived.set()
        await released.wait()
        return await accept(*values)

    monkeypatch.setattr(gateway.store, "accept", wait)
    async with wire() as connection:
        await connection.write(plain(request(example())))
        await arrived.wait()
    gateway.ingest.stop()
    released.set()
    await gateway.ingest.drain()
    assert len(await gateway.kept()) == 1


async def test_a_body_that_never_comes_is_cut(wire: Connect, gateway: Gateway, http_server: Server) -> None:
    http_server.limits = Limits(body_timeout=0.01)
    async with wire() as connection:
        await connection.write(head("Content-Length: 100"), b"{")
        assert await connection.code() == 0
    http_server.limits = Limits()
    assert (await gateway.post(example())).code == 200


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"PO", b"POST /signals/bookshop HTTP/1.1\r\nHost: x\r\nX"])
async def test_slow_heads_and_silent_connections_are_cut(wire: Connect, http_server: Server, begun: bytes) -> None:
    http_server.limits = Limits(idle_timeout=0.01)
    async with wire() as connection:
        await connection.write(begun)
        assert await connection.code() == 0


async def test_a_connection_that_is_idle_after_an_answer_is_cut(wire: Connect, http_server: Server) -> None:
    http_server.limits = Limits(idle_timeout=1.0)  # long enough for a busy machine to send the request
    async with wire() as connection:
        await connection.write(head(method="GET", path="/healthz"))
        assert await connection.code() == 200
        assert await connection.closed()


async def test_an_offer_of_http_2_is_ignored(wire: Connect, gateway: Gateway) -> None:
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
    async with wire() as connection:
        for body in (request(example()), request(example(n=1))):
            await connection.write(head(*offer, f"Content-Length: {len(body)}"), body)
            assert await connection.code() == 200
            await connection.write(head(*offer, CHUNKED), chunks(body, 10), head(*offer, method="GET", path="/healthz"))
            assert [await connection.code() for _ in range(2)] == [200, 200]
        await connection.write(head(*offer, f"Content-Length: {LIMIT + 1}"), b"{")
        assert await connection.code() == 413
    assert len(await gateway.kept()) == 2


async def test_a_signal_before_hundreds_of_offers_is_answered(wire: Connect, gateway: Gateway) -> None:
    offer = head("Upgrade: a", "Connection: upgrade", method="GET", path="/healthz")
    async with wire() as connection:
        await connection.write(plain(request(example())), offer * 1000)
        assert [await connection.code() for _ in range(1001)] == [200] * 1001
    assert len(await gateway.kept()) == 1


async def test_a_sender_that_never_reads_is_cut_when_the_server_stops(
    wire: Connect, gateway: Gateway, http_server: Server
) -> None:
    """Unread answers fill the socket's buffers only, and stopping the server cuts the connection."""
    many = head(method="GET", path="/healthz") * 1000
    async with wire() as connection:
        connection.reader._transport.pause_reading()  # type: ignore[attr-defined]
        writing = asyncio.ensure_future(connection.flood(many))
        assert (await gateway.post(example())).code == 200
        await http_server.close_all_connections()
        with pytest.raises(ConnectionError):
            await writing


async def test_a_slow_request_does_not_delay_another_connection(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, io_loop: IOLoop
) -> None:
    released = asyncio.Event()
    accept = gateway.store.accept

    async def wait(signal, *values):
        if signal.text("x") == "slow":
            await released.wait()
        return await accept(signal, *values)

    monkeypatch.setattr(gateway.store, "accept", wait)
    slow = asyncio.ensure_future(gateway.post(example(x="slow")))
    assert (await gateway.post(example())).code == 200
    assert not slow.done()
    released.set()
    assert (await slow).code == 200


async def test_each_request_uses_the_accounts_of_its_time(gateway: Gateway) -> None:
    gateway.ingest.accounts = {"newcomer": make_account("newcomer")}
    assert (await gateway.post(example())).code == 401
    assert (await gateway.post(example(), "newcomer")).code == 200
