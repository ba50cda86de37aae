"""Lists accounts with their keys and last signals, and ends accounts: forget one, or keep what it left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gateway.config import Config
from gateway.config.setting_values import did_you_mean
from gateway.config.settings import KeyPlace
from gateway.errors import GatewayError
from gateway.model import Account
from gateway.operate.in_force import is_reused, mark_key
from gateway.operate.names import require_known
from gateway.operate.routes import SICK, RouteRow, read_routes
from gateway.operate.traffic import yield_to_traffic
from gateway.store import serving_process
from gateway.store.contract import Store
from gateway.store.contract_accounts import Accounts
from gateway.store.values import Filter, Forgotten

ROWS_PER_BATCH = 200
"""Signals or requests that one transaction removes. It takes some milliseconds, for which other writes wait."""

Removal = Forgotten
"""Numbers of an account's rows that `forget` has removed so far, or would remove."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as listed: never its text, nor its digest. `last_used` is exact to a minute."""

    label: str
    last_used: float | None
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account as listed. One that left the configuration has `left_at` and no endpoint.

    `endpoint` is a URL if `server.public_url` is set, else a path. `routes` are those of `list_routes`.
    """

    account: str
    tenant: str
    endpoint: str | None
    keys: tuple[KeyRow, ...]
    last_signal: float | None
    routes: tuple[RouteRow, ...] = ()
    left_at: float | None = None

    @property
    def pending(self) -> int:
        """Return the number of pending deliveries."""
        return sum(route.backlog.pending for route in self.routes)

    @property
    def state(self) -> str:
        """Return the state of its sickest route; "running" if none is sick."""
        sickest = min(self.routes, key=lambda route: route.severity, default=None)
        return sickest.status if sickest and sickest.status in SICK else "running"

    @property
    def oldest_at(self) -> float | None:
        """Return the creation time of the oldest pending delivery, None if there is none."""
        times = [route.backlog.oldest_at for route in self.routes if route.backlog.oldest_at is not None]
        return min(times, default=None)


async def list_accounts(store: Store, config: Config, only: str | None = None) -> list[AccountRow]:
    """Return the configured accounts, then those that left and of which the store still knows; or the `only` one.

    Raises GatewayError if neither knows that one.
    """
    await require_known(store, config, Filter(account=only))
    return await read_accounts(store, config, lambda name: only in (None, name))


async def page_accounts(
    store: Store, config: Config, seen: Sequence[str] | None, after: str, limit: int
) -> list[AccountRow]:
    """Return a page of accounts in the order of their names: those behind `after`, of the ones that are `seen`."""
    known = {*config.accounts, *(part.name for part in await store.read_in_force() if part.kind == "account")}
    names = set(sorted(name for name in (known if seen is None else seen) if name > after)[:limit])
    return sorted(await read_accounts(store, config, names.__contains__), key=lambda row: row.account)


async def read_accounts(store: Store, config: Config, wanted: Callable[[str], bool]) -> list[AccountRow]:
    """Return the wanted accounts: configured ones, then those that left."""
    uses = await store.read_key_uses()
    routes: dict[str, list[RouteRow]] = {}
    for route in await read_routes(store, config, wanted):
        routes.setdefault(route.key[0], []).append(route)
    in_force = [part for part in await store.read_in_force() if part.kind == "account"]
    marks = {(part.name, label): mark for part in in_force for mark, label in part.detail["keys"].items()}
    rows = [
        AccountRow(name, account.tenant, config.endpoint(name), list_keys(account, marks, uses), None)
        for name, account in config.accounts.items()
        if wanted(name)
    ]
    rows += [
        AccountRow(part.name, part.detail["tenant"], None, (), None, left_at=part.left_at)
        for part in in_force
        if part.name not in config.accounts and wanted(part.name)
    ]
    return [
        replace(row, last_signal=await find_last_signal(store, row.account), routes=tuple(routes.get(row.account, ())))
        for row in rows
    ]


def list_keys(
    account: Account, marks: Mapping[tuple[str, str], str], uses: Mapping[tuple[str, str], float]
) -> tuple[KeyRow, ...]:
    """Return the keys of a configured account.

    `marks` are those of the gateway's keys by account and label: a key from a variable may be missing here.
    """
    name = account.name
    return tuple(
        KeyRow(key.label, uses.get((name, marks.get((name, key.label), mark_key(key)))), key.expires)
        for key in account.keys
    )


async def find_last_signal(store: Store, account: str) -> float | None:
    """Return the time of the account's last signal."""
    rows = await store.list_signals(Filter(account=account), 1)
    return rows[0].signal.received_at.timestamp() if rows else None


