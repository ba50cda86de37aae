"""The gateway's own alerts: sick routes, dead letters, keys that end or are never used, a store that is nearly full."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway import policy
from gateway.alerts import Alert, AlertKey, Condition
from gateway.config import Config
from gateway.config.keys import ENDS_SOON, show
from gateway.model import Account, Key, Route, RouteKey
from gateway.operate.in_force import mark_key
from gateway.signal_types import GATEWAY_ALERT
from gateway.store.values import RouteState

FAILING_FOR = 3600.0
"""Seconds that a route fails before people are told. Most targets are back earlier, and the gateway retries anyway."""
UNUSED_FOR = 86400.0
"""Seconds that a key may be unused: by then, the first orders after an entry at the vendor have sent signals."""
LOW_SHARE, LOW_BYTES = 0.05, 2**30
"""A disk is nearly full with less than 5 % and less than 1 GiB free: big disks are fine with a few percent."""
ENOUGH = 1.5
"""Factor of free space from which on a disk is no longer nearly full, so that an alert does not come and go."""

ROUTE_MISCONFIGURED = "route-misconfigured"
ROUTE_FAILING = "route-failing"
DEAD_LETTERS = "dead-letters"
KEY_ENDS = "key-ends"
KEY_NEVER_USED = "key-never-used"
STORE_NEARLY_FULL = "store-nearly-full"
CAUSES: Mapping[str, str] = {
    ROUTE_MISCONFIGURED: "a route rests, because its target refuses its settings or its plugin can't be loaded",
    ROUTE_FAILING: "a route's target has been failing for an hour",
    DEAD_LETTERS: "a route has dead letters",
    KEY_ENDS: "a key ends within 14 days, or has ended",
    KEY_NEVER_USED: "a key has not been used once in 24 hours",
    STORE_NEARLY_FULL: "less than 5 % and less than 1 GiB of the store's disk are free; not for PostgreSQL",
}
"""The causes of the gateway's own alerts, with their meanings."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of which the gateway's own conditions are made.

    `free` is the free share and the free bytes of the store's disk, None if unknown. `redact` masks secrets in the
    reason of a broken plugin.
    """

    config: Config
    states: Mapping[RouteKey, RouteState]
    dead: Mapping[RouteKey, int]
    key_uses: Set[tuple[str, str]]
    free: tuple[float, int] | None
    redact: Callable[[str], str]


def find_conditions(facts: Facts, open_alerts: Mapping[AlertKey, Alert], now: datetime) -> Iterator[Condition]:
    """Yield the gateway's own conditions. The cost grows with accounts and sick routes, not with history."""
    routes = {key: route for key, route in facts.config.routes.items() if route.enabled}
    yield from find_sick_routes(routes, facts)
    for key, count in facts.dead.items():
        if key in routes:
            yield of_route(key, DEAD_LETTERS, f"Route {key[1]} has dead letters: {count} now")
    for account in facts.config.accounts.values():
        yield from find_key_conditions(account, facts.key_uses, now)
    if facts.free is not None:
        yield from find_full_store(facts.config, facts.free, open_alerts)


def find_sick_routes(routes: Mapping[RouteKey, Route], facts: Facts) -> Iterator[Condition]:
    """Yield a condition for each enabled route that delivers nothing, whether people paused it meanwhile or not."""
    for key, route in routes.items():
        if route.broken:
            text = f"Route {key[1]} delivers nothing: {facts.redact(route.broken)}"
            yield of_route(key, ROUTE_MISCONFIGURED, text)
    for key, state in facts.states.items():
        if key not in routes or routes[key].broken:
            continue
        match policy.Breaker.from_state(state).status(paused=False):
            case policy.Status.MISCONFIGURED:
                yield of_route(key, ROUTE_MISCONFIGURED, f"Route {key[1]} delivers nothing: {state.reason}")
            case policy.Status.FAILING:
                text = f"Route {key[1]} has been failing for an hour: {state.reason}"
                yield of_route(key, ROUTE_FAILING, text, FAILING_FOR)


def of_route(key: RouteKey, cause: str, message: str, patience: float = 0.0) -> Condition:
    """Return a condition of a route."""
    account, route = key
    return Condition(account, message, cause=cause, subject=route, route=route, severity="failure", patience=patience)


def find_key_conditions(account: Account, used: Set[tuple[str, str]], now: datetime) -> Iterator[Condition]:
    """Yield a condition for each key that ends soon or has ended, and for each that was never used."""
    for key in account.keys:
        ended = key.expires is not None and key.expires <= now
        if key.expires is not None and key.expires <= now + ENDS_SOON:
            text = f"The key {key.label!r} {'ended' if ended else 'ends'} at {show(key.expires)}"
            yield of_key(account, key, KEY_ENDS, text)
        if not ended and (account.name, mark_key(key)) not in used:
            text = f"The key {key.label!r} has not been used once in 24 hours"
            yield of_key(account, key, KEY_NEVER_USED, text, UNUSED_FOR)


def of_key(account: Account, key: Key, cause: str, message: str, patience: float = 0.0) -> Condition:
    """Return a condition of a key. Its subject is the key's mark, which does not give it away."""
    return Condition(account.name, message, cause=cause, subject=mark_key(key), patience=patience)


def find_full_store(
    config: Config, free: tuple[float, int], open_alerts: Mapping[AlertKey, Alert]
) -> Iterator[Condition]:
    """Yield the condition of a disk that is nearly full, once for each tenant: its accounts share people and routes.

    The account is the one whose alert is open already, else the first with a route for alerts, else the first.
    """
    for accounts in config.tenants.values():
        before = [a.name for a in accounts if (a.name, "", STORE_NEARLY_FULL, "") in open_alerts]
        factor = ENOUGH if before else 1.0
        share, count = free
        if share < LOW_SHARE * factor and count < LOW_BYTES * factor:
            name = next(iter([*before, *have_alerts(accounts), accounts[0].name]))
            text = f"The store is nearly full: {count >> 20} MiB of its disk are free"
            yield Condition(name, text, cause=STORE_NEARLY_FULL, severity="failure")


def have_alerts(accounts: Iterable[Account]) -> Iterator[str]:
    """Yield the names of accounts with a route for alerts."""
    for account in accounts:
        if any(route.enabled and route.wants(GATEWAY_ALERT) for route in account.routes.values()):
            yield account.name


def free_space(folder: Path) -> tuple[float, int] | None:
    """Return the free share and the free bytes of a folder's disk, None if they can't be read."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return usage.free / usage.total if usage.total else 1.0, usage.free
