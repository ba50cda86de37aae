"""Loads the main file and the files that it includes as one frozen Config, or reports all errors at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gateway.config.access import find_unknown
from gateway.config.document import BROKEN, Document, Place, read_document
from gateway.config.include import find_includes, show_file
from gateway.config.keys import KeyPlaces
from gateway.config.partial import find_store, tolerate_missing
from gateway.config.route_settings import Plugins, Routes, merge_routes, named, read_routes, secrets_of
from gateway.config.schema import ACCOUNT_SCHEMA, MAIN_ONLY, MAIN_SCHEMA, TENANT_SCHEMA
from gateway.config.setting_values import did_you_mean
from gateway.config.settings import Admin, Config, Include, Log, Server, Tls
from gateway.config.store_url import passwords_of
from gateway.config.validation import pick, validate
from gateway.config.watch_settings import Watches, read_watches
from gateway.errors import ConfigError, Problem
from gateway.keys import hash_key
from gateway.model import Account, Key
from gateway.sink import registry
from gateway.store.contract import Settings

DEFAULT_TENANT = "default"
NO_TEXTS: Mapping[Path, str] = MappingProxyType({})
SECRET_PARTS = {"keys", "options", "store"}
"""Sections in which texts from `!env` and `!file` are secret. Elsewhere a text may be a word like `info`; masking that
would make the log unreadable."""


def load_config(
    path: str | Path,
    environ: Mapping[str, str] = os.environ,
    partial: bool = False,
    texts: Mapping[Path, str] = NO_TEXTS,
) -> Config:
    """Load and check a configuration. Raises ConfigError with all problems by file and line.

    Plugins that can't be loaded are no such problem, as signals can be taken without them: see `plugin_problems`.
    A `partial` load is for commands that need the store and the names of accounts and routes. It tolerates variables
    and files that are not there, except for the store's, and faults in sinks' options. Other errors are in `problems`
    of its result, and what has them is left out, unless they hide the store. `texts` replace the contents of files, by
    their resolved paths: so an edit is checked before it is written.
    """
    main = read_document(Path(path), Path(path).name, environ, partial, texts)
    if main.data is BROKEN:
        raise ConfigError([problem if problem.line else replace(problem, file=str(path)) for problem in main.problems])
    includes = find_includes(main)
    documents = [main, *read_included(main, Path(path), includes, environ, texts)]
    for document in documents if partial else ():
        tolerate_missing(document)
    settings = validate(main, MAIN_SCHEMA, main.data, ())
    if settings is None and partial:
        settings = find_store(main)
    resolve_tls(main, settings)
    accounts = Accounts(find_plugins(main))
    for document in documents:
        accounts.read(document, is_main=document is main)
    if not partial and not any(document.problems for document in documents):
        report_conflicts(main, settings, accounts.accounts)
    problems = [problem for document in documents for problem in document.problems]
    if problems and (not partial or settings is None):
        problems += [problem for document in documents for problem in document.plugin_problems]
        raise ConfigError(in_order(problems))
    secrets = accounts.secrets.union(find_secrets(settings["store"], documents))
    config = make_config(Path(path), settings, accounts, secrets)
    warnings = [warning for document in documents for warning in document.warnings]
    return replace(
        config,
        includes=includes,
        key_places=tuple(accounts.keys.places),
        warnings=tuple(warnings),
        problems=tuple(in_order(problems)),
        plugin_problems=tuple(problem for document in documents for problem in document.plugin_problems),
    )


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.file, problem.line, problem.path))


def load_checked(path: str | Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Load and check a configuration. Raises ConfigError also for plugins that can't be loaded."""
    config = load_config(path, environ)
    if config.plugin_problems:
        raise ConfigError(config.plugin_problems)
    return config


def load_enabled(path: str | Path, environ: Mapping[str, str] = os.environ) -> Mapping[str, registry.Plugin]:
    """Return the plugins that a configuration enables, also broken ones. Other errors in it are ignored.

    Raises ConfigError if the file can't be read.
    """
    main = read_document(Path(path), str(path), environ)
    if main.data is BROKEN:
        raise ConfigError(main.problems)
    return find_plugins(main).loaded