@dataclass(frozen=True, slots=True)
class Awaited:
    """An account that never had a request with a right key, and what to enter at the vendor's.

    `label` and `place` (file:line) tell which key that is; its text is not shown.
    """

    account: str
    endpoint: str
    label: str
    place: str


async def find_awaited(store: Accounts, config: Config) -> list[Awaited]:
    """Return the accounts that still wait for a first signal, each with the key that is valid for the longest."""
    used = {account for account, _ in await store.read_key_uses()}
    found: dict[str, KeyPlace] = {}
    for place in config.key_places:
        best = found.get(place.account)
        if place.account not in used and (best is None or end_of(place) >= end_of(best)):
            found[place.account] = place
    return [
        Awaited(name, config.endpoint(name), place.key.label, f"{place.file}:{place.line}")
        for name, place in found.items()
    ]


def end_of(place: KeyPlace) -> datetime:
    return place.key.expires or datetime.max.replace(tzinfo=UTC)


# -- the end of an account


async def keep_account(store: Store, name: str, now: float) -> None:
    """Leave an earlier client's signals to the account that has its name now. Raises GatewayError if there are none."""
    if not await store.remove_in_force(name, now):
        left = [part.name for part in await store.read_in_force() if part.kind == "account"]
        raise GatewayError(f"the store knows no account {name!r}{did_you_mean(name, left)}")


async def check_forgettable(store: Store, config: Config, name: str, force: bool) -> Forgotten:
    """Return the numbers of rows that would go. Raises GatewayError for an account that is still in use, or unknown."""
    known = {part.name: part for part in await store.read_in_force() if part.kind == "account"}
    if name in config.accounts and not (name in known and is_reused(known[name], config.accounts[name])):
        raise GatewayError(f"the account {name} is still in the configuration: remove it there and reload, then forget")
    found = await store.count_forget(name)
    if name not in known and found == Forgotten():
        raise GatewayError(f"the store knows no account {name!r}{did_you_mean(name, list(known))}")
    if name in known and known[name].left_at is None and not force and may_be_served(config):
        raise GatewayError(f"a gateway may still serve the account {name}: reload it first, or use --force")
    return found


def may_be_served(config: Config) -> bool:
    """Return False if it is certain that no gateway serves from the store."""
    return not config.store.url.startswith("sqlite") or serving_process(config.store) is not None


async def forget_account(
    store: Store, name: str, now: float, stop: asyncio.Event | None = None
) -> AsyncIterator[Forgotten]:
    """Remove everything of an account, in batches beside a running gateway; yield the sums so far.

    It ends early if `stop` is set, and can be run again. The action that is recorded has the account's name and the
    numbers, and nothing of its signals.
    """
    total = Forgotten()
    async for batch in yield_to_traffic(forget_batches(store, name, now), stop):
        total = Forgotten(
            total.signals + batch.signals,
            total.deliveries + batch.deliveries,
            total.pending + batch.pending,
            total.quarantined + batch.quarantined,
            total.orders + batch.orders,
            batch.done,
        )
        if batch.done:
            detail = {"account": name, "signals": total.signals, "quarantined": total.quarantined}
            await store.record_action("forget", {**detail, "pending": total.pending}, now)
        yield total


async def forget_batches(store: Store, name: str, now: float) -> AsyncIterator[Forgotten]:
    """Remove batch by batch, without a rest."""
    done = False
    while not done:
        batch = await store.forget(name, ROWS_PER_BATCH, now)
        yield batch
        done = batch.done
