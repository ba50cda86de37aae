"""A gateway's public listener over real HTTP, with a real store."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado import web
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop

from gateway.ingest import Ingest
from gateway.metrics import PrometheusObserver
from gateway.store import open_store
from gateway.store.contract import Settings, Store
from gateway.web.app import Listener, PublicServer, make_admin_server, public_app
from tests.support.accounts import make_accounts
from tests.support.listener import NOW, Gateway


@pytest.fixture
def store(io_loop: IOLoop, tmp_path: Path) -> Iterator[Store]:
    store = open_store(Settings(f"sqlite:///{tmp_path}/gateway.db"), loop=io_loop.asyncio_loop)
    yield store
    io_loop.run_sync(store.close)


@pytest.fixture
def observer() -> PrometheusObserver:
    return PrometheusObserver()


@pytest.fixture
def ingest(store: Store, observer: PrometheusObserver) -> Ingest:
    return Ingest(make_accounts(), store, observer=observer)


@pytest.fixture
def app(ingest: Ingest, observer: PrometheusObserver) -> Listener:
    return public_app(ingest, trusted_proxies=["10.0.0.0/8", "127.0.0.1"], observer=observer, now=lambda: NOW)


@pytest.fixture
def tls() -> ssl.SSLContext | None:
    return None


@pytest.fixture
def http_server(
    io_loop: IOLoop,
    app: Listener | web.Application,
    tls: ssl.SSLContext | None,
    _unused_port: tuple[Any, int],
) -> Iterator[PublicServer | HTTPServer]:
    """Takes the place of pytest-tornado's, which knows nothing of our servers."""
    server = PublicServer(app, tls) if isinstance(app, Listener) else make_admin_server(app)
    server.add_socket(_unused_port[0])
    yield server
    server.stop()
    io_loop.run_sync(server.close_all_connections)


@pytest.fixture
def base_url(http_port: int, tls: ssl.SSLContext | None) -> str:
    return f"{'https' if tls else 'http'}://127.0.0.1:{http_port}"


@pytest.fixture
def gateway(
    store: Store, ingest: Ingest, observer: PrometheusObserver, base_url: str, http_client: AsyncHTTPClient
) -> Gateway:
    return Gateway(store, ingest, observer, base_url, http_client)
