"""Routes as operators see them: list them with their state and backlog, pause them, resume them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway import policy
from gateway.config import Config
from gateway.model import Route, RouteKey
from gateway.operate.names import require_known
from gateway.store.contract import Records
from gateway.store.values import Backlog, Filter, RouteState

SICK = ("misconfigured", "failing", "paused")
"""States of a route that delivers nothing, the most urgent first."""
HEALTHY = len(SICK) + 1

NO_BACKLOG = Backlog(pending=0, due=0, oldest_at=None)


@dataclass(frozen=True, slots=True)
class RouteRow:
    """A route as listed: its configuration (None: no longer configured), its stored state, its backlog, and the number
    of its dead letters.
    """

    key: RouteKey
    route: Route | None
    state: RouteState
    backlog: Backlog
    dead: int = 0

    @property
    def status(self) -> str:
        """Return "running", "paused", "failing", "misconfigured", "off" or "not configured"."""
        if self.route is None:
            return "not configured"
        if not self.route.enabled:
            return "off"
        if self.route.broken and not self.state.paused:
            return policy.Status.MISCONFIGURED.name.lower()
        return read_status(self.state).name.lower()

    @property
    def severity(self) -> int:
        """Return the need of a person's attention: the lower, the more urgent. HEALTHY needs none."""
        stranded = self.status == "not configured" and self.backlog.pending
        return SICK.index(self.status) if self.status in SICK else len(SICK) if stranded or self.dead else HEALTHY

    @property
    def why(self) -> str:
        """Return the operator's reason for a pause, and the reason for an open breaker."""
        return "; ".join(filter(None, (self.state.why, self.reason)))

    @property
    def reason(self) -> str:
        """Return the reason for an open breaker, "" if it is closed."""
        return (self.route.broken if self.route else "") or self.state.reason

    @property
    def probe_at(self) -> float | None:
        """Return the time of the next probe of an open route; None if the route is not open, or is paused."""
        return self.state.probe_at if self.status in ("failing", "misconfigured") else None


def read_status(state: RouteState) -> policy.Status:
    """Return the status that a route's stored state amounts to."""
    return policy.Breaker.from_state(state).status(state.paused)


async def list_routes(
    store: Records, config: Config, account: str | None = None, failing: bool = False
) -> list[RouteRow]:
    """Return routes: sick ones first, then in the configuration's order, then those that only the store knows.

    With `failing`, return only routes that need attention: they deliver nothing, or have dead letters.
    """
    rows = await read_routes(store, config, lambda name: account in (None, name))
    return [row for row in rows if row.severity < HEALTHY] if failing else rows


async def read_routes(store: Records, config: Config, wanted: Callable[[str], bool]) -> list[RouteRow]:
    """Return the routes of the wanted accounts, in the order of `list_routes`."""
    states, backlog, dead = await store.read_route_states(), await store.read_backlog(), await store.count_dead()
    known = config.routes
    rows = [
        RouteRow(
            key, known.get(key), states.get(key) or RouteState(*key), backlog.get(key, NO_BACKLOG), dead.get(key, 0)
        )
        for key in dict.fromkeys([*known, *sorted({*states, *backlog, *dead})])
        if wanted(key[0])
    ]
    return sorted(rows, key=lambda row: row.severity)


async def read_route(store: Records, config: Config, key: RouteKey) -> RouteRow:
    """Return one route. Raises GatewayError if neither the configuration nor the store knows it."""
    await require_known(store, config, Filter(account=key[0], route=key[1]))
    rows = {row.key: row for row in await list_routes(store, config, key[0])}
    return rows.get(key) or RouteRow(key, None, RouteState(*key), NO_BACKLOG)


async def pause_route(store: Records, config: Config, key: RouteKey, why: str, now: float) -> RouteRow:
    """Stop deliveries on a route until it is resumed. Return the route as it was before."""
    row = await read_route(store, config, key)
    await store.set_paused(*key, True, now, why)
    return row


async def resume_route(store: Records, config: Config, key: RouteKey, now: float, why: str = "") -> RouteRow:
    """End a route's pause, if it is paused. Return the route as it was before."""
    row = await read_route(store, config, key)
    if row.state.paused:
        await store.set_paused(*key, False, now, why)
    return row
