"""Rights at the admin listener: roles, tokens, and the users that a single sign-on proxy names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import voluptuous as vol

from gateway.config.setting_values import did_you_mean

Role = Literal["operator", "tenant", "account"]
ANYBODY = "*"
"""Name in `users` that stands for every user without an entry."""


@dataclass(frozen=True, slots=True)
class Access:
    """The rights of a person or a program. `name` is recorded with their actions.

    An operator may do and see everything. A tenant may do so with its accounts. An account sees its own data, and may
    only replay.
    """

    name: str
    role: Role
    tenant: str | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A token's rights and the SHA-256 digest of its text."""

    access: Access
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProxyAuth:
    """Sign-on by a proxy. `header` names the user, and is believed from the addresses in `trusted` only."""

    header: str
    trusted: tuple[str, ...]
    users: tuple[Access, ...]

    def find(self, user: str) -> Access | None:
        """Return the rights of a user; None if there is no entry for it."""
        named = {access.name: access for access in self.users}
        found = named.get(user) or named.get(ANYBODY)
        return found and Access(user, found.role, found.tenant, found.account)


# -- validators of these values


def make_access(given: Mapping[str, Any]) -> Access:
    """Return the rights in an entry. Raises Invalid if the role and its scope don't fit."""
    role, scopes = given["role"], ("tenant", "account")
    for scope in scopes:
        if role == scope and scope not in given:
            raise vol.Invalid(f"required, because the role is {role}", path=[scope])
        if role != scope and scope in given:
            raise vol.Invalid(f"only an entry with the role {scope} has one", path=[scope])
    return Access(given["name"], role, given.get("tenant"), given.get("account"))


def make_token(given: Mapping[str, Any]) -> Token:
    """Return the token in an entry."""
    return Token(make_access(given), given["sha256"])


def make_proxy_auth(given: Mapping[str, Any]) -> ProxyAuth:
    """Return the sign-on by a proxy."""
    return ProxyAuth(**given)


def with_unique_names(entries: Sequence[Token | Access]) -> Sequence[Token | Access]:
    """Check that no two entries have one name or one digest: actions would not tell them apart."""
    seen: set[object] = set()
    for index, entry in enumerate(entries):
        access, digest = (entry.access, entry.digest) if isinstance(entry, Token) else (entry, index)
        if access.name in seen:
            raise vol.Invalid(f"the name {access.name!r} is given twice", path=[index])
        if digest in seen:
            raise vol.Invalid("this token is given twice", path=[index])
        seen |= {access.name, digest}
    return entries


def find_unknown(access: Access, tenants: Sequence[str], accounts: Sequence[str]) -> tuple[str, str] | None:
    """Return the setting with a name that the configuration lacks, and the message; None if there is none."""
    for setting, name, known in (("tenant", access.tenant, tenants), ("account", access.account, accounts)):
        if name is not None and name not in known:
            return setting, f"there is no {setting} {name!r}{did_you_mean(name, known)}"
    return None
