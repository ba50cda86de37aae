"""Lists accounts with their keys and last signals, and ends accounts: forget one, or keep what it left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.config import Config
from gateway.config.setting_values import did_you_mean
from gateway.errors import GatewayError
from gateway.model import Account
from gateway.operate.in_force import is_reused, mark_key
from gateway.operate.traffic import yield_to_traffic
from gateway.store import serving_process
from gateway.store.contract import Store
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
    """An account as listed. One that left the configuration has `left_at` and no endpoint."""

    account: str
    tenant: str
    endpoint: str | None
    keys: tuple[KeyRow, ...]
    last_signal: float | None
    pending: int
    left_at: float | None = None


async def list_accounts(store: Store, config: Config) -> list[AccountRow]:
    """Return the configured accounts, then those that left and of which the store still knows."""
    uses = await store.read_key_uses()
    pending: dict[str, int] = {}
    for (account, _), backlog in (await store.read_backlog()).items():
        pending[account] = pending.get(account, 0) + backlog.pending
    in_force = [part for part in await store.read_in_force() if part.kind == "account"]
    marks = {(part.name, label): mark for part in in_force for mark, label in part.detail["keys"].items()}
    rows = [
        make_row(account, marks, uses, await find_last_signal(store, account.name), pending.get(account.name, 0))
        for account in config.accounts.values()
    ]
    for part in in_force:
        if part.name not in config.accounts:
            last = await find_last_signal(store, part.name)
            rows.append(
                AccountRow(part.name, part.detail["tenant"], None, (), last, pending.get(part.name, 0), part.left_at)
            )
    return rows


def make_row(
    account: Account,
    marks: Mapping[tuple[str, str], str],
    uses: Mapping[tuple[str, str], float],
    last_signal: float | None,
    pending: int,
) -> AccountRow:
    """Return the row of a configured account.

    `marks` are those of the gateway's keys by account and label: a key from a variable may be missing here.
    """
    name = account.name
    keys = tuple(
        KeyRow(key.label, uses.get((name, marks.get((name, key.label), mark_key(key)))), key.expires)
        for key in account.keys
    )
    return AccountRow(name, account.tenant, f"/signals/{name}", keys, last_signal, pending)


async def find_last_signal(store: Store, account: str) -> float | None:
    """Return the time of the account's last signal."""
    rows = await store.list_signals(Filter(account=account), 1)
    return rows[0].signal.received_at.timestamp() if rows else None


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
