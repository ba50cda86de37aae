"""What a reload changes: which routes come and go, and which settings only a restart can change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.config.settings import Config
from gateway.model import Route, RouteKey


def fixed_settings(config: Config) -> Mapping[str, object]:
    """The settings that hold until the gateway is started again."""
    return {
        "server.listen": config.server.listen,
        "server.tls": config.server.tls is not None,  # its files are read again
        "admin": config.admin,
        "store.url": config.store.url,
        "store.queue": config.store.queue,
        "log": config.log,
    }


def needs_restart(old: Config, new: Config) -> list[str]:
    """The settings that differ and can't while the gateway runs."""
    before, after = fixed_settings(old), fixed_settings(new)
    return [name for name in before if before[name] != after[name]]


def enabled_routes(config: Config) -> Mapping[RouteKey, Route]:
    """Every route that is delivered to."""
    return {key: route for key, route in config.routes.items() if route.enabled}


def changed_routes(old: Config, new: Config) -> tuple[Iterable[RouteKey], Iterable[RouteKey]]:
    """Which routes of the old config have to go, and which of the new one come. What has changed does both."""
    before, after = enabled_routes(old), enabled_routes(new)
    same = {key for key, route in before.items() if after.get(key) == route}
    return [key for key in before if key not in same], [key for key in after if key not in same]
