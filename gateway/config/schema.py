"""The settings: one table per section, with validator, default and meaning.

The voluptuous schemas and the settings table of config/README.md are made of these tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import voluptuous as vol

from gateway.config import access
from gateway.config import setting_values as values
from gateway.config.store_url import store_url
from gateway.validators import ListOf, duration, flag, one_of


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting. `default` is written as in YAML; it is None if the setting is `required` or may be left out.

    `otherwise` names the effect of leaving it out, for the settings table.
    """

    name: str
    check: Any
    meaning: str
    default: Any = None
    required: bool = False
    otherwise: str = "none"

    @property
    def marker(self) -> vol.Marker:
        if self.required:
            return vol.Required(self.name, description=self.meaning)
        default = vol.UNDEFINED if self.default is None else self.default
        return vol.Optional(self.name, default=default, description=self.meaning)

    @property
    def shown_default(self) -> str:
        if self.required:
            return "required"
        shown = {True: "true", False: "false"}.get(self.default) if isinstance(self.default, bool) else self.default
        return self.otherwise if shown is None else f"`{shown}`"


def section(settings: Sequence[Setting]) -> Any:
    """Return the voluptuous schema of a mapping with these settings and no others."""
    return vol.All(values.mapping, {setting.marker: setting.check for setting in settings})


