"""Tells Tryton's own answers from those of a proxy or another server."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.sink import Response, parse_answer

OWN_PAGE = re.compile(
    r"<!doctype html[^>]*>\s*(?:<html lang=en>\s*)?<title>(\d{3}) ([^<]*)</title>\s*<h1>\2</h1>\s*<p>(.*?)</p>\s*",
    re.DOTALL | re.IGNORECASE,
)
"""An error page as the library Werkzeug writes it for Tryton: status, name and text. No usual proxy has this form."""
OWN_REALM = 'realm="Tryton"'
"""In WWW-Authenticate, when JSON-RPC answers 401 with an empty body."""


def own_error(response: Response) -> Mapping[str, Any] | None:
    """Return the JSON of a refusal by REST (JSONBadRequest in trytond/protocols/wrappers.py), else None."""
    body = parse_answer(response)
    known = isinstance(body, dict) and {"message", "description"} <= set(body)
    return body if known and body.get("status") == response.status else None


def own_page(response: Response) -> str | None:
    """Return the text of an error page that Tryton wrote, None for any other answer."""
    if response.status == 401 and not response.body:
        return "" if is_own_challenge(response) else None
    match = OWN_PAGE.fullmatch(response.text.strip())
    if match is None or int(match[1]) != response.status:
        return None
    return html.unescape(match[3])


def is_own(response: Response) -> bool:
    """Return True for an error that Tryton itself answered."""
    return own_error(response) is not None or own_page(response) is not None


def is_own_challenge(response: Response) -> bool:
    """Return True for Tryton's empty 401, also if a proxy has removed its header."""
    challenge = response.headers.get("www-authenticate")
    if challenge is None:
        return response.headers.get("content-type", "").startswith("text/plain")
    return OWN_REALM in challenge


def own_version(body: Any) -> str:
    """Return the version in the answer of common.server.version, "" for another server's answer."""
    version = body.get("result") if isinstance(body, dict) and "id" in body else None
    return version if isinstance(version, str) and re.match(r"\d+\.\d+", version) else ""


def is_row(value: Any) -> bool:
    """Return True for a record of REST or JSON-RPC."""
    return isinstance(value, dict) and isinstance(value.get("id"), int)


def is_rows(value: Any) -> bool:
    return isinstance(value, list) and all(is_row(each) for each in value)


def are_found(value: Any, fields: Sequence[str]) -> bool:
    """Return True for records found by REST. It leaves out fields that the user may not read, but not the model."""
    wanted = {field.partition(".")[0] for field in fields}
    return is_rows(value) and all("__name__" in row or wanted <= set(row) for row in value)


def is_done(value: Any) -> bool:
    """Return True for REST's answer to a write or a button: the record, or the button's own result."""
    return value is None or isinstance(value, int | str) or is_row(value)


def is_rpc(body: Any) -> bool:
    """Return True for the envelope of JSON-RPC with a result, or with an error in Tryton's form: a list."""
    if not isinstance(body, dict) or "id" not in body:
        return False
    error = body.get("error")
    return "result" in body if error is None else isinstance(error, list)