def make_config(path: Path, settings: Any, accounts: Accounts, secrets: Iterable[str]) -> Config:
    store = settings["store"]
    return Config(
        path=path,
        server=Server(**{"tls": None, **settings["server"]}),
        admin=Admin(**settings["admin"]) if "admin" in settings else None,
        store=Settings(store["url"], store["queue"], password=store.get("password", ""), pooler=store["pooler"]),
        retention=store["retention"],
        log=Log(**settings["log"]),
        plugins=tuple(accounts.plugins.loaded),
        loaded=MappingProxyType(dict(accounts.plugins.loaded)),
        accounts=MappingProxyType(accounts.accounts),
        secrets=frozenset(secrets),
    )


# -- included files


def read_included(
    main: Document, path: Path, includes: Iterable[Include], environ: Mapping[str, str], texts: Mapping[Path, str]
) -> Iterator[Document]:
    """Yield the included files, each once."""
    seen = {path.resolve()}
    for include in includes:
        for name in include.files:
            target = path.parent / name
            if target.resolve() not in seen:
                seen.add(target.resolve())
                yield read_document(target, show_file(name, path.parent), environ, main.partial, texts)


# -- parts of the main file


def find_plugins(main: Document) -> Plugins:
    """Load the enabled plugins and report missing ones. A broken plugin is reported at each route that uses it."""
    installed = tuple(registry.installed_plugins())
    given = pick(main.data, ("plugins",))
    names = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    for index, name in enumerate(names):
        if isinstance(name, str) and name.strip() and name not in installed:
            hint = did_you_mean(name, installed)
            place: Place = ("plugins", index) if isinstance(given, list) else ("plugins",)
            main.report_plugin(place, f"no plugin of this name is installed{hint}")
    enabled = tuple(dict.fromkeys(name for name in names if isinstance(name, str)))
    return Plugins(registry.load_plugins(enabled), installed, enabled)


def resolve_tls(main: Document, settings: Any) -> None:
    """Replace the TLS settings by a Tls with paths resolved from the main file, and report unreadable files."""
    given = pick(settings, ("server", "tls"))
    if given is None:
        return
    paths = {name: main.directory / os.path.expanduser(path) for name, path in given.items()}
    settings["server"]["tls"] = Tls(**{name: str(path) for name, path in paths.items()})
    for name, path in paths.items():
        try:
            path.read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            main.report(("server", "tls", name), f"the file can't be read: {reason}")


def report_conflicts(main: Document, settings: Any, accounts: Mapping[str, Account]) -> None:
    """Report contradictions between valid settings."""
    public, private = settings["server"]["listen"], pick(settings, ("admin", "listen")) or ()
    if any(address in public and address.port != 0 for address in private):
        main.report(("admin", "listen"), "must not be the public listener's address")
    open_to_others = [address for address in private if not address.is_private]
    if open_to_others and not (pick(settings, ("admin", "tokens")) or pick(settings, ("admin", "proxy_auth"))):
        message = f"other machines reach {open_to_others[0]}, which has only health and metrics: set tokens for the API"
        main.warn(("admin", "listen"), message)
    report_strangers(main, settings, accounts)
    if not accounts:
        main.report((), "there are no accounts: add some here, or include a tenant's file that has accounts")


def report_strangers(main: Document, settings: Any, accounts: Mapping[str, Account]) -> None:
    """Report tokens and users of tenants and accounts that the configuration lacks."""
    tokens = [token.access for token in pick(settings, ("admin", "tokens")) or ()]
    proxy_auth = pick(settings, ("admin", "proxy_auth"))
    tenants = list(dict.fromkeys(account.tenant for account in accounts.values()))
    for place, entries in (("tokens",), tokens), (("proxy_auth", "users"), proxy_auth.users if proxy_auth else ()):
        for index, entry in enumerate(entries):
            if unknown := find_unknown(entry, tenants, list(accounts)):
                main.report(("admin", *place, index, unknown[0]), unknown[1])


# -- tenants and accounts


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant's name and default routes."""

    name: str
    routes: Routes
    watches: Watches