TLS = (
    Setting("certificate", values.text, "PEM file with the certificate and its chain", required=True),
    Setting("private_key", values.text, "PEM file with the certificate's private key", required=True),
)
SERVER = (
    Setting(
        "listen",
        values.addresses,
        "address of the public listener, or a list: `host:port`, where port 0 means any free port and `[::]` both IPv6 "
        "and IPv4, or `unix:/path`",
        "127.0.0.1:8080",
    ),
    Setting(
        "public_url",
        values.public_url,
        "the URL at which senders reach the public listener, such as `https://hooks.example.com`; endpoints are shown "
        "with it",
        otherwise="endpoints are shown as paths",
    ),
    Setting("socket_mode", values.socket_mode, "mode of Unix sockets: who may connect to them", "0660"),
    Setting("tls", section(TLS), "serve HTTPS", otherwise="plain HTTP"),
    Setting(
        "trusted_proxies",
        ListOf(values.network),
        "addresses or networks of proxies; only from them is the sender's address taken from `forwarded_header`",
        [],
    ),
    Setting(
        "forwarded_header",
        one_of("x-forwarded-for", "forwarded", "x-real-ip"),
        "the header in which trusted proxies give the sender's address; others could be forged: x-forwarded-for, "
        "forwarded (RFC 7239) or x-real-ip",
        "x-forwarded-for",
    ),
    Setting("max_body", values.whole(1024, 16 << 20), "longest body of a request, in bytes", 65536),
    Setting(
        "bad_keys_per_minute",
        values.whole(1, 1_000_000),
        "wrong keys that an address, or an IPv6 /64, may send per minute; further ones are answered 429",
        60,
    ),
    Setting(
        "max_connections",
        values.whole(1, 1_000_000),
        "open connections; at this number, idle ones are closed for new ones. The process's limit of open files may "
        "lower it",
        2048,
    ),
    Setting(
        "max_connections_per_address",
        values.whole(1, 1_000_000),
        "open connections of one address, or of one IPv6 /64; trusted proxies have no such limit",
        512,
    ),
    Setting(
        "idle_timeout",
        values.at_least_a_second,
        "time after which an idle connection of either listener is closed; longer than that of a proxy before it",
        "75s",
    ),
    Setting("grace", duration, "time for running deliveries to end at a shutdown", "10s"),
)
SCOPE = (
    Setting(
        "role",
        one_of("operator", "tenant", "account"),
        "`operator` sees and does everything, `tenant` with its accounts; `account` sees its own and may only replay",
        required=True,
    ),
    Setting("tenant", values.text, "with the role `tenant`: the tenant's name"),
    Setting("account", values.text, "with the role `account`: the account's name"),
)
TOKEN = (
    Setting("name", values.label, "who uses the token; recorded with what it does", required=True),
    Setting(
        "sha256", values.sha256, "SHA-256 digest of the token, as `cloudsignal tokens new` prints it", required=True
    ),
    *SCOPE,
)
USER = (
    Setting("name", values.label, "the user's name in the header; `'*'` for everybody else", required=True),
    *SCOPE,
)
PROXY_AUTH = (
    Setting("header", values.header, "the header in which the proxy gives the user's name", "x-forwarded-user"),
    Setting(
        "trusted",
        ListOf(values.network, least=1),
        "addresses or networks of the proxy; from others the header is not believed",
        required=True,
    ),
    Setting(
        "users",
        vol.All(ListOf(vol.Schema(vol.All(section(USER), access.make_access)), least=1), access.with_unique_names),
        "users and their roles",
        required=True,
    ),
)
ADMIN = (
    Setting(
        "listen",
        values.addresses,
        "address of the admin listener, or a list, as in `server.listen`; keep it private",
        "127.0.0.1:8081",
    ),
    Setting("socket_mode", values.socket_mode, "mode of Unix sockets: who may connect to them", "0660"),
    Setting(
        "tokens",
        vol.All(ListOf(vol.Schema(vol.All(section(TOKEN), access.make_token))), access.with_unique_names),
        "who may use the API; without tokens and `proxy_auth` there is none",
        [],
    ),
    Setting(
        "proxy_auth",
        vol.All(section(PROXY_AUTH), access.make_proxy_auth),
        "take users from a header of a single sign-on proxy",
        otherwise="tokens only",
    ),
)
STORE = (
    Setting(
        "url",
        store_url,
        "`sqlite:///path` (relative to the working directory), or `postgresql://user@host/db` with libpq's options",
        "sqlite:///data/gateway.db",
    ),
    Setting(
        "password", values.text, "password for PostgreSQL, usually `!file PATH` or `!env NAME`, if the URL has none"
    ),
    Setting(
        "pooler",
        flag,
        "`true` for PostgreSQL behind a transaction pooler such as pgbouncer: no prepared statements, no LISTEN",
        False,
    ),
    Setting(
        "retention",
        values.retention,
        "how long finished signals are kept; at least `7d`, because the sender repeats a signal for 7 days",
        "90d",
    ),
    Setting(
        "queue", values.whole(1, 1_000_000), "writes that may wait at a time; further requests are answered 503", 10_000
    ),
)
LOG = (
    Setting("format", one_of("json", "console"), "`json`, or `console` to read in a terminal", "json"),
    Setting(
        "level",
        one_of("debug", "info", "warning", "error", "critical"),
        "lowest level that is logged",
        "info",
    ),
)
RETRY = (
    Setting("first", duration, "upper bound of the first wait; each wait is random, from 0 to its upper bound", "5s"),
    Setting("factor", values.at_least_one, "the upper bound is multiplied by this after each failure", 2),
    Setting("cap", duration, "largest upper bound", "1h"),
    Setting("give_up_after", duration, "age at which a delivery becomes a dead letter", "7d"),
)
ROUTE = (
    Setting("sink", values.text, "name of the plugin that delivers", required=True),
    Setting(
        "signals",
        ListOf(values.signal_type, least=1),
        "signal types to deliver; `'*'` means all types, also unknown ones",
        otherwise="the sink's own",
    ),
    Setting("options", values.mapping, "options of the sink; see the plugin's README", {}),
    Setting("enabled", flag, "`false` keeps the route, but sends it no signals", True),
    Setting("concurrency", values.whole(1, 1000), "deliveries at a time", otherwise="the sink's own"),
    Setting("rate", values.positive, "deliveries per second at most", otherwise="no limit"),
    Setting("retry", section(RETRY), "how failures are retried", {}),
    Setting(
        "order",
        one_of("lane", "none"),
        "`lane`: deliveries of one order in sequence; `none`: all in parallel",
        otherwise="the sink's own",
    ),
)
KEY = (
    Setting("key", values.key_text, "the key, usually `!env NAME` (or `sha256`)"),
    Setting("sha256", values.sha256, "SHA-256 digest of the key, as `cloudsignal keys hash` prints it"),
    Setting("label", values.label, "name of the key in logs", otherwise="key-1, key-2, …"),
    Setting("expires", values.moment, "end of the key's validity (ISO 8601 with offset)", otherwise="never"),
)

WATCH = (
    Setting(
        "after",
        values.vendor_type,
        "lateness: the signal type that begins the time",
        otherwise="the watch is for silence",
    ),
    Setting("expect", values.stage_type, "the type that must follow; one that is further along counts too"),
    Setting(
        "within",
        values.at_least_a_second,
        "the time from the one to the other, such as `48h`; after a print error, the `delay` that the printer tells "
        "counts if there is one",
    ),
    Setting(
        "silent_for",
        values.silence,
        "silence: the time without any signal, such as `3d`, or `auto`: learned from the account's own rhythm",
        otherwise="the watch is for lateness",
    ),
    Setting("enabled", flag, "`false` switches the watch off", True),
)


