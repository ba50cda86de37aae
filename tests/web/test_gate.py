"""The gate: limits on open connections in all and by address, and accepting without spinning."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import pytest
from structlog.testing import capture_logs
from tornado.ioloop import IOLoop

from gateway.metrics import PrometheusObserver
from gateway.web import gate as gates
from gateway.web.gate import Acceptor, Gate
from gateway.web.http1 import Server
from gateway.web.limits import Limits
from tests.support.listener import ON_BOTH_LOOPS, Gateway
from tests.support.payloads import example, request
from tests.support.wire import Connect, head, plain


class Idle:
    """A guest that is idle since a time, or busy if that is None."""

    def __init__(self, address: str = "203.0.113.5", idle_since: float | None = 0.0) -> None:
        self.address = address
        self.idle_since = idle_since
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def make_gate(most: int = 100, per_address: int = 100, **options: Any) -> Gate:
    limits = Limits(max_connections=most, max_connections_per_address=per_address)
    return Gate("public", lambda: limits, **options)


def fill(gate: Gate, guests: list[Idle]) -> list[Idle]:
    for guest in guests:
        assert gate.admit(guest)
    return guests


def test_the_one_that_is_idle_for_longest_makes_room() -> None:
    gate = make_gate(most=3)
    old, older, busy = fill(gate, [Idle(idle_since=2.0), Idle(idle_since=1.0), Idle(idle_since=None)])
    assert gate.has_room()
    assert [guest.aborted for guest in (old, older, busy)] == [False, True, False]
    assert gate.admit(Idle())


def test_a_gate_of_busy_guests_has_no_room_until_one_leaves() -> None:
    gate = make_gate(most=2)
    first, _ = fill(gate, [Idle(idle_since=None), Idle(idle_since=None)])
    assert not gate.has_room()
    told: list[int] = []
    gate.wait_for_room(lambda: told.append(1))
    gate.leave(first)
    assert told == [1]
    assert gate.has_room()


def test_an_address_has_a_limit_of_its_own() -> None:
    gate = make_gate(per_address=2)
    fill(gate, [Idle("192.0.2.1", None), Idle("192.0.2.1", None), Idle("192.0.2.2", None)])
    assert not gate.admit(Idle("192.0.2.1"))
    assert gate.admit(Idle("192.0.2.2"))


def test_an_idle_guest_of_the_address_makes_room_for_the_next() -> None:
    gate = make_gate(per_address=2)
    other, own, _ = fill(gate, [Idle("192.0.2.2"), Idle("192.0.2.1", 5.0), Idle("192.0.2.1", None)])
    assert gate.admit(Idle("192.0.2.1"))
    assert (other.aborted, own.aborted) == (False, True)


def test_trusted_proxies_have_no_limit_by_address() -> None:
    gate = make_gate(per_address=1, is_exempt=lambda address: address == "10.0.0.1")
    fill(gate, [Idle("10.0.0.1", None)] * 1 + [Idle("10.0.0.1", None) for _ in range(5)])


def test_connections_and_refusals_are_counted_and_logged_once() -> None:
    observer = PrometheusObserver()
    gate = make_gate(per_address=1, observer=observer)
    fill(gate, [Idle(idle_since=None)])
    with capture_logs() as logs:
        for _ in range(5):
            assert not gate.admit(Idle())
    text = observer.exposition()
    assert b'cloudsignal_connections{listener="public"} 1.0' in text
    assert b'cloudsignal_connections_refused_total{listener="public",reason="address"} 5.0' in text
    (line,) = logs
    assert line["event"] == "connections.limited"
    assert (line["reason"], line["about"], line["open"]) == ("address", "203.0.113.5", 1)


class OutOfDescriptors:
    """A listening socket that can't accept, as a process without free descriptors sees it."""

    def __init__(self, listening: socket.socket) -> None:
        self.fileno = listening.fileno
        self.close = listening.close
        self.calls = 0

    def accept(self) -> Any:
        self.calls += 1
        raise OSError(errno.EMFILE, "Too many open files")


@pytest.mark.gen_test
async def test_accepting_pauses_without_descriptors(monkeypatch: pytest.MonkeyPatch, io_loop: IOLoop) -> None:
    """The socket stays readable, so the loop would call again at once."""
    monkeypatch.setattr(gates, "BACK_OFF", 1e9)
    with socket.create_server(("127.0.0.1", 0)) as listening, capture_logs() as logs:
        refusing = OutOfDescriptors(listening)
        gate = make_gate()
        (idle,) = fill(gate, [Idle()])
        acceptor = Acceptor(refusing, gate, lambda accepted, address: None)  # type: ignore[arg-type]
        with socket.create_connection(listening.getsockname()):
            while not refusing.calls:
                await asyncio.sleep(0)
            for _ in range(50):
                await asyncio.sleep(0)
        assert refusing.calls == 1
        assert idle.aborted
        assert [(line["event"], line["reason"]) for line in logs] == [("connections.limited", "descriptors")]
        acceptor.close()


# -- over the wire


@pytest.mark.gen_test
@ON_BOTH_LOOPS
async def test_a_sender_gets_in_while_strangers_hold_all_connections(
    wire: Connect, gateway: Gateway, http_server: Server
) -> None:
    http_server.limits = Limits(max_connections=3)
    async with wire() as sender, wire() as stranger, wire() as other:
        await sender.write(plain(request(example())))
        assert await sender.code() == 200
        for each in (stranger, other):
            await each.write(head(method="GET", path="/healthz"))
            assert await each.code() == 200
        async with wire() as newcomer:
            await newcomer.write(plain(request(example(n=1))))
            assert await newcomer.code() == 200
        assert await stranger.closed()
        await sender.write(plain(request(example(n=2))))
        assert await sender.code() == 200
    assert len(await gateway.kept()) == 3


@pytest.mark.gen_test
@ON_BOTH_LOOPS
async def test_a_newcomer_waits_while_all_connections_belong_to_senders(
    wire: Connect, gateway: Gateway, http_server: Server
) -> None:
    http_server.limits = Limits(max_connections=1)
    async with wire() as sender:
        await sender.write(plain(request(example())))
        assert await sender.code() == 200
        async with wire() as newcomer:
            await newcomer.write(plain(request(example(n=1))))
            await sender.write(plain(request(example(n=2))))
            assert await sender.code() == 200
            sender.writer.close()
            assert await newcomer.code() == 200
    assert [row.signal.payload.get("n") for row in reversed(await gateway.kept())] == [None, 2, 1]


@pytest.mark.gen_test
@ON_BOTH_LOOPS
async def test_an_address_that_holds_all_its_connections_gets_no_more(
    wire: Connect, gateway: Gateway, http_server: Server
) -> None:
    http_server.limits = Limits(max_connections_per_address=1)
    async with wire() as sender:
        await sender.write(plain(request(example())))
        assert await sender.code() == 200
        async with wire() as refused:
            assert await refused.closed()
