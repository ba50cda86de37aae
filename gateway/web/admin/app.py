"""Admin listener: its route list and its server."""

from __future__ import annotations

from typing import Any

from tornado import web

from gateway.metrics import Observer
from gateway.web.admin.api import (
    accounts,
    actions,
    alerts,
    deliveries,
    known_orders,
    orders,
    quarantine,
    replays,
    routes,
    signals,
    stream,
)
from gateway.web.admin.api.endpoint import PREFIX, Desk, path
from gateway.web.admin.api.handler import ApiHandler, DocumentHandler, NoEndpoint
from gateway.web.admin.api.openapi import describe_api
from gateway.web.admin.auth import Authenticator
from gateway.web.admin.base import NotFoundHandler
from gateway.web.admin.ops import HealthHandler, MetricsHandler, Readiness, ReadyHandler
from gateway.web.admin.server import AdminServer
from gateway.web.key_mask import KeyMask
from gateway.web.limits import Limits

API = (
    path("accounts", get=accounts.list_),
    path("accounts/{account}", get=accounts.show),
    path("accounts/{account}/routes", get=routes.list_),
    path("accounts/{account}/routes/{route}/pause", post=routes.pause),
    path("accounts/{account}/routes/{route}/resume", post=routes.resume),
    path("accounts/{account}/known-orders/{reference}", put=known_orders.put),
    path("signals", get=signals.list_),
    path("signals/{id}", get=signals.show),
    path("signals/{id}/explain", get=signals.explain),
    path("orders", get=orders.list_),
    path("orders/{account}/{order}", get=orders.show),
    path("deliveries", get=deliveries.list_),
    path("dead", get=deliveries.list_dead),
    path("quarantine", get=quarantine.list_),
    path("alerts", get=alerts.list_),
    path("alerts/{id}/acknowledge", post=alerts.acknowledge),
    path("actions", get=actions.list_),
    path("stream", get=stream.follow),
    path("replays", get=replays.list_, post=replays.begin),
    path("replays/{id}", get=replays.show, delete=replays.cancel),
)
"""Every path of the API below /api/v1/, with its endpoints by method."""


def make_admin_app(
    readiness: Readiness, observer: Observer, mask: KeyMask | None = None, desk: Desk | None = None
) -> web.Application:
    """Return the Tornado application of the admin listener. Without a desk it has no API."""
    found: list[Any] = [
        ("/healthz", HealthHandler),
        ("/readyz", ReadyHandler, {"readiness": readiness}),
        ("/metrics", MetricsHandler, {"observer": observer}),
    ]
    if desk is not None:
        authenticator = Authenticator(desk.config, desk.now)
        parts = {"desk": desk, "authenticator": authenticator}
        found.append((f"{PREFIX}openapi.json", DocumentHandler, {"document": describe_api(API), "desk": desk}))
        found += [(each.regex, ApiHandler, {"path": each, **parts}) for each in API]
        found.append((f"{PREFIX}.*", NoEndpoint))
    return web.Application(
        found,
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