class KeyEntry:
    """An entry of `keys`: the text of a key, or a mapping with the text or its digest."""

    schema = vol.Schema(section(KEY))

    def json_shape(self, convert: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Return the entry's form as JSON Schema."""
        one = {"oneOf": [{"required": ["key"]}, {"required": ["sha256"]}]}
        return {"anyOf": [convert(values.key_text), {**convert(self.schema), "type": "object", **one}]}

    def __call__(self, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            return {"key": values.key_text(value)}
        entry: dict[str, Any] = self.schema(value)
        if ("key" in entry) == ("sha256" in entry):
            raise vol.Invalid("expected either key or sha256")
        return entry


ACCOUNT = (
    Setting(
        "keys",
        ListOf(KeyEntry(), least=1),
        "valid Webhook API keys; several while a key is being replaced",
        required=True,
    ),
    Setting(
        "routes",
        values.mapping,
        "routes of this account, beside the tenant's; one of the same name replaces the tenant's",
        {},
    ),
    Setting(
        "watches",
        values.mapping,
        "watches of this account, beside the tenant's; one of the same name replaces the tenant's",
        {},
    ),
    Setting(
        "rate", values.positive, "signals per second at most; further requests are answered 429", otherwise="no limit"
    ),
    Setting(
        "unknown_types",
        one_of("accept", "reject"),
        "`accept` or `reject` signals of types that the gateway does not know",
        "accept",
    ),
    Setting(
        "unknown_orders",
        one_of("accept", "hold"),
        "`hold`: hold signals of unknown orders, and deliver them when the order becomes known",
        "accept",
    ),
    Setting(
        "incomplete",
        one_of("accept", "reject"),
        "`accept` or `reject` signals whose required parameters are missing, null or empty",
        "reject",
    ),
)
TENANT = (
    Setting(
        "tenant",
        values.name,
        "name of the tenant whose accounts are in this file",
        otherwise="`default` in the main file",
    ),
    Setting("routes", values.mapping, "default routes of all accounts of the tenant", {}),
    Setting("watches", values.mapping, "default watches of all accounts of the tenant", {}),
    Setting("accounts", values.mapping, "accounts by name; the name is the end of the endpoint's URL", {}),
)
MAIN_ONLY = (
    Setting("server", section(SERVER), "the public listener", {}),
    Setting("admin", section(ADMIN), "the listener for API, /metrics and /readyz", otherwise="no such listener"),
    Setting("store", section(STORE), "the database with all signals", {}),
    Setting("log", section(LOG), "the log, written to stderr", {}),
    Setting("plugins", ListOf(values.text), "plugins that routes may use; others are not imported", []),
    Setting(
        "include", ListOf(values.text), "tenant files; a pattern may match no file, but a plain name must exist", []
    ),
)
MAIN_SCHEMA = vol.Schema(section((*MAIN_ONLY, *TENANT)))
TENANT_SCHEMA = vol.Schema(section(TENANT))
ROUTE_SCHEMA = vol.Schema(section(ROUTE))
WATCH_SCHEMA = vol.Schema(section(WATCH))
ACCOUNT_SCHEMA = vol.Schema(section(ACCOUNT))

SECTIONS: Mapping[str, Sequence[Setting]] = {
    "": (*MAIN_ONLY, *TENANT),
    "server": SERVER,
    "server.tls": TLS,
    "admin": ADMIN,
    "admin.tokens[]": TOKEN,
    "admin.proxy_auth": PROXY_AUTH,
    "admin.proxy_auth.users[]": USER,
    "store": STORE,
    "log": LOG,
    "routes.<route>": ROUTE,
    "routes.<route>.retry": RETRY,
    "watches.<watch>": WATCH,
    "accounts.<account>": ACCOUNT,
    "accounts.<account>.keys[]": KEY,
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the settings table; as text, a row of a Markdown table."""

    path: str
    default: str
    meaning: str

    def __str__(self) -> str:
        return f"| `{self.path}` | {self.default} | {self.meaning} |"


def settings_table() -> list[Row]:
    """Return every setting that has a value. Settings that only group others are left out."""
    return [
        Row(f"{prefix}.{setting.name}".removeprefix("."), setting.shown_default, setting.meaning)
        for prefix, settings in SECTIONS.items()
        for setting in settings
        if setting.default != {} or setting.name in ("routes", "watches", "accounts", "options")
    ]
