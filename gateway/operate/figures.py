"""Looks at the store from time to time, and tells the observer the figures for metrics.

A scrape costs the store nothing, and a slow store delays no scrape.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from gateway.alerts import Alert, AlertKey
from gateway.config import Config
from gateway.errors import StoreError
from gateway.metrics import Observer
from gateway.model import RouteKey
from gateway.operate.in_force import mark_key
from gateway.store.contract import Store
from gateway.store.values import Backlog

log = structlog.get_logger()

LOOK_EVERY = 15.0
"""Seconds between two looks, as long as Prometheus waits between two scrapes by default."""
LOOK_REST = 20
"""Least rest after a look, in lengths of that look. Counting a large backlog takes a reader for 5 % of the time."""

KeyName = tuple[str, str]
"""An account, and the label of one of its keys."""


@dataclass(frozen=True, slots=True)
class ConfiguredKeys:
    """The keys of a configuration: the label of each by its account and mark, and the ends, if they have one."""

    labels: Mapping[tuple[str, str], KeyName]
    ends: Mapping[KeyName, float]


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one look, each by the labels of its metric."""

    pending: Mapping[RouteKey, int] = field(default_factory=dict)
    ages: Mapping[RouteKey, float] = field(default_factory=dict)
    dead: Mapping[RouteKey, int] = field(default_factory=dict)
    quarantined: Mapping[tuple[str], int] = field(default_factory=dict)
    alerts: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    uses: Mapping[KeyName, float] = field(default_factory=dict)


class StoreLooks:
    """The looks of one gateway. `config` gives the present configuration."""

    def __init__(
        self, store: Store, config: Callable[[], Config], observer: Observer, now: Callable[[], float]
    ) -> None:
        self._store = store
        self._config = config
        self._observer = observer
        self._now = now
        self._keys: tuple[Config, ConfiguredKeys] | None = None

    async def watch(self) -> None:
        """Look again and again without end. An error ends a look, never the gateway."""
        while True:
            began = time.monotonic()
            try:
                await self.look()
            except StoreError as error:
                log.warning("store.look_failed", reason=str(error))
            except Exception:  # old figures do less harm than a gateway that ends
                log.exception("store.look_failed")
            took = time.monotonic() - began
            self._observer.store_looked_at(took)
            await asyncio.sleep(max(LOOK_EVERY, LOOK_REST * took))

    async def look(self) -> None:
        """Look once. Raises StoreError."""
        keys = await self._read_keys()
        backlog = await self._store.read_backlog()
        dead = await self._store.count_dead()
        quarantined = await self._store.count_quarantined()
        alerts = await self._store.read_open_alerts()
        uses = await self._store.read_key_uses()
        # On a thread: with 10,000 accounts it takes longer than senders should wait.
        found = await asyncio.to_thread(
            lambda: Figures(
                *measure_backlog(backlog, self._now()),
                dead,
                {(account,): number for account, number in quarantined.items()},
                count_raised(alerts),
                {keys.labels[key]: at for key, at in uses.items() if key in keys.labels},
            )
        )
        self._tell(found, keys)

    def _tell(self, found: Figures, keys: ConfiguredKeys) -> None:
        self._observer.pending_found(found.pending)
        self._observer.oldest_pending_found(found.ages)
        self._observer.dead_letters_found(found.dead)
        self._observer.quarantine_found(found.quarantined)
        self._observer.open_alerts_found(found.alerts)
        self._observer.key_ends_found(keys.ends)
        self._observer.key_uses_found(found.uses)

    async def _read_keys(self) -> ConfiguredKeys:
        """Return the keys of the present configuration. They are read once."""
        config = self._config()
        if self._keys is None or self._keys[0] is not config:
            self._keys = config, await asyncio.to_thread(list_configured_keys, config)
        return self._keys[1]


def list_configured_keys(config: Config) -> ConfiguredKeys:
    """Return the keys of a configuration."""
    keys = [(account.name, key) for account in config.accounts.values() for key in account.keys]
    return ConfiguredKeys(
        {(account, mark_key(key)): (account, key.label) for account, key in keys},
        {(account, key.label): key.expires.timestamp() for account, key in keys if key.expires},
    )


def measure_backlog(
    backlog: Mapping[RouteKey, Backlog], now: float
) -> tuple[Mapping[RouteKey, int], Mapping[RouteKey, float]]:
    """Return the number of pending deliveries of each route that has any, and the age of its oldest (s)."""
    pending = {route: found.pending for route, found in backlog.items()}
    ages = {route: max(0.0, now - found.oldest_at) for route, found in backlog.items() if found.oldest_at is not None}
    return pending, ages


def count_raised(alerts: Mapping[AlertKey, Alert]) -> Mapping[tuple[str, str, str], int]:
    """Return the number of open alerts that are raised, by account, watch or cause, and severity."""
    raised = [alert.condition for alert in alerts.values() if alert.raised_at is not None]
    return Counter((condition.account, condition.name, condition.severity) for condition in raised)
