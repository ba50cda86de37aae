"""The configuration as frozen values, resolved once when it is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config.access import ProxyAuth, Token
from gateway.config.setting_values import Address
from gateway.errors import Problem
from gateway.model import Account, Key, Route, RouteKey
from gateway.sink.registry import Plugin
from gateway.store.contract import Settings


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of PEM files. Both were readable when the config was loaded."""

    certificate: str
    private_key: str


@dataclass(frozen=True, slots=True)
class Server:
    """The public listener. `socket_mode` is a file's mode, `max_body` in bytes, times are in seconds."""

    listen: tuple[Address, ...]
    socket_mode: int
    tls: Tls | None
    trusted_proxies: tuple[str, ...]
    forwarded_header: str
    max_body: int
    bad_keys_per_minute: int
    max_connections: int
    max_connections_per_address: int
    idle_timeout: float
    grace: float
    public_url: str = ""


@dataclass(frozen=True, slots=True)
class Admin:
    """The private listener. `socket_mode` is a file's mode. Without `tokens` and `proxy_auth` there is no API."""

    listen: tuple[Address, ...]
    socket_mode: int = 0o660
    tokens: tuple[Token, ...] = ()
    proxy_auth: ProxyAuth | None = None

    @property
    def has_api(self) -> bool:
        """Return True if anybody may use the API."""
        return bool(self.tokens or self.proxy_auth)


@dataclass(frozen=True, slots=True)
class Log:
    """`format` is json or console, `level` one of debug, info, warning, error, critical."""

    format: str
    level: str


@dataclass(frozen=True, slots=True)
class Include:
    """An entry of `include`, and the files that it names or matches, relative to the main file's directory."""

    pattern: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """A key of an account, and its place in the files: the index in `keys`, the file and the line."""

    account: str
    key: Key
    index: int
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration. `retention` is in seconds; `loaded` has all enabled plugins, also broken ones.

    `secrets` are the texts that must never appear in a log: keys, secret options, and texts from `!env` and `!file`
    for keys, options and the store. `warnings` are findings that are no errors, see also `check_keys`.
    `problems` are errors that a partial load tolerated. `plugin_problems` are plugins that can't be loaded, and their
    routes: a gateway serves without them.
    """

    path: Path
    server: Server
    admin: Admin | None
    store: Settings = field(repr=False)  # its URL may contain a password
    retention: float
    log: Log
    plugins: tuple[str, ...]
    loaded: Mapping[str, Plugin] = field(repr=False)
    accounts: Mapping[str, Account] = field(repr=False)
    secrets: frozenset[str] = field(repr=False)
    includes: tuple[Include, ...] = ()
    key_places: tuple[KeyPlace, ...] = field(default=(), repr=False)
    warnings: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    plugin_problems: tuple[Problem, ...] = ()

    def endpoint(self, account: str) -> str:
        """Return the URL to which an account's signals are sent; its path only, without `server.public_url`."""
        return f"{self.server.public_url}/signals/{account}"

    @property
    def tenants(self) -> Mapping[str, Sequence[Account]]:
        """The accounts of each tenant, in the config's order."""
        tenants: dict[str, list[Account]] = {}
        for account in self.accounts.values():
            tenants.setdefault(account.tenant, []).append(account)
        return tenants

    @property
    def routes(self) -> Mapping[RouteKey, Route]:
        """Return every route of every account, enabled or not, in the config's order."""
        routes = (route for account in self.accounts.values() for route in account.routes.values())
        return {(route.account, route.name): route for route in routes}
