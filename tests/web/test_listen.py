"""Listening on several addresses: ports of both families, and Unix sockets."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import stat
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.config import Address
from gateway.errors import GatewayError
from gateway.web.http1 import Server
from gateway.web.listen import listen
from gateway.web.listeners import number_address
from gateway.web.public import PublicRoutes
from tests.support.listener import Gateway

pytestmark = pytest.mark.gen_test
LOOPBACK = Address("127.0.0.1", 0)
ANY = str(ipaddress.IPv4Address(0))


def connects(place: str) -> bool:
    """Return True if somebody listens on a URL with a port, or on unix:PATH."""
    try:
        if place.startswith("unix:"):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(place.removeprefix("unix:"))
        else:
            host, _, port = place.rpartition("/")[2].rpartition(":")
            socket.create_connection((host.strip("[]"), int(port))).close()
    except OSError:
        return False
    return True


async def test_each_address_gets_its_url(app: PublicRoutes, tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    given = [LOOPBACK, Address("::1", 0), Address(ANY, 0), Address("::", 0), Address(str(path), None)]
    async with AsyncExitStack() as stack:
        urls = listen(Server(app), given, "https", stack)
        shown = [url.rpartition(":")[0] for url in urls]
        assert shown == ["https://127.0.0.1", "https://[::1]", "https://127.0.0.1", "https://127.0.0.1", "unix"]
        assert urls[-1] == f"unix:{path}"
        assert all(map(connects, urls))
    assert not any(map(connects, urls))
    assert not path.exists()


async def test_the_address_of_both_families_takes_both(app: PublicRoutes) -> None:
    async with AsyncExitStack() as stack:
        (url,) = listen(Server(app), [Address("::", 0)], "http", stack)
        assert connects(url)
        assert connects(url.replace("127.0.0.1", "[::1]"))


async def test_both_addresses_of_all_may_be_named(app: PublicRoutes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    async with AsyncExitStack() as stack:
        listen(Server(app), [Address(ANY, port), Address("::", port)], "http", stack)
        assert connects(f"http://127.0.0.1:{port}")
        assert connects(f"http://[::1]:{port}")


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
async def test_a_unix_socket_has_the_mode(app: PublicRoutes, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "gateway.sock"
    old = os.umask(0o077)
    try:
        async with AsyncExitStack() as stack:
            listen(Server(app), [Address(str(path), None)], "http", stack, mode=mode)
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(old)


async def test_a_stale_unix_socket_is_replaced(app: PublicRoutes, tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
        killed.listen()
    async with AsyncExitStack() as stack:
        (url,) = listen(Server(app), [Address(str(path), None)], "http", stack)
        assert connects(url)


async def test_a_unix_socket_in_use_is_left_alone(app: PublicRoutes, tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        async with AsyncExitStack() as stack:
            with pytest.raises(GatewayError, match=r"gateway\.sock: another process listens on it"):
                listen(Server(app), [Address(str(path), None)], "http", stack)
        assert connects(f"unix:{path}")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("file", "no socket"), ("missing/gateway.sock", "No such file or directory"), ("x" * 200, "too long")],
)
async def test_a_path_that_can_not_be_used_is_named(app: PublicRoutes, tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_text("kept")
    async with AsyncExitStack() as stack:
        with pytest.raises(GatewayError, match=rf"can't listen on unix:.*{reason}"):
            listen(Server(app), [Address(str(tmp_path / name), None)], "http", stack)
    assert (tmp_path / "file").read_text() == "kept"


async def test_if_one_address_is_taken_none_is_listened_on(app: PublicRoutes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        first = Address("127.0.0.1", free.getsockname()[1])
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = Address("127.0.0.1", other.getsockname()[1])
        async with AsyncExitStack() as stack:
            with pytest.raises(GatewayError, match=f"can't listen on {taken}"):
                listen(Server(app), [first, taken], "http", stack)
        assert not connects(f"http://{first}")


async def test_a_unix_socket_has_a_trusted_proxy(gateway: Gateway, app: PublicRoutes, tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    seen = []
    gateway.ingest.receive = lambda account, body, address, *rest: seen.append(address)  # type: ignore[method-assign]
    async with AsyncExitStack() as stack:
        listen(Server(app), [Address(str(path), None)], "http", stack)
        for header in ("", "X-Forwarded-For: 203.0.113.9:80\r\n"):
            await send_over(path, header)
    assert seen == ["unix", "203.0.113.9"]


async def send_over(path: Path, header: str) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    head = f"POST /signals/bookshop HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{header}Content-Length: 2\r\n\r\n"
    writer.write(head.encode() + b"{}")
    assert (await reader.read()).startswith(b"HTTP/1.1 ")
    writer.close()


@pytest.mark.parametrize(
    ("address", "worker", "own"),
    [
        (Address("a", 9181), 0, Address("a", 9181)),
        (Address("a", 9181), 2, Address("a", 9183)),
        (Address("a", 0), 2, Address("a", 0)),
        (Address("/run/admin.sock", None), 0, Address("/run/admin.sock", None)),
        (Address("/run/admin.sock", None), 2, Address("/run/admin.sock.2", None)),
    ],
)
async def test_each_worker_has_its_own_admin_address(address: Address, worker: int, own: Address) -> None:
    assert number_address(address, worker) == own
