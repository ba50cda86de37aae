"""Compares configurations part by part: what comes, goes and changes, and what a reload must not do by mistake."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.config import Config, fixed_settings
from gateway.model import Account, Key, RouteKey, SecretValue
from gateway.store.values import Backlog, ConfigPart

LISTED = 5
"""Names that a message lists before it only counts the others."""


@dataclass(frozen=True, slots=True)
class Change:
    """A part that comes, goes or changes. `pending` has the pending deliveries of each route that goes."""

    kind: str
    name: str
    how: str
    details: tuple[str, ...] = ()
    pending: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        waiting = [f"{count} pending on {route}" for route, count in self.pending.items()]
        details = "; ".join([*self.details, *([", ".join(waiting)] if waiting else [])])
        return f"{self.kind} {self.name} {self.how}{': ' if details else ''}{details}"


# -- a configuration as parts


def parts_of(config: Config) -> list[ConfigPart]:
    """Return the parts of a configuration, without secrets: of each key and route a mark, which changes with it."""
    accounts = [ConfigPart("account", account.name, describe_account(account)) for account in config.accounts.values()]
    includes = {include.pattern: {"files": list(include.files)} for include in config.includes}
    settings = {name: {"mark": mark_of(value)} for name, value in settings_of(config).items()}
    return [
        *accounts,
        *(ConfigPart("include", pattern, detail) for pattern, detail in includes.items()),
        *(ConfigPart("setting", name, detail) for name, detail in settings.items()),
    ]


def settings_of(config: Config) -> Mapping[str, object]:
    """Return the settings of the main file by name."""
    server = {f"server.{field.name}": getattr(config.server, field.name) for field in dataclasses.fields(config.server)}
    others = {"store.retention": config.retention, "plugins": config.plugins}
    if config.admin:
        others |= {"admin.tokens": config.admin.tokens, "admin.proxy_auth": config.admin.proxy_auth}
    return {**server, **others, **fixed_settings(config)}


def describe_account(account: Account) -> dict[str, Any]:
    """Return an account's detail: tenant, keys, options and routes."""
    named = ("name", "tenant", "keys", "routes", "watches")
    options = {f.name: getattr(account, f.name) for f in dataclasses.fields(account) if f.name not in named}
    routes = {
        route.name: {
            "sink": route.sink,
            "enabled": route.enabled,
            "mark": mark_of(dataclasses.replace(route, tenant="")),
        }
        for route in account.routes.values()
    }
    watches = {watch.name: mark_of(watch) for watch in account.watches.values()}
    return {
        "tenant": account.tenant,
        "keys": {mark_key(key): key.label for key in account.keys},
        "options": options,
        "routes": routes,
        **({"watches": watches} if watches else {}),
    }


def mark_key(key: Key) -> str:
    """Return the mark of a key: 24 bits of its digest, enough to know it again and too few to find it."""
    return hashlib.blake2b(key.digest, digest_size=3).hexdigest()


def mark_of(value: object) -> str:
    """Return a mark of a value with its secrets: 16 bits, enough to notice a change and too few to find a secret."""
    return hashlib.blake2b(spell(value).encode("utf-8", "replace"), digest_size=2).hexdigest()


def spell(value: object) -> str:
    """Return a value as text that is the same in each process."""
    if isinstance(value, SecretValue):
        return repr(value.reveal())
    if isinstance(value, Mapping):
        return "{" + ",".join(sorted(f"{key!r}:{spell(inner)}" for key, inner in value.items())) + "}"
    if isinstance(value, (set, frozenset)):
        return "{" + ",".join(sorted(map(spell, value))) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(spell, value)) + "]"
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return spell({"": type(value).__name__, **fields})
    shown = repr(value)
    return type(value).__name__ if " at 0x" in shown else shown  # an address differs in each process


# -- changes


