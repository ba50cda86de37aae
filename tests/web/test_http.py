"""What HTTP itself can do: sizes, chunks, hang-ups, proxies, and several requests on one connection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from tornado.ioloop import IOLoop

from gateway.metrics import PrometheusObserver
from gateway.web import app as apps
from gateway.web import connection as connections
from tests.support.accounts import make_account
from tests.support.listener import ON_BOTH_LOOPS, Gateway
from tests.support.payloads import example, request

pytestmark = [pytest.mark.gen_test, ON_BOTH_LOOPS]
LIMIT = 64 * 1024


class Wire:
    """A connection whose bytes a test writes itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def write(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, body; of one answer, and of a connection cut short status 0."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return 0, {}, b""
        status, *lines = head.decode().strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        return int(status.split()[1]), headers, await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def code(self) -> int:
        return (await self.answer())[0]

    async def flood(self, part: bytes) -> None:
        """Write without end; ConnectionError says that the other side has cut it."""
        while True:
            await self.write(part)

    async def closed(self) -> bool:
        return await self.reader.read() == b""


Connect = Callable[[], contextlib.AbstractAsyncContextManager[Wire]]


@pytest.fixture
def wire(gateway: Gateway) -> Connect:
    """Opens connections: `async with wire() as connection`."""

    @contextlib.asynccontextmanager
    async def connect() -> AsyncIterator[Wire]:
        host, port = gateway.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield Wire(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    return connect


def head(*headers: str, method: str = "POST", path: str = "/signals/bookshop", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: gateway", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def plain(body: bytes, *headers: str) -> bytes:
    return head(f"Content-Length: {len(body)}", *headers) + body


def chunks(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def padded(size: int) -> bytes:
    """A good body of exactly that many bytes."""
    body = request(example(padding=""))
    return request(example(padding="x" * (size - len(body))))


CHUNKED = "Transfer-Encoding: chunked"


# -- sizes


async def test_64_kib_are_taken(gateway: Gateway) -> None:
    body = padded(LIMIT)
    assert len(body) == LIMIT
    assert (await gateway.post(body)).code == 200
    assert len(await gateway.kept()) == 1


async def test_one_byte_more_is_too_much(gateway: Gateway) -> None:
    response = await gateway.post(padded(LIMIT + 1))
    assert (response.code, response.headers["Connection"]) == (413, "close")
    assert response.body == b'{"error":"The body is too large."}'
    assert await gateway.kept() == []


async def test_the_limit_can_be_set(gateway: Gateway, http_server: apps.PublicServer) -> None:
    http_server.app = apps.public_app(gateway.ingest, max_body=1000)
    assert (await gateway.post(padded(1000))).code == 200
    assert (await gateway.post(padded(1001))).code == 413


async def test_too_much_is_refused_before_it_is_sent(wire: Connect) -> None:
    for length in (LIMIT + 1, 10**15, 10**19):
        async with wire() as connection:
            await connection.write(head(f"Content-Length: {length}"))
            assert await connection.code() == 413


async def test_who_asks_before_sending_is_told(wire: Connect, gateway: Gateway) -> None:
    body = request(example())
    async with wire() as connection:
        await connection.write(head("Expect: 100-continue", f"Content-Length: {len(body)}"))
        assert await connection.code() == 100
        await connection.write(body)
        assert await connection.code() == 200
    async with wire() as connection:
        await connection.write(head("Expect: 100-continue", f"Content-Length: {LIMIT + 1}"))
        assert await connection.code() == 413
        assert await connection.closed()
    assert len(await gateway.kept()) == 1


async def test_what_is_sent_all_the_same_is_read_so_that_the_answer_arrives(wire: Connect) -> None:
    body = padded(LIMIT * 8)
    async with wire() as connection:
        await connection.write(plain(body))
        assert await connection.code() == 413
        assert await connection.closed()


async def test_who_never_stops_is_cut_off(wire: Connect) -> None:
    async with wire() as connection:
        await connection.write(head(f"Content-Length: {10**9}"))
        assert await connection.code() == 413
        with pytest.raises(ConnectionError):
            await connection.flood(b"x" * LIMIT)


@pytest.mark.parametrize("size", [1, 7, 1000, LIMIT])
async def test_chunks_are_put_together(wire: Connect, gateway: Gateway, size: int) -> None:
    async with wire() as connection:
        await connection.write(head(CHUNKED), chunks(request(example()), size))
        assert await connection.code() == 200
    (row,) = await gateway.kept()
    assert row.signal.payload == example()


async def test_chunks_have_the_same_limit(wire: Connect, gateway: Gateway) -> None:
    async with wire() as connection:
        await connection.write(head(CHUNKED), chunks(padded(LIMIT), 1000))
        assert await connection.code() == 200
        await connection.write(head(CHUNKED), chunks(padded(LIMIT + 1), 1000))
        code, headers, _ = await connection.answer()
        assert (code, headers["connection"]) == (413, "close")
        assert await connection.closed()
    assert len(await gateway.kept()) == 1


async def test_chunks_over_the_limit_are_refused_before_their_end(wire: Connect) -> None:
    async with wire() as connection:
        await connection.write(head(CHUNKED), chunks(padded(LIMIT + 1), 1000).removesuffix(b"0\r\n\r\n"))
        assert await connection.code() == 413


# -- malformed HTTP


@pytest.mark.parametrize("target", ["*", "x", "http://gateway", "/%ff%00", "/signals/%ff%00", "/signals/?x=/y"])
async def test_no_target_breaks_the_gateway(wire: Connect, target: str) -> None:
    for method in ("GET", "POST", "CONNECT"):
        async with wire() as connection:
            await connection.write(head("Content-Length: 0", method=method, path=target))
            assert await connection.code() in (400, 401, 404, 405)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST\r\n\r\n",
        head("Content-Length: -5"),
        head("Content-Length: abc"),
        head("Content-Length: 5, 6"),
        head(f"Content-Length: {10**30}"),
        head(CHUNKED, "Content-Length: 5"),
        head(CHUNKED) + b"zz\r\n",
    ],
    ids=lambda raw: repr(raw[-24:]),
)
async def test_what_is_no_http_is_refused(wire: Connect, gateway: Gateway, raw: bytes) -> None:
    async with wire() as connection:
        await connection.write(raw)
        assert await connection.code() == 400
        assert await connection.closed()
    assert await gateway.kept() == []


async def test_headers_without_end_are_cut_off(wire: Connect) -> None:
    async with wire() as connection:
        await connection.write(b"POST /signals/bookshop HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            await connection.flood(b"X: " + b"y" * LIMIT)


async def test_a_post_without_a_body_is_a_wrong_key(wire: Connect) -> None:
    async with wire() as connection:
        await connection.write(head())
        assert await connection.code() == 401


# -- connections


async def test_a_connection_serves_many(wire: Connect, gateway: Gateway) -> None:
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


async def test_what_is_asked_ahead_is_answered_in_order(wire: Connect, gateway: Gateway) -> None:
    """Much more than is read ahead."""
    bodies = [request(example(n=n)) if n % 2 else b"{}" for n in range(5 * connections.AHEAD)]
    async with wire() as connection:
        for body in bodies:
            await connection.write(plain(body))
        assert [await connection.code() for _ in bodies] == [200 if n % 2 else 401 for n in range(len(bodies))]
    kept = reversed(await gateway.kept())
    assert [row.signal.payload["n"] for row in kept] == list(range(1, len(bodies), 2))


async def test_who_has_said_all_is_still_answered(wire: Connect, gateway: Gateway) -> None:
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


async def test_who_is_refused_and_then_has_said_all_is_let_go(wire: Connect) -> None:
    async with wire() as connection:
        await connection.write(head(f"Content-Length: {LIMIT + 1}"), b"{")
        assert await connection.code() == 413
        connection.writer.write_eof()
        assert await connection.closed()


async def test_a_connection_is_closed_where_that_is_asked(wire: Connect) -> None:
    for request_bytes in (
        plain(request(example()), "Connection: close"),
        head(f"Content-Length: {len(request(example()))}", version="1.0") + request(example()),
    ):
        async with wire() as connection:
            await connection.write(request_bytes)
            assert await connection.code() == 200
            assert await connection.closed()


async def test_who_hangs_up_in_the_middle_leaves_nothing(wire: Connect, gateway: Gateway) -> None:
    for start in (head("Content-Length: 100"), head("Content-Length: 100") + b"{", head(CHUNKED) + b"5\r\n{"):
        async with wire() as connection:
            await connection.write(start)
    assert (await gateway.post(example())).code == 200
    assert len(await gateway.kept()) == 1


async def test_who_hangs_up_before_the_answer_is_still_kept(
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


async def test_a_body_that_never_comes_is_not_waited_for(
    wire: Connect, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with wire() as connection:
        with monkeypatch.context() as patch:
            patch.setattr(connections, "BODY_TIMEOUT", 0.01)
            await connection.write(head("Content-Length: 100"), b"{")
            assert await connection.code() == 0
    assert (await gateway.post(example())).code == 200


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"PO", b"POST /signals/bookshop HTTP/1.1\r\nHost: x\r\nX"])
async def test_slow_heads_and_idle_connections_are_cut(
    wire: Connect, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(connections, "IDLE", 0.01)
    async with wire() as connection:
        await connection.write(begun)
        assert await connection.code() == 0
    async with wire() as connection:
        await connection.write(head(method="GET", path="/healthz"))
        assert await connection.code() == 200
        assert await connection.closed()


async def test_the_admin_listener_has_limits_too(io_loop: IOLoop) -> None:
    parameters = apps.make_admin_server(apps.admin_app(dict, PrometheusObserver())).conn_params
    assert parameters.header_timeout == connections.IDLE
    assert parameters.body_timeout == connections.BODY_TIMEOUT
    assert parameters.max_header_size == connections.MAX_HEAD
    assert parameters.max_body_size == apps.MAX_BODY


async def test_chunks_that_are_hardly_body_are_cut_off(wire: Connect, gateway: Gateway) -> None:
    async with wire() as connection:
        await connection.write(head(CHUNKED))
        with pytest.raises(ConnectionError):
            await connection.flood((b"1;" + b"x" * 99 + b"\r\n{\r\n") * 100)
    assert await gateway.kept() == []


async def test_a_header_behind_the_body_means_nothing(
    wire: Connect, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(gateway.ingest, "receive", lambda account, body, address, now: seen.append(address))
    async with wire() as connection:
        tail = b"X-Forwarded-For: 203.0.113.9\r\n\r\n"
        await connection.write(head(CHUNKED), chunks(b"{}", 2).removesuffix(b"\r\n"), tail)
        await connection.code()
    assert seen == ["127.0.0.1"]


async def test_http_2_is_not_changed_to(wire: Connect, gateway: Gateway) -> None:
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


async def test_who_sends_and_never_reads_is_not_waited_for(
    wire: Connect, gateway: Gateway, http_server: apps.PublicServer
) -> None:
    """Answers pile up no further than the buffers, and the connection ends with the server."""
    many = head(method="GET", path="/healthz") * 1000
    async with wire() as connection:
        connection.reader._transport.pause_reading()  # type: ignore[attr-defined]
        writing = asyncio.ensure_future(connection.flood(many))
        assert (await gateway.post(example())).code == 200
        await http_server.close_all_connections()
        with pytest.raises(ConnectionError):
            await writing


async def test_a_slow_request_keeps_no_other_waiting(
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


async def test_accounts_are_reloaded_between_requests(gateway: Gateway) -> None:
    gateway.ingest.accounts = {"newcomer": make_account("newcomer")}
    assert (await gateway.post(example())).code == 401
    assert (await gateway.post(example(), "newcomer")).code == 200


@pytest.mark.parametrize("target", ["http://gateway/signals/bookshop", "HTTPS://gateway:8443/signals/bookshop?x=1"])
async def test_a_whole_url_may_be_asked_for(gateway: Gateway, wire: Connect, target: str) -> None:
    body = request(example())
    async with wire() as connection:
        await connection.write(head(f"Content-Length: {len(body)}", path=target), body)
        assert await connection.code() == 200
        await connection.write(head(method="GET", path="http://gateway/healthz"))
        assert await connection.code() == 200
        for nothing in ("http://gateway", "ftp://gateway/healthz", "*"):
            await connection.write(head(method="GET", path=nothing))
            assert await connection.code() == 404
        await connection.write(head(method="GET", path="gateway:80"))
        assert await connection.code() == 400
