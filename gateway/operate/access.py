"""Decides about the rights of roles. A thing that a role may not see does not exist for it.

Then `NotFound` is raised as for a thing that is not there, after the same work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.config import Access, Config
from gateway.errors import Forbidden, NotFound
from gateway.store.contract import Records, Store
from gateway.store.contract_alerts import Alerts
from gateway.store.values import Actor, AlertFilter, Filter, SignalRow


def accounts_seen(access: Access, config: Config) -> Sequence[str] | None:
    """Return the names of the accounts that a role sees; None for an operator: all, also accounts that have left."""
    if access.role == "operator":
        return None
    if access.role == "account":
        return [name for name in config.accounts if name == access.account]
    return [account.name for account in config.accounts.values() if account.tenant == access.tenant]


def act_as(store: Store, access: Access, address: str) -> Store:
    """Return the store for a caller: actions are recorded under its name and address."""
    return store.acting_as(Actor(access.name, address))


def narrow(access: Access, config: Config, which: Filter) -> Filter:
    """Return the filter without the accounts that a role does not see."""
    return replace(which, accounts=accounts_seen(access, config))


def accounts_of(access: Access, config: Config, account: str | None) -> Sequence[str] | None:
    """Return the accounts that a role sees, or only the named one, if it sees it. None means all."""
    seen = accounts_seen(access, config)
    if account is None:
        return seen
    return [account] if seen is None or account in seen else []


def require_seen(access: Access, config: Config, account: str) -> None:
    """Raise NotFound for an account that a role does not see."""
    seen = accounts_seen(access, config)
    if seen is not None and account not in seen:
        raise NotFound()


async def find_seen_signal(store: Records, access: Access, config: Config, signal_id: int) -> SignalRow:
    """Return a signal. Raises NotFound if there is none, or none that the role sees."""
    rows = await store.list_signals(narrow(access, config, Filter(ids=[signal_id])), 1)
    if not rows:
        raise NotFound()
    return rows[0]


async def require_seen_alert(store: Alerts, access: Access, config: Config, alert: int) -> None:
    """Raise NotFound if there is no such alert, or none that the role sees."""
    which = AlertFilter(ids=[alert], accounts=accounts_seen(access, config))
    if not await store.list_alerts(which, 1):
        raise NotFound()


def require_change(access: Access) -> None:
    """Raise Forbidden for a role that may change nothing but by replays.

    Callers ask this first: the answer must not depend on the existence of the thing to be changed.
    """
    if access.role == "account":
        raise Forbidden()


def scope_of(access: Access) -> str:
    """Return the name under which the role's jobs are kept."""
    return ":".join(filter(None, (access.role, access.tenant, access.account)))


def scopes_seen(access: Access, config: Config) -> Sequence[str] | None:
    """Return the scopes that a role sees jobs of: its own, and for a tenant its accounts'. None means all."""
    seen = accounts_seen(access, config)
    return None if seen is None else [scope_of(access), *(f"account:{account}" for account in seen)]
