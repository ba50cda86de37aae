"""Admin listener: its route list and its server."""

from __future__ import annotations

from typing import Any

from tornado import web

from gateway.metrics import Observer
from gateway.web.admin.base import NotFoundHandler
from gateway.web.admin.ops import MetricsHandler, Readiness, ReadyHandler
from gateway.web.admin.server import AdminServer
from gateway.web.key_mask import KeyMask
from gateway.web.limits import Limits


def make_admin_app(readiness: Readiness, observer: Observer, mask: KeyMask | None = None) -> web.Application:
    """Return the Tornado application of the admin listener."""
    routes: list[Any] = [
        ("/readyz", ReadyHandler, {"readiness": readiness}),
        ("/metrics", MetricsHandler, {"observer": observer}),
    ]
    return web.Application(
        routes,
        default_handler_class=NotFoundHandler,
        default_handler_args={"mask": mask or KeyMask(dict)},
        log_function=lambda handler: None,
        compress_response=False,
    )


def make_admin_server(
    app: web.Application, limits: Limits | None = None, observer: Observer | None = None
) -> AdminServer:
    """Return a server with the same limits on sizes and times as the public one; it does not listen yet."""
    return AdminServer(app, limits or Limits(), observer or Observer())
