"""HTTP/1.1 server: sizes of heads and bodies, chunks, and malformed requests."""

import pytest

from gateway.web.http1 import Server
from gateway.web.public import PublicRoutes
from tests.support.listener import ON_BOTH_LOOPS, Gateway
from tests.support.payloads import example, request
from tests.support.wire import CHUNKED, LIMIT, Connect, chunks, head, padded, plain

pytestmark = [pytest.mark.gen_test, ON_BOTH_LOOPS]


async def test_64_kib_are_taken(gateway: Gateway) -> None:
    body = padded(LIMIT)
    assert len(body) == LIMIT
    assert (await gateway.post(body)).code == 200
    assert len(await gateway.kept()) == 1


async def test_one_byte_more_is_refused(gateway: Gateway) -> None:
    response = await gateway.post(padded(LIMIT + 1))
    assert (response.code, response.headers["Connection"]) == (413, "close")
    assert response.body == b'{"error":"The body is too large."}'
    assert await gateway.kept() == []


async def test_the_limit_can_be_set(gateway: Gateway, http_server: Server) -> None:
    http_server.routes = PublicRoutes(gateway.ingest, max_body=1000)
    assert (await gateway.post(padded(1000))).code == 200
    assert (await gateway.post(padded(1001))).code == 413


async def test_a_large_body_is_refused_by_its_length(wire: Connect) -> None:
    for length in (LIMIT + 1, 10**15, 10**19):
        async with wire() as connection:
            await connection.write(head(f"Content-Length: {length}"))
            assert await connection.code() == 413


async def test_expect_100_continue_is_answered(wire: Connect, gateway: Gateway) -> None:
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


async def test_continue_is_not_sent_before_the_answers_of_earlier_requests(wire: Connect, gateway: Gateway) -> None:
    body = request(example())
    invited = head("Expect: 100-continue", f"Content-Length: {len(body)}")
    async with wire() as connection:
        await connection.write(plain(request(example(n=1))), invited)
        assert [await connection.code() for _ in range(2)] == [200, 100]
        await connection.write(body)
        assert await connection.code() == 200


async def test_http_1_0_is_told_that_the_connection_stays(wire: Connect) -> None:
    async with wire() as connection:
        for _ in range(2):
            await connection.write(head("Connection: keep-alive", method="GET", path="/healthz", version="1.0"))
            code, headers, _ = await connection.answer()
            assert (code, headers["connection"]) == (200, "keep-alive")


async def test_a_refused_body_is_read_so_that_the_answer_arrives(wire: Connect) -> None:
    body = padded(LIMIT * 8)
    async with wire() as connection:
        await connection.write(plain(body))
        assert await connection.code() == 413
        assert await connection.closed()


async def test_an_endless_body_is_cut(wire: Connect) -> None:
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
async def test_any_request_target_is_answered(wire: Connect, target: str) -> None:
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
async def test_malformed_http_is_refused(wire: Connect, gateway: Gateway, raw: bytes) -> None:
    async with wire() as connection:
        await connection.write(raw)
        assert await connection.code() == 400
        assert await connection.closed()
    assert await gateway.kept() == []


async def test_an_endless_head_is_cut(wire: Connect) -> None:
    async with wire() as connection:
        await connection.write(b"POST /signals/bookshop HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            await connection.flood(b"X: " + b"y" * LIMIT)


async def test_a_post_without_a_body_is_a_wrong_key(wire: Connect) -> None:
    async with wire() as connection:
        await connection.write(head())
        assert await connection.code() == 401


async def test_chunks_with_little_content_are_cut(wire: Connect, gateway: Gateway) -> None:
    async with wire() as connection:
        await connection.write(head(CHUNKED))
        with pytest.raises(ConnectionError):
            await connection.flood((b"1;" + b"x" * 99 + b"\r\n{\r\n") * 100)
    assert await gateway.kept() == []


async def test_a_trailer_is_ignored(wire: Connect, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(gateway.ingest, "receive", lambda account, body, address, *rest: seen.append(address))
    async with wire() as connection:
        tail = b"X-Forwarded-For: 203.0.113.9\r\n\r\n"
        await connection.write(head(CHUNKED), chunks(b"{}", 2).removesuffix(b"\r\n"), tail)
        await connection.code()
    assert seen == ["127.0.0.1"]


@pytest.mark.parametrize("target", ["http://gateway/signals/bookshop", "HTTPS://gateway:8443/signals/bookshop?x=1"])
async def test_an_absolute_url_is_a_valid_target(gateway: Gateway, wire: Connect, target: str) -> None:
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
