"""Compares two configurations for a reload: routes to start and stop, and settings that need a restart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.config.settings import Config
from gateway.model import Route, RouteKey


def fixed_settings(config: Config) -> Mapping[str, object]:
    """Return the settings that only a restart can change."""
    return {
        "server.listen": config.server.listen,
        "server.socket_mode": config.server.socket_mode,
        "server.tls": config.server.tls is not None,  # a reload reads its files again
        "admin": config.admin and (config.admin.listen, config.admin.socket_mode),
        "store.url": config.store.url,
        "store.queue": config.store.queue,
        "log": config.log,
    }


def needs_restart(old: Config, new: Config) -> list[str]:
    """Return the names of settings that differ and need a restart."""
    before, after = fixed_settings(old), fixed_settings(new)
    return [name for name in before if before[name] != after[name]]


def enabled_routes(config: Config) -> Mapping[RouteKey, Route]:
    """Return all routes that get deliveries."""
    return {key: route for key, route in config.routes.items() if route.enabled}


def changed_routes(old: Config, new: Config) -> tuple[Iterable[RouteKey], Iterable[RouteKey]]:
    """Return the routes to stop and the routes to start. A route that changed is in both."""
    before, after = enabled_routes(old), enabled_routes(new)
    same = {key for key, route in before.items() if after.get(key) == route}
    return [key for key in before if key not in same], [key for key in after if key not in same]