def compare(
    before: Iterable[ConfigPart], after: Iterable[ConfigPart], backlog: Mapping[RouteKey, Backlog]
) -> list[Change]:
    """Return the changes from the parts in force to others. Accounts that had left before count as not there."""
    old = {(part.kind, part.name): part.detail for part in before if part.left_at is None}
    new = {(part.kind, part.name): part.detail for part in after}
    changes = [
        Change(*key, "goes", pending=pending_of(*key, None, backlog))
        for key in old
        if key not in new and key[0] != "setting"
    ]
    for key, detail in new.items():
        if key not in old and key[0] == "setting":
            continue  # a setting that only one of two versions of the gateway has
        if key not in old:
            changes.append(Change(*key, "comes"))
        elif old[key] != detail:
            changes.append(describe_change(*key, old[key], detail, backlog))
    return changes


def describe_change(
    kind: str, name: str, old: Mapping[str, Any], new: Mapping[str, Any], backlog: Mapping[RouteKey, Backlog]
) -> Change:
    """Return the change of a part that is in both."""
    if kind == "include":
        left = [f"{file} goes" for file in old["files"] if file not in new["files"]]
        came = [f"{file} comes" for file in new["files"] if file not in old["files"]]
        return Change(kind, name, "changes", (*left, *came))
    if kind == "setting":
        return Change(kind, name, "changes")
    gone = [route for route in old["routes"] if route not in new["routes"]]
    return Change(kind, name, "changes", tuple(differences(old, new)), pending_of(kind, name, gone, backlog))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield the differences of an account."""
    if old["tenant"] != new["tenant"]:
        yield f"tenant {old['tenant']} -> {new['tenant']}"
    yield from (f"option {name} {old['options'].get(name)} -> {value}" for name, value in new["options"].items()
                if old["options"].get(name) != value)  # fmt: skip
    for noun, names in (("key", "keys"), ("route", "routes"), ("watch", "watches")):
        before, after = old.get(names, {}), new.get(names, {})
        shown = {**{name: name for name in (*before, *after)}, **({**before, **after} if noun == "key" else {})}
        yield from (f"{noun} {shown[name]} goes" for name in before if name not in after)
        yield from (f"{noun} {shown[name]} comes" for name in after if name not in before)
        yield from (f"{noun} {shown[name]} changes" for name in after if before.get(name, after[name]) != after[name])


def pending_of(
    kind: str, account: str, routes: Sequence[str] | None, backlog: Mapping[RouteKey, Backlog]
) -> Mapping[str, int]:
    """Return the pending deliveries of an account on these routes, or on all."""
    if kind != "account":
        return {}
    return {
        route: found.pending
        for (owner, route), found in backlog.items()
        if owner == account and (routes is None or route in routes)
    }


# -- mistakes


def find_dangers(before: Iterable[ConfigPart], after: Iterable[ConfigPart]) -> list[str]:
    """Return why a reload is probably a mistake: most accounts would go, or an include entry lost all its files."""
    old, new = list(before), {(part.kind, part.name): part.detail for part in after}
    accounts = [part.name for part in old if part.kind == "account" and part.left_at is None]
    gone = [name for name in accounts if ("account", name) not in new]
    dangers = [
        f"include {part.name}: it matched {len(part.detail['files'])} files, and matches none now"
        for part in old
        if part.kind == "include" and part.detail["files"] and new.get(("include", part.name)) == {"files": []}
    ]
    if 2 * len(gone) > len(accounts):
        dangers.append(f"{len(gone)} of {len(accounts)} accounts would go: {shorten(gone)}")
    return dangers


def shorten(names: Sequence[str]) -> str:
    """Return names as text, at most LISTED of them."""
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def find_reused_names(known: Iterable[ConfigPart], config: Config) -> list[str]:
    """Return the accounts whose name another client had before: nothing of the earlier one must go to the new one.

    It is the same client if a key is the same. An account that never left may also get new keys, within its tenant.
    """
    return [part.name for part in known if part.kind == "account" and is_reused(part, config.accounts.get(part.name))]


def is_reused(part: ConfigPart, account: Account | None) -> bool:
    """Return True if the configured account is another client than the one known by this name."""
    if account is None or not set(part.detail["keys"]).isdisjoint(map(mark_key, account.keys)):
        return False
    return part.left_at is not None or part.detail["tenant"] != account.tenant
