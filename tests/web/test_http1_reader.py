"""HTTP/1.1 server: the reader by itself, from bytes to exchanges."""

import pytest

from gateway.errors import GatewayError, HeadTooLarge, MalformedRequest, MethodNotAllowed, TargetTooLong, TooLarge
from gateway.web.http1.messages import Answer, Request
from gateway.web.http1.reader import PIECE, RequestReader, path_of
from gateway.web.limits import Limits
from tests.support.wire import chunks, head, plain

MANY = Limits(read_ahead=10_000)
"""Limits for tests of other things than the requests that are read ahead."""


class Form:
    """A resource that takes POST with a body of at most 10 bytes."""

    methods = frozenset({"POST"})
    max_body = 10

    async def answer(self, request: Request) -> Answer:
        return Answer(200)

    def refuse(self, request: Request, error: GatewayError) -> Answer:
        return Answer(400)


class OneRoute:
    """A route table with the same resource for every path."""

    fallback = Form()

    def find(self, path: str) -> Form:
        return self.fallback


def make_reader() -> RequestReader:
    return RequestReader("203.0.113.5", OneRoute, MANY)


def feed(data: bytes, size: int = 0) -> RequestReader:
    """Return a reader that was fed all bytes, in reads of `size` if that is given."""
    reader = make_reader()
    for start in range(0, len(data), size or len(data)):
        reader.feed(data[start : start + (size or len(data))])
    return reader


@pytest.mark.parametrize("size", [0, 1, 7])
def test_pipelined_requests_become_exchanges_in_order(size: int) -> None:
    many = [plain(b"%d" % n) for n in range(20)]
    reader = feed(b"".join(many), size)
    assert [exchange.request.body for exchange in reader.ready] == [b"%d" % n for n in range(20)]
    assert reader.incoming is None
    assert not any(exchange.closes or exchange.refusal for exchange in reader.ready)


def test_a_request_has_its_peer_path_and_used_headers() -> None:
    reader = feed(head("X-Forwarded-For: 1.1.1.1", "X-Other: x", "x-forwarded-for: 2.2.2.2", path="/a/b?c=/d"))
    (exchange,) = reader.ready
    request = exchange.request
    assert (request.peer, request.method, request.path) == ("203.0.113.5", "POST", "/a/b")
    assert request.headers == {b"host": b"gateway", b"x-forwarded-for": b"1.1.1.1,2.2.2.2"}
    assert (request.header(b"x-forwarded-for"), request.header(b"expect")) == ("1.1.1.1,2.2.2.2", "")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (head(method="GET"), MethodNotAllowed),
        (head(method="BREW"), MethodNotAllowed),
        (head("Content-Length: 11"), TooLarge),
        (head("Transfer-Encoding: chunked") + chunks(b"x" * 11, 3), TooLarge),
        (b"EHLO relay\r\n", MalformedRequest),
    ],
    ids=["method", "unregistered method", "length", "chunks", "no HTTP"],
)
def test_a_refused_request_is_ready_once_and_closes(data: bytes, error: type[GatewayError]) -> None:
    (exchange,) = feed(data).ready
    assert type(exchange.refusal) is error
    assert exchange.closes


def test_upgrade_offers_are_ignored_however_many_come() -> None:
    offer = ("Connection: Upgrade", "Upgrade: h2c")
    reader = feed((head(*offer, "Content-Length: 2") + b"{}") * 2000)
    assert [exchange.request.body for exchange in reader.ready] == [b"{}"] * 2000


def test_a_read_of_many_tiny_requests_is_parsed_as_they_are_answered() -> None:
    """One read of 256 KiB holds 10,000 requests, and each parsed one takes memory and time."""
    tiny = b"POST / HTTP/1.1\r\nHost:a\r\n\r\n"
    reader = RequestReader("203.0.113.5", OneRoute, Limits())
    reader.feed(tiny * 8000)
    answered = most = 0
    while reader.ready:
        most = max(most, len(reader.ready))
        answered += len(reader.ready)
        reader.ready.clear()
        reader.parse_on()
    assert answered == 8000
    assert not reader.unparsed
    assert most <= Limits().read_ahead + PIECE // len(tiny) + 1


def test_nothing_is_taken_behind_the_last_request_of_a_connection() -> None:
    reader = feed(head("Connection: close") + head() * 200)
    assert [exchange.closes for exchange in reader.ready] == [True]
    reader.feed(head() * 200)
    assert len(reader.ready) == 1
    assert not reader.unparsed


def test_an_offer_behind_the_last_request_is_dropped() -> None:
    last = head("Connection: keep-alive, close", "Content-Length: 2", version="1.0") + b"{}"
    reader = feed(last + head("Connection: Upgrade", "Upgrade: h2c", "Content-Length: 2") + b"[]")
    assert [exchange.request.body for exchange in reader.ready] == [b"{}"]


def test_a_head_over_its_limit_is_refused() -> None:
    reader = RequestReader("203.0.113.5", OneRoute, Limits(head_size=100))
    reader.feed(b"POST / HTTP/1.1\r\n")
    reader.feed(b"X: " + b"y" * 97)
    assert not reader.ready
    reader.feed(b"y")
    (exchange,) = reader.ready
    assert type(exchange.refusal) is HeadTooLarge


def test_a_target_over_its_limit_is_refused() -> None:
    reader = RequestReader("203.0.113.5", OneRoute, Limits(target_size=5))
    reader.feed(head(path="/1234") + head(path="/12345"))
    assert [type(exchange.refusal) for exchange in reader.ready] == [type(None), TargetTooLong]


def test_a_body_in_tiny_chunks_is_oversized_beyond_its_limit() -> None:
    reader = make_reader()
    reader.feed(head("Transfer-Encoding: chunked"))
    limits = Limits(head_size=20, chunk_overhead=2)
    reader.feed(b"1;" + b"x" * 38)
    assert reader.incoming is not None
    assert not reader.incoming.is_oversized(limits)
    reader.feed(b"x")
    assert reader.incoming.is_oversized(limits)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/signals/a", "/signals/a"),
        (b"/signals/a?b", "/signals/a"),
        (b"http://host:80/signals/a?b", "/signals/a"),
        (b"HTTPS://host", "/"),
        (b"*", "*"),
        (b"/\xff", "/\xff"),
    ],
)
def test_the_path_of_a_target(target: bytes, path: str) -> None:
    assert path_of(target) == path
