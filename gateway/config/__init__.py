"""The configuration: YAML with `!env`, `!file` and `include` becomes a frozen Config, or a list of all errors.

`document` reads YAML with line numbers. `schema` is the table of settings, with validators from `setting_values`.
`editing` changes accounts in the files, which keep their comments.
`validation` converts schema errors to problems. `route_settings` and `load` assemble the values declared in `settings`.
"""

from gateway.config.access import Access, ProxyAuth, Token
from gateway.config.account_edits import add_account, key_line, remove_account, rotate_keys
from gateway.config.changes import changed_routes, enabled_routes, fixed_settings, needs_restart
from gateway.config.editing import Edit, check_edit, edit_account, edit_tenant, write_edit
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
    "Edit",
    "Log",
    "ProxyAuth",
    "Server",
    "Starter",
    "Tls",
    "Token",
    "add_account",
    "changed_routes",
    "check_edit",
    "edit_account",
    "edit_tenant",
    "enabled_routes",
    "find_ended_accounts",
    "find_key_ends",
    "fixed_settings",
    "key_line",
    "load_checked",
    "load_config",
    "load_enabled",
    "needs_restart",
    "remove_account",
    "review",
    "rotate_keys",
    "settings_table",
    "write_edit",
    "write_starter",
]
