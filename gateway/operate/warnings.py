"""Logs a configuration's flaws that are no errors: warnings, keys that end, plugins that can't be loaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from datetime import datetime

import structlog

from gateway.config import Config, find_ended_accounts, find_key_ends
from gateway.errors import Problem
from gateway.metrics import Observer

log = structlog.get_logger()


class Warnings:
    """Warnings of the configuration in force, which `config` returns. `date` returns the time in UTC."""

    def __init__(self, config: Callable[[], Config], date: Callable[[], datetime], observer: Observer) -> None:
        self._config = config
        self._date = date
        self._observer = observer
        self._told: set[Problem] = set()

    def tell(self, warnings: Iterable[Problem]) -> None:
        """Log warnings."""
        for warning in warnings:
            self._told.add(warning)
            log.warning("config.warning", **dataclasses.asdict(warning))

    def tell_of_key_ends(self) -> None:
        """Tell of keys that have ended or end soon, and of accounts that have no other, of each once."""
        places = self._config().key_places
        for problem in find_ended_accounts(places, self._date()):
            if problem not in self._told:
                self._told.add(problem)
                log.error("config.keys_ended", **dataclasses.asdict(problem))
        ends = list(find_key_ends(places, self._date()))
        self._observer.keys_ending(len(ends))
        self.tell([warning for warning in ends if warning not in self._told])

    def tell_of_plugins(self) -> None:
        """Log each plugin that can't be loaded. Its routes are misconfigured; signals are taken."""
        broken = [route for route in self._config().routes.values() if route.broken]
        for name, reason in {route.sink: route.broken for route in broken}.items():
            routes = sum(route.sink == name for route in broken)
            log.error("plugin.failed", plugin=name, routes=routes, reason=reason)
