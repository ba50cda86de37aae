"""Adds and removes accounts and rotates keys in the configuration's files: prepared, shown, and then written."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gateway import keys
from gateway.config import (
    Config,
    Edit,
    add_account,
    check_edit,
    edit_account,
    edit_tenant,
    key_line,
    remove_account,
    rotate_keys,
    write_edit,
)
from gateway.config.setting_values import NAME, NAME_EXPECTED, did_you_mean
from gateway.errors import GatewayError
from gateway.logs import Redactor
from gateway.operate.reload import preview
from gateway.store import Store


@dataclass(frozen=True, slots=True)
class AccountEdit:
    """An edit that was checked and not yet written. `action` is its name in the table of actions.

    `diff` has no secrets, `config` is the configuration with the edit. A new `key` is shown once: the file has only
    its digest. `old_keys_end` is the end of the keys that it replaces.
    """

    action: str
    account: str
    edit: Edit = field(repr=False)
    config: Config
    diff: tuple[str, ...]
    endpoint: str
    key: str | None = field(default=None, repr=False)
    old_keys_end: datetime | None = None


def prepare_addition(
    config: Config, name: str, tenant: str | None, now: datetime, new_key: Callable[[], str] = keys.new_key
) -> AccountEdit:
    """Prepare a new account with a new key. The tenant may be left out if there is only one.

    Raises GatewayError for a wrong or taken name and for an unknown tenant, ConfigError if the configuration would be
    wrong.
    """
    if not NAME.fullmatch(name):
        raise GatewayError(f"account {name!r}: {NAME_EXPECTED}")
    if name in config.accounts:
        raise GatewayError(f"there is an account {name!r} already, of tenant {config.accounts[name].tenant}")
    if tenant is None and len(config.tenants) != 1:
        raise GatewayError(f"name the account's tenant with --tenant; known: {', '.join(config.tenants)}")
    key = new_key()
    line = make_line(key, label_for(now, ()))
    edit = edit_tenant(config, tenant or next(iter(config.tenants)), lambda text: add_account(text, name, line))
    return check("account-add", config, name, edit, key)


def prepare_removal(config: Config, name: str) -> AccountEdit:
    """Prepare the removal of an account. Its signals stay in the store. Raises GatewayError if there is none."""
    require_account(config, name)
    return check("account-remove", config, name, edit_account(config, name, lambda text: remove_account(text, name)))


def prepare_rotation(
    config: Config, name: str, overlap: timedelta, now: datetime, new_key: Callable[[], str] = keys.new_key
) -> AccountEdit:
    """Prepare a new key for an account. Its other keys end after `overlap`, unless they end before.

    Keys that have ended are removed. Raises GatewayError if there is no such account.
    """
    require_account(config, name)
    key, end = new_key(), (now + overlap).astimezone(UTC).replace(microsecond=0)
    line = make_line(key, label_for(now, [known.label for known in config.accounts[name].keys]))
    written = end.isoformat().replace("+00:00", "Z")
    edit = edit_account(config, name, lambda text: rotate_keys(text, name, line, written, now))
    return check("key-rotate", config, name, edit, key, end)


def require_account(config: Config, name: str) -> None:
    if name not in config.accounts:
        known = list(config.accounts)
        raise GatewayError(f"there is no account {name!r} in the configuration{did_you_mean(name, known)}")


def make_line(key: str, label: str) -> str:
    return key_line(keys.hash_key(key).hex(), label)


def label_for(now: datetime, taken: Collection[str]) -> str:
    """Return a label for a new key: the day from which it is valid, and a number if that is taken."""
    label = f"since-{now:%Y-%m-%d}"
    names = [label, *(f"{label}-{number}" for number in range(2, len(taken) + 2))]
    return next(each for each in names if each not in taken)


def check(
    action: str, config: Config, name: str, edit: Edit, key: str | None = None, end: datetime | None = None
) -> AccountEdit:
    """Return an edit with the whole configuration that it leads to."""
    after = check_edit(config, edit)
    redact = Redactor(config.secrets | after.secrets)
    diff = tuple(redact(line) for line in edit.diff())
    return AccountEdit(action, name, edit, after, diff, after.endpoint(name), key, end)


async def foresee(store: Store, prepared: AccountEdit) -> list[str]:
    """Return the account's changes by a reload after the edit, and what would need --force, as sentences.

    Raises GatewayError if an earlier client's signals are still in the store under the account's name.
    """
    found = await preview(store, prepared.config)
    if found.first:  # no gateway has used the store yet: all would come
        return []
    changes = [str(each) for each in found.changes if (each.kind, each.name) == ("account", prepared.account)]
    return [*changes, *(f"a reload will need --force: {danger}" for danger in found.dangers)]


def write(prepared: AccountEdit) -> None:
    """Write the file. Raises GatewayError if it changed since it was read."""
    write_edit(prepared.edit)


async def record(store: Store, prepared: AccountEdit, now: float) -> None:
    """Record the edit as an action."""
    detail = {"account": prepared.account, "file": str(prepared.edit.path.absolute())}
    await store.record_action(prepared.action, detail, now)
