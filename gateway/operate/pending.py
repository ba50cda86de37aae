"""Acts of people on pending deliveries: try one now, skip one, or try a resting route now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from gateway import policy
from gateway.config import Config
from gateway.errors import GatewayError
from gateway.model import RouteKey
from gateway.operate.lookups import find_signal, read_deliveries
from gateway.operate.names import require_known
from gateway.operate.routes import RouteRow, read_route, read_status
from gateway.store.contract import Records
from gateway.store.values import DeliveryRow, Filter

LOOK_EVERY = 0.2
"""Seconds between looks for the outcome of a try."""
HEADS_SEEN = 1000
"""Pending deliveries of a route among which a probe is chosen, the newest ones."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A try that was asked for, and its outcome so far.

    `outcome` is delivered, filtered, dead, failed (it is pending again, for `reason`), or waiting: no gateway has
    tried it yet. Without a `signal_id` there was nothing to try with. `before` counts the failed attempts before.
    """

    account: str
    route: str
    signal_id: int | None
    outcome: str = "waiting"
    reason: str = ""
    before: int = 0


async def retry_now(store: Records, config: Config, signal_id: int, route: str | None, now: float) -> list[Tried]:
    """Make a signal's pending deliveries due now: one route's, or all. Raises GatewayError if one can't be."""
    rows = await find_pending(store, config, signal_id, route)
    for row in rows:
        require_active(await read_route(store, config, (row.account, row.route)))
        await require_free(store, row, now)
    tries = [await prepare(store, (row.account, row.route), row.signal_id) for row in rows]
    for row in rows:
        if not await store.try_now(row.account, row.route, row.signal_id, now, "retry"):
            raise GatewayError(f"{name_of(row)} has changed meanwhile: look at `cloudsignal explain {signal_id}`")
    return tries


async def skip_delivery(
    store: Records, config: Config, signal_id: int, route: str, why: str, now: float
) -> DeliveryRow:
    """End a pending delivery as filtered; its order's next one follows. Raises GatewayError if it is not pending."""
    [row] = await find_pending(store, config, signal_id, route)
    if row.is_leased(now):
        raise GatewayError(f"{name_of(row)} is being delivered just now: try again when the attempt has ended")
    if not await store.skip(row.account, row.route, signal_id, now, why):
        raise GatewayError(f"{name_of(row)} has changed meanwhile: look at `cloudsignal explain {signal_id}`")
    return row


async def probe_route(store: Records, config: Config, key: RouteKey, now: float) -> Tried:
    """Try a resting route now, with a delivery that was not tried before if there is one.

    Raises GatewayError if the route is not resting, or can't be tried.
    """
    row = await read_route(store, config, key)
    require_active(row)
    if read_status(row.state) is policy.Status.RUNNING:
        raise GatewayError(
            f"{'/'.join(key)} is running, and not resting. `cloudsignal retry ID` tries one delivery now"
        )
    pending = await store.list_deliveries(Filter(account=key[0], route=key[1], state="pending"), HEADS_SEEN)
    tried = await prepare(store, key, choose_probe(pending, now))
    if not await store.try_now(*key, tried.signal_id, now, "probe"):
        raise GatewayError(f"signal {tried.signal_id} has changed meanwhile: try again")
    return tried


def require_active(row: RouteRow) -> None:
    """Raise GatewayError if no gateway tries the route, whatever is due on it."""
    name = "/".join(row.key)
    if row.route is None or not row.route.enabled:
        raise GatewayError(f"{name} is {row.status}: it can't be tried")
    if row.route.broken:
        raise GatewayError(f"{name} can't be tried: {row.route.broken}. Mend it, and run `cloudsignal reload`")
    if row.state.paused:
        raise GatewayError(f"{name} is paused: `cloudsignal resume {' '.join(row.key)}` first")


def choose_probe(pending: Sequence[DeliveryRow], now: float) -> int | None:
    """Return the signal to probe with: of the heads of lanes, the longest due of those never tried, else of all."""
    heads = [row for row in pending if row.due_at is not None and not row.is_leased(now)]
    best = min(heads, key=lambda row: (bool(row.reason), row.due_at or 0.0), default=None)
    return best.signal_id if best else None


async def find_pending(store: Records, config: Config, signal_id: int, route: str | None) -> list[DeliveryRow]:
    """Return a signal's pending deliveries. Raises GatewayError if there are none, telling what can be done instead."""
    signal = (await find_signal(store, signal_id)).signal
    await require_known(store, config, Filter(account=signal.account, route=route))
    rows = [row for row in await read_deliveries(store, signal_id) if route in (None, row.route)]
    if not rows:
        raise GatewayError(f"signal {signal_id} has no delivery{f' on {route}' if route else ''}")
    pending = [row for row in rows if row.state == "pending"]
    if not pending:
        ended = ", ".join(f"{row.route}: {row.state}" for row in rows)
        raise GatewayError(
            f"signal {signal_id} has ended ({ended}): "
            f"`cloudsignal replay {signal_id} --route {rows[0].route}` delivers it again"
        )
    return pending


async def require_free(store: Records, row: DeliveryRow, now: float) -> None:
    """Raise GatewayError if a pending delivery can't be tried now, telling why."""
    if row.is_leased(now):
        raise GatewayError(f"{name_of(row)} is being delivered just now")
    if row.held:
        raise GatewayError(f"{name_of(row)} is held until its order is known: `cloudsignal orders add` makes it known")
    if row.due_at is None:
        head = (await store.read_heads(row.signal_id)).get(row.route)
        first = f"signal {head.signal_id}" if head else "another"
        raise GatewayError(
            f"{name_of(row)} waits behind {first} of its order: `cloudsignal retry` that one, or `cloudsignal skip` it"
        )


def name_of(row: DeliveryRow) -> str:
    return f"signal {row.signal_id} on {row.route}"


# -- the outcome


async def follow(
    store: Records,
    tried: Tried,
    seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Tried:
    """Look for the outcome of a try for so long; it is "waiting" if no gateway has made the attempt.

    `clock` gives the time, in seconds since the epoch.
    """
    if tried.signal_id is None:
        return tried
    for _ in range(round(seconds / LOOK_EVERY)):
        found = await look(store, tried, clock())
        if found.outcome != "waiting":
            return found
        await sleep(LOOK_EVERY)
    return await look(store, tried, clock())


async def prepare(store: Records, key: RouteKey, signal_id: int | None) -> Tried:
    """Return a try that is about to be asked for. A gateway may make the attempt at once, so count the earlier ones."""
    return Tried(*key, signal_id, before=await count_attempts(store, key, signal_id))


async def look(store: Records, tried: Tried, now: float) -> Tried:
    """Return the outcome by now."""
    rows = await store.list_deliveries(Filter(ids=[tried.signal_id or 0], route=tried.route), 1)
    outcome, reason = "waiting", ""
    if rows and rows[0].state != "pending":
        outcome, reason = rows[0].state, rows[0].reason
    elif rows and not rows[0].is_leased(now):
        attempts = await count_attempts(store, (tried.account, tried.route), tried.signal_id)
        if attempts > tried.before:
            outcome, reason = "failed", rows[0].reason
    return replace(tried, outcome=outcome, reason=reason)


async def count_attempts(store: Records, key: RouteKey, signal_id: int | None) -> int:
    return 0 if signal_id is None else len((await store.read_attempts(signal_id)).get(key[1], ()))
