"""A gateway's public listener over real HTTP, with a real store."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado import web
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.platform.asyncio import AsyncIOLoop

from gateway.config import Config
from gateway.ingest import Ingest
from gateway.metrics import PrometheusObserver
from gateway.store import open_store
from gateway.store.contract import Settings, Store
from gateway.web.addresses import Addresses
from gateway.web.admin.app import make_admin_app, make_admin_server
from gateway.web.http1 import Server
from gateway.web.public import PublicRoutes
from tests.support.accounts import make_accounts
from tests.support.api import Client, fill, fill_alerts, make_desk, write_config
from tests.support.listener import NOW, Gateway
from tests.support.wire import Connect, Wire


@pytest.fixture
def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    return asyncio.new_event_loop


@pytest.fixture
def io_loop(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[IOLoop]:
    """Replaces pytest-tornado's fixture, which knows one loop only."""
    loop = AsyncIOLoop(asyncio_loop=loop_factory())
    loop.make_current()
    yield loop
    loop.clear_current()
    loop.close(all_fds=True)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a store without signals. Copying it takes less than half the CPU time of making it."""
    path = tmp_path_factory.mktemp("store") / "gateway.db"

    async def make() -> None:
        await open_store(Settings(f"sqlite:///{path}")).close()

    asyncio.run(make())
    return path


@pytest.fixture
def store(io_loop: IOLoop, tmp_path: Path, empty_store: Path) -> Iterator[Store]:
    path = shutil.copy(empty_store, tmp_path / "gateway.db")
    store = open_store(Settings(f"sqlite:///{path}"), loop=io_loop.asyncio_loop)
    yield store
    io_loop.run_sync(store.close)


@pytest.fixture
def observer() -> PrometheusObserver:
    return PrometheusObserver()


@pytest.fixture
def ingest(store: Store, observer: PrometheusObserver) -> Ingest:
    return Ingest(make_accounts(), store, observer=observer)


@pytest.fixture
def app(request: pytest.FixtureRequest, ingest: Ingest, observer: PrometheusObserver) -> Any:
    """The public listener's resources; the admin listener's for a test of the API."""
    if "api" in request.fixturenames:
        desk = make_desk(request.getfixturevalue("store"), request.getfixturevalue("api_config"))
        return make_admin_app(dict, observer, desk=desk)
    return PublicRoutes(ingest, addresses=Addresses(["10.0.0.0/8", "127.0.0.1"]), observer=observer, now=lambda: NOW)


@pytest.fixture
def tls() -> ssl.SSLContext | None:
    return None


@pytest.fixture
def http_server(
    io_loop: IOLoop,
    app: PublicRoutes | web.Application,
    tls: ssl.SSLContext | None,
    _unused_port: tuple[Any, int],
) -> Iterator[Server | HTTPServer]:
    """Replaces pytest-tornado's fixture, which knows Tornado's server only."""
    server = Server(app, tls) if isinstance(app, PublicRoutes) else make_admin_server(app)

    async def add_sockets() -> None:
        server.add_sockets([_unused_port[0]])

    io_loop.run_sync(add_sockets)
    yield server
    server.stop()
    io_loop.run_sync(server.close_all_connections)


@pytest.fixture
def base_url(http_port: int, tls: ssl.SSLContext | None) -> str:
    return f"{'https' if tls else 'http'}://127.0.0.1:{http_port}"


@pytest.fixture
def api_config(tmp_path: Path) -> Config:
    return write_config(tmp_path)


@pytest.fixture
def api(base_url: str, http_client: AsyncHTTPClient, http_server: Any) -> Client:
    """A client of the API of a gateway with two tenants."""
    return Client(http_client, base_url)


@pytest.fixture
def dead(io_loop: IOLoop, store: Store) -> dict[str, int]:
    """Fills the store; the id of the dead signal of each account."""
    found: dict[str, int] = io_loop.run_sync(lambda: fill(store))
    return found


@pytest.fixture
def alerts(io_loop: IOLoop, store: Store) -> dict[str, int]:
    """Raises an alert of each account; its id by account."""
    found: dict[str, int] = io_loop.run_sync(lambda: fill_alerts(store))
    return found


@pytest.fixture
def gateway(
    store: Store, ingest: Ingest, observer: PrometheusObserver, base_url: str, http_client: AsyncHTTPClient
) -> Gateway:
    return Gateway(store, ingest, observer, base_url, http_client)


@pytest.fixture
def wire(gateway: Gateway) -> Connect:
    """Return a function that opens connections: `async with wire() as connection`."""

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
