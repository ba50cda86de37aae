"""Both listeners of a gateway: they are built from a configuration, opened at the start, and changed by a reload."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime

from gateway.config import Address, Config
from gateway.ingest import Ingest
from gateway.metrics import Observer
from gateway.web.addresses import Addresses
from gateway.web.admin.api.endpoint import Desk
from gateway.web.admin.app import make_admin_app, make_admin_server
from gateway.web.admin.ops import Readiness
from gateway.web.descriptors import count_descriptors, limit_connections
from gateway.web.gate import Gate
from gateway.web.http1 import Server
from gateway.web.key_mask import KeyMask
from gateway.web.limits import Limits
from gateway.web.listen import listen
from gateway.web.public import PublicRoutes
from gateway.web.tls import find_end, load_certificate, make_tls_context

ADMIN_CONNECTIONS = 128
"""Open connections of the admin listener: a few operators with a browser, and monitoring."""


class Listeners:
    """The public and the admin listener. `worker` is the number of this process among several that share ports.

    `inherited` are descriptors of the public listener's Unix sockets, if another process has opened them.
    """

    _public: Server
    _gate: Gate

    def __init__(
        self,
        config: Config,
        observer: Observer,
        now: Callable[[], datetime],
        worker: int | None = None,
        inherited: Sequence[int] = (),
    ) -> None:
        self.urls: list[str] = []
        self.admin_urls: list[str] = []
        self._config = config
        self._observer = observer
        self._now = now
        self._worker = worker
        self._inherited = inherited
        self._tls: ssl.SSLContext | None = None
        self._mask = KeyMask(lambda: self._config.accounts)

    def open(self, ingest: Ingest, readiness: Readiness, stack: AsyncExitStack, desk: Desk | None = None) -> None:
        """Listen. The stack's end stops both listeners. `desk` has the parts for the API. Raises GatewayError."""
        server, admin = self._config.server, self._config.admin
        self._tls = make_tls_context(self._config)
        self._show_certificate(self._config)
        self._gate = Gate("public", lambda: self._public.limits, self._observer, self._make_addresses().trusts)
        self._public = Server(self._make_routes(ingest), self._tls, self._make_limits(), self._gate)
        self.urls = listen(
            self._public,
            server.listen,
            "https" if server.tls else "http",
            stack,
            mode=server.socket_mode,
            share=self._worker is not None,
            inherited=self._inherited,
        )
        if admin:
            app = make_admin_app(readiness, self._observer, self._mask, desk)
            own = [number_address(address, self._worker or 0) for address in admin.listen]
            private = make_admin_server(app, self._make_admin_limits(), self._observer)
            self.admin_urls = listen(private, own, "http", stack, mode=admin.socket_mode)

    def check(self, config: Config) -> None:
        """Raise ConfigError if `apply` could not use a configuration."""
        make_tls_context(config)

    def apply(self, config: Config, ingest: Ingest) -> None:
        """Use another configuration, which has the same addresses, from the next request on."""
        if self._tls:
            load_certificate(self._tls, config)
        self._show_certificate(config)
        self._mask.learn()
        self._config = config
        self._public.routes = self._make_routes(ingest)
        self._public.limits = self._make_limits()
        self._gate.is_exempt = self._make_addresses().trusts

    def _show_certificate(self, config: Config) -> None:
        """Show the end of the certificate in the metrics."""
        tls = config.server.tls
        end = find_end(tls.certificate) if tls else None
        self._observer.certificate_found({} if end is None else {(): end})

    def hand_to(self, ingest: Ingest) -> None:
        """Hand signals to another ingest, from the next request on."""
        self._public.routes = self._make_routes(ingest)

    def _make_routes(self, ingest: Ingest) -> PublicRoutes:
        return PublicRoutes(
            ingest,
            max_body=self._config.server.max_body,
            addresses=self._make_addresses(),
            observer=self._observer,
            now=self._now,
            mask=self._mask,
        )

    def _make_addresses(self) -> Addresses:
        return Addresses(self._config.server.trusted_proxies, self._config.server.forwarded_header)

    def _make_limits(self) -> Limits:
        server = self._config.server
        return Limits(
            max_connections=limit_connections(server.max_connections, count_descriptors()),
            max_connections_per_address=server.max_connections_per_address,
            idle_timeout=server.idle_timeout,
        )

    def _make_admin_limits(self) -> Limits:
        return Limits(
            max_connections=max(4, min(ADMIN_CONNECTIONS, count_descriptors() // 16)),
            max_connections_per_address=ADMIN_CONNECTIONS,
            idle_timeout=self._config.server.idle_timeout,
        )


def number_address(address: Address, worker: int) -> Address:
    """Return a worker's own address: the next port, or the path with its number. Each worker has its own figures."""
    if not worker or address.port == 0:
        return address
    return (
        Address(f"{address.host}.{worker}", None)
        if address.port is None
        else address._replace(port=address.port + worker)
    )
