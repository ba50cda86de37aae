"""Checks names and ids that an operator gives: accounts, routes, types, signals. Suggests the nearest right name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.config import Config
from gateway.config.setting_values import did_you_mean
from gateway.errors import NotFound
from gateway.signal_types import TYPES
from gateway.store.contract import Records
from gateway.store.values import Filter


async def require_known(store: Records, config: Config, which: Filter) -> None:
    """Raise NotFound for a name or an id in a filter of signals that nothing has: see the functions called."""
    await require_known_names(store, config, which)
    await require_known_type(store, which.type)
    await require_signals(store, which.ids or ())


async def require_signals(store: Records, ids: Sequence[int]) -> None:
    """Raise NotFound if the store does not have all these signals."""
    found = {row.signal.id for row in await store.list_signals(Filter(ids=ids), len(ids))} if ids else set()
    if missing := [str(number) for number in dict.fromkeys(ids) if number not in found]:
        raise NotFound(f"there is no signal {', '.join(missing)}")


async def require_known_type(store: Records, type: str | None) -> None:
    """Raise NotFound for a type that is none of the vendor's and that no stored signal has."""
    if type is None or type in TYPES or await store.list_signals(Filter(type=type), 1):
        return
    raise NotFound(f"no signal has the type {type!r}{did_you_mean(type, list(TYPES))}")


async def require_known_names(store: Records, config: Config, which: Filter) -> None:
    """Raise NotFound for an account or a route that neither the configuration nor the store knows.

    The store is only read if the configuration lacks the name: a route that has left both is looked up in all of the
    stored deliveries.
    """
    known = {account.name: list(account.routes) for account in config.accounts.values()}
    if not describe_unknown(known, which):
        return
    for account, route in sorted({*await store.read_route_states(), *await store.read_backlog()}):
        known.setdefault(account, []).append(route)
    for row in await store.list_deliveries(Filter(account=which.account, route=which.route), 1):
        known.setdefault(row.account, []).append(row.route)
    if which.account is not None and await is_stored(store, which.account):
        known.setdefault(which.account, [])
    if trouble := describe_unknown(known, which):
        raise NotFound(trouble)


def require_account(config: Config, account: str) -> None:
    """Raise NotFound if the account is not configured."""
    if account not in config.accounts:
        hint = did_you_mean(account, list(config.accounts))
        raise NotFound(f"there is no account {account!r} in the configuration{hint}")


async def is_stored(store: Records, account: str) -> bool:
    """Return True if the store has signals or quarantined requests of the account, which may have no routes."""
    return bool(
        await store.list_signals(Filter(account=account), 1) or await store.list_quarantined(Filter(account=account), 1)
    )


def describe_unknown(known: Mapping[str, Sequence[str]], which: Filter) -> str:
    """Return an error message about the names in `which`, "" if they are in `known` (route names by account)."""
    account, route = which.account, which.route
    if account is not None and account not in known:
        return f"there is no account {account!r}{did_you_mean(account, list(known))}"
    routes = [name for owner, names in known.items() if account in (None, owner) for name in names]
    if route is None or route in routes:
        return ""
    subject = "there is" if account is None else f"the account {account} has"
    return f"{subject} no route {route!r}{did_you_mean(route, list(dict.fromkeys(routes)))}"
