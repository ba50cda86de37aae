"""The settings: one table a section, with check, default and meaning. The schemas and the README's table come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import voluptuous as vol

from gateway.config import values
from gateway.validators import ListOf, duration, flag, one_of


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting: `default` as the YAML would have it, None where leaving it out is a choice of its own, or wrong
    (`required`). `otherwise` tells the reader what goes in its place then."""

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
    """The voluptuous schema of a mapping with these settings and no others."""
    return vol.All(values.mapping, {setting.marker: setting.check for setting in settings})


TLS = (
    Setting("certificate", values.text, "PEM file with the certificate and its chain", required=True),
    Setting("private_key", values.text, "PEM file with the certificate's private key", required=True),
)
SERVER = (
    Setting("listen", values.address, "address of the public listener; port 0 is any free one", "127.0.0.1:8080"),
    Setting("tls", section(TLS), "serve HTTPS", otherwise="plain HTTP"),
    Setting(
        "trusted_proxies",
        ListOf(values.network),
        "addresses or networks whose X-Forwarded-For is believed",
        [],
    ),
    Setting("max_body", values.whole(1024, 16 << 20), "bytes that a request's body may have", 65536),
    Setting(
        "bad_keys_per_minute",
        values.whole(1, 1_000_000),
        "requests with a wrong key that an address may send before it is answered 429",
        60,
    ),
    Setting("grace", duration, "time that running deliveries get at a shutdown", "10s"),
)
ADMIN = (Setting("listen", values.address, "address of the admin listener; keep it private", "127.0.0.1:8081"),)
STORE = (
    Setting(
        "url",
        values.store_url,
        "`sqlite:///path` (relative to the working directory), or `postgresql://user@host/db` with libpq's options",
        "sqlite:///data/gateway.db",
    ),
    Setting("password", values.text, "PostgreSQL's, usually `!file PATH` or `!env NAME`, where the URL has none"),
    Setting(
        "pooler",
        flag,
        "`true` where a transaction pooler such as pgbouncer stands before PostgreSQL: nothing is prepared, no LISTEN",
        False,
    ),
    Setting(
        "retention",
        values.retention,
        "how long what is done with is kept; at least `7d`, for so long the sender repeats a signal",
        "90d",
    ),
    Setting("queue", values.whole(1, 1_000_000), "writes that may wait; beyond, requests are answered 503", 10_000),
)
LOG = (
    Setting("format", one_of("json", "console"), "`json`, or `console` for people", "json"),
    Setting(
        "level",
        one_of("debug", "info", "warning", "error", "critical"),
        "the least level that is written",
        "info",
    ),
)
RETRY = (
    Setting("first", duration, "ceiling of the first wait; each wait is drawn between 0 and its ceiling", "5s"),
    Setting("factor", values.at_least_one, "what the ceiling is multiplied by after each failure", 2),
    Setting("cap", duration, "the highest ceiling", "1h"),
    Setting("give_up_after", duration, "age at which a delivery becomes a dead letter", "7d"),
)
ROUTE = (
    Setting("sink", values.text, "the plugin that delivers", required=True),
    Setting(
        "signals",
        ListOf(values.signal_type, least=1),
        "signal types to deliver; `'*'` is every type, unknown ones too",
        otherwise="the sink's own",
    ),
    Setting("options", values.mapping, "the sink's settings; see the plugin's README", {}),
    Setting("enabled", flag, "`false` keeps the route and gives it nothing", True),
    Setting("concurrency", values.whole(1, 1000), "deliveries at a time", otherwise="the sink's own"),
    Setting("rate", values.positive, "deliveries per second", otherwise="no limit"),
    Setting("retry", section(RETRY), "how failures are retried", {}),
    Setting(
        "order",
        one_of("lane", "none"),
        "`lane`: one order's deliveries one after the other; `none`: as they come",
        otherwise="the sink's own",
    ),
)
KEY = (
    Setting("key", values.key_text, "the key, usually `!env NAME` (or `sha256`)"),
    Setting("sha256", values.sha256, "the key's SHA-256 digest, as `cloudsignal keys hash` prints it"),
    Setting("label", values.label, "what logs call the key", otherwise="key-1, key-2, …"),
    Setting("expires", values.moment, "when it ends (ISO 8601 with offset)", otherwise="never"),
)


class KeyEntry:
    """An entry of `keys`: the key's text, or a mapping that has it or its digest."""

    schema = vol.Schema(section(KEY))

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
        "the Webhook API keys that are right; several while one is being replaced",
        required=True,
    ),
    Setting("routes", values.mapping, "routes beside the tenant's, or in place of those of the same name", {}),
    Setting("rate", values.positive, "signals per second; beyond, requests are answered 429", otherwise="no limit"),
    Setting("unknown_types", one_of("accept", "reject"), "what to do with types the gateway lacks", "accept"),
    Setting(
        "unknown_orders",
        one_of("accept", "hold"),
        "`hold`: keep signals of orders not yet made known, and deliver them once they are",
        "accept",
    ),
)
TENANT = (
    Setting("tenant", values.name, "the tenant of this file's accounts", otherwise="`default` in the main file"),
    Setting("routes", values.mapping, "default routes of each of the tenant's accounts", {}),
    Setting("accounts", values.mapping, "the accounts, by name: it is the end of the endpoint's URL", {}),
)
MAIN_ONLY = (
    Setting("server", section(SERVER), "the public listener", {}),
    Setting("admin", section(ADMIN), "the listener for /metrics and /readyz", otherwise="no such listener"),
    Setting("store", section(STORE), "where signals are kept", {}),
    Setting("log", section(LOG), "what is logged, to stderr", {}),
    Setting("plugins", ListOf(values.text), "sinks that routes may use; no other plugin is imported", []),
    Setting("include", ListOf(values.text), "tenant files; a pattern may match none, a plain name must be there", []),
)
MAIN_SCHEMA = vol.Schema(section((*MAIN_ONLY, *TENANT)))
TENANT_SCHEMA = vol.Schema(section(TENANT))
ROUTE_SCHEMA = vol.Schema(section(ROUTE))
ACCOUNT_SCHEMA = vol.Schema(section(ACCOUNT))

SECTIONS: Mapping[str, Sequence[Setting]] = {
    "": (*MAIN_ONLY, *TENANT),
    "server": SERVER,
    "server.tls": TLS,
    "admin": ADMIN,
    "store": STORE,
    "log": LOG,
    "routes.<route>": ROUTE,
    "routes.<route>.retry": RETRY,
    "accounts.<account>": ACCOUNT,
    "accounts.<account>.keys[]": KEY,
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the settings reference; as text, a row of a Markdown table."""

    path: str
    default: str
    meaning: str

    def __str__(self) -> str:
        return f"| `{self.path}` | {self.default} | {self.meaning} |"


def settings_table() -> list[Row]:
    """Every setting that stands for a value; those that only hold others are told by these."""
    return [
        Row(f"{prefix}.{setting.name}".removeprefix("."), setting.shown_default, setting.meaning)
        for prefix, settings in SECTIONS.items()
        for setting in settings
        if setting.default != {} or setting.name in ("routes", "accounts", "options")
    ]