class Accounts:
    """Collects the accounts of all files, and their secrets. Names of tenants and of accounts must be unique."""

    def __init__(self, plugins: Plugins) -> None:
        self.plugins = plugins
        self.accounts: dict[str, Account] = {}
        self.secrets: set[str] = set()
        self.keys = KeyPlaces()
        self._places: dict[tuple[str, str], str] = {}

    def read(self, document: Document, is_main: bool) -> None:
        """Read a file's tenant. Errors are reported in the document."""
        if not isinstance(document.data, dict):
            if not document.problems:
                document.report((), "expected a mapping (name: value)")
            return
        if not is_main:
            validate(document, TENANT_SCHEMA, without_main_settings(document), ())
        routes = read_routes(document, document.data.get("routes"), ("routes",), self.plugins)
        watches = read_watches(document, document.data.get("watches"), ("watches",), {})
        tenant = Tenant(self._read_tenant(document, is_main), routes, watches)
        if not is_main and not document.data.get("accounts"):
            document.warn((), "the file has no accounts")
        for name, raw, place in named(document, document.data.get("accounts"), ("accounts",)):
            self._claim(document, "account", name, place)
            self._read_account(document, raw, place, tenant)

    def _read_tenant(self, document: Document, is_main: bool) -> str:
        given = document.data.get("tenant")
        if isinstance(given, str):
            self._claim(document, "tenant", given, ("tenant",))
            return given
        if "tenant" not in document.data:
            if not is_main:
                document.report(("tenant",), "required")
            elif document.data.get("accounts"):
                self._claim(document, "tenant", DEFAULT_TENANT, ("accounts",))
        return DEFAULT_TENANT

    def _claim(self, document: Document, what: str, name: str, place: Place) -> None:
        here = f"{document.file}:{document.line(place)}"
        first = self._places.setdefault((what, name), here)
        if first != here:
            document.report(place, f"this {what} is already in {first}; names must be unique")

    def _read_account(self, document: Document, raw: Any, place: Place, tenant: Tenant) -> None:
        spec = validate(document, ACCOUNT_SCHEMA, raw, place)
        own = raw.get("routes") if isinstance(raw, dict) else None
        merged = merge_routes(document, own, (*place, "routes"), self.plugins, tenant.routes)
        given = raw.get("watches") if isinstance(raw, dict) else None
        watches = read_watches(document, given, (*place, "watches"), tenant.watches)
        if spec is None:
            return
        name = str(place[-1])
        keys = tuple(make_key(entry, number) for number, entry in enumerate(spec["keys"], 1))
        self.keys.add(document, (*place, "keys"), name, keys)
        routes = {key: replace(route, account=name, tenant=tenant.name) for key, route in merged.items() if route}
        self.secrets.update(entry["key"] for entry in spec["keys"] if "key" in entry)
        self.secrets.update(secret for route in routes.values() for secret in secrets_of(route))
        self.accounts[name] = Account(
            name=name,
            tenant=tenant.name,
            keys=keys,
            routes=MappingProxyType(routes),
            rate=spec.get("rate"),
            unknown_types=spec["unknown_types"],
            unknown_orders=spec["unknown_orders"],
            incomplete=spec["incomplete"],
            watches=MappingProxyType({name: watch for name, watch in watches.items() if watch}),
        )


def without_main_settings(document: Document) -> dict[str, Any]:
    """Return an included file's data without settings that only the main file may have; these are reported."""
    misplaced = {setting.name for setting in MAIN_ONLY} & document.data.keys()
    for name in misplaced:
        document.report((name,), f"only the main file may have {name!r}")
    return {name: value for name, value in document.data.items() if name not in misplaced}


def make_key(entry: Mapping[str, Any], number: int) -> Key:
    digest = hash_key(entry["key"]) if "key" in entry else entry["sha256"]
    return Key(digest, entry.get("label", f"key-{number}"), entry.get("expires"))


def find_secrets(store: Mapping[str, Any], documents: list[Document]) -> Iterator[str]:
    for document in documents:
        yield from (text for place, text in document.texts.items() if SECRET_PARTS.intersection(place))
    yield from passwords_of(store["url"])
    if password := store.get("password"):
        yield password
