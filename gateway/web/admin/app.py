"""Admin listener: its route list and its server."""

from __future__ import annotations

from typing import Any

from tornado import web
from tornado.httpserver import HTTPServer

from gateway.metrics import Observer
from gateway.web.admin.base import NotFoundHandler
from gateway.web.admin.ops import MetricsHandler, Readiness, ReadyHandler
from gateway.web.limits import MAX_BODY, Limits


def make_admin_app(readiness: Readiness, observer: Observer) -> web.Application:
    """Return the Tornado application of the admin listener."""
    routes: list[Any] = [
        ("/readyz", ReadyHandler, {"readiness": readiness}),
        ("/metrics", MetricsHandler, {"observer": observer}),
    ]
    return web.Application(
        routes,
        default_handler_class=NotFoundHandler,
        log_function=lambda handler: None,
        compress_response=False,
    )


def make_admin_server(app: web.Application) -> HTTPServer:
    """Return a server with the same limits on sizes and times as the public one; it does not listen yet."""
    limits = Limits()
    return HTTPServer(
        app,
        max_body_size=MAX_BODY,
        max_header_size=limits.head_size,
        idle_connection_timeout=limits.idle_timeout,
        body_timeout=limits.body_timeout,
    )
