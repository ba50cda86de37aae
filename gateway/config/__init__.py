"""The configuration: YAML with `!env`, `!file` and `include` becomes a frozen Config, or every error at once.

`document` reads YAML and knows where each part stands; `schema` is the table of settings; `check` makes problems of
schema errors; `routes` and `load` put the parts together into what `settings` declares.
"""

from gateway.config.changes import changed_routes, enabled_routes, needs_restart
from gateway.config.load import load_config, load_enabled
from gateway.config.schema import settings_table
from gateway.config.settings import Admin, Config, Log, Server, Tls
from gateway.config.starter import Starter, write_starter

__all__ = [
    "Admin",
    "Config",
    "Log",
    "Server",
    "Starter",
    "Tls",
    "changed_routes",
    "enabled_routes",
    "load_config",
    "load_enabled",
    "needs_restart",
    "settings_table",
    "write_starter",
]
