"""Tells Odoo's own answers from those of a proxy or another server."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

OLDEST_VERSION = 17
OWN_MODULES = ("odoo.", "builtins.", "psycopg2.", "werkzeug.")
"""Modules of the exceptions that Odoo itself raises; an addon may raise its own."""


def own_error(body: Any) -> Mapping[str, Any] | None:
    """Return the body if it has the form of an exception in Odoo (serialize_exception in odoo/http.py), else None."""
    name = body.get("name") if isinstance(body, dict) else None
    if not isinstance(name, str):
        return None
    return body if name.startswith(OWN_MODULES) or {"arguments", "debug"} <= set(body) else None


def own_version(body: Any) -> str:
    """Return the version that Odoo gives, such as "19.0"; "" for another server's answer."""
    fields = body if isinstance(body, dict) else {}
    version = str(fields.get("version") or fields.get("server_version") or "")
    # Many products give a `version`, but a number as high as Odoo's, or its list beside it, is rare.
    known = isinstance(fields.get("version_info") or fields.get("server_version_info"), list)
    return version if known or version_number(version) >= OLDEST_VERSION else ""


def version_number(version: str) -> int:
    """Return 19 for "19.0" and for "saas~19.2", 0 for text without a number."""
    match = re.search(r"\d+", version)
    return int(match[0]) if match else 0


def is_rpc(body: Any) -> bool:
    """Return True for a JSON-RPC envelope with a result, or with an error that is Odoo's own."""
    if not isinstance(body, dict):
        return False
    if error := body.get("error"):
        return isinstance(error, dict) and own_error(error.get("data")) is not None
    # Odoo leaves out a result that is None.
    return body.get("jsonrpc") == "2.0"


def is_result(method: str, params: Mapping[str, Any], result: Any) -> bool:
    """Return True if the method may return this result. A write with another product's answer is not done."""
    if method in {"search_read", "read"}:
        return is_rows(result, params["fields"])
    return RESULTS.get(method, is_wizard)(result)


def is_wizard(result: Any) -> bool:
    """Return True for the result of a button: true, nothing, or an action for the web client such as a wizard."""
    return result in (True, False, None) or (isinstance(result, dict) and not {"type", "res_model"}.isdisjoint(result))


def is_rows(result: Any, fields: Sequence[str]) -> bool:
    """Return True for records with these fields: Odoo leaves out none, and gives the id too."""
    wanted = {"id", *fields}
    return isinstance(result, list) and all(isinstance(row, dict) and wanted <= set(row) for row in result)


def is_made(result: Any) -> bool:
    """Return True for new records: an id or a list of ids on 19, `mail.activity(5,)` on 17."""
    if isinstance(result, str):
        return result.startswith("mail.")
    return bool(result) and isinstance(result, int | list)


RESULTS: Mapping[str, Callable[[Any], bool]] = {
    "fields_get": lambda result: isinstance(result, dict) and all(isinstance(each, dict) for each in result.values()),
    "has_access": lambda result: isinstance(result, bool),
    "check_access_rights": lambda result: isinstance(result, bool),
    "has_group": lambda result: isinstance(result, bool),
    "context_get": lambda result: isinstance(result, dict) and isinstance(result.get("uid"), int),
    "write": lambda result: result is True,
    "message_post": is_made,
    "activity_schedule": is_made,
}
"""The forms of the results of the methods that the sink calls."""
