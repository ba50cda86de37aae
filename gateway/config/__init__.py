"""The configuration: YAML with `!env`, `!file` and `include` becomes a frozen Config, or a list of all errors.

`document` reads YAML with line numbers. `schema` is the table of settings, with validators from `setting_values`.
`validation` converts schema errors to problems. `route_settings` and `load` assemble the values declared in `settings`.
"""

from gateway.config.access import Access, ProxyAuth, Token
from gateway.config.changes import changed_routes, enabled_routes, fixed_settings, needs_restart
from gateway.config.keys import find_ended_accounts, find_key_ends, review
from gateway.config.load import load_checked, load_config, load_enabled
from gateway.config.schema import settings_table
from gateway.config.setting_values import Address
from gateway.config.settings import Admin, Config, Log, Server, Tls
from gateway.config.starter import Starter, write_starter

__all__ = [
    "Access",
    "Address",
    "Admin",
    "Config",
    "Log",
    "ProxyAuth",
    "Server",
    "Starter",
    "Tls",
    "Token",
    "changed_routes",
    "enabled_routes",
    "find_ended_accounts",
    "find_key_ends",
    "fixed_settings",
    "load_checked",
    "load_config",
    "load_enabled",
    "needs_restart",
    "review",
    "settings_table",
    "write_starter",
]
