"""Answers that an ERP never gives: pages of proxies, and JSON of other products, with the statuses that they have."""

from __future__ import annotations

from typing import Any

from tests.support.stub import Answer

NGINX = """<html>\r
<head><title>{0} {1}</title></head>\r
<body>\r
<center><h1>{0} {1}</h1></center>\r
<hr><center>nginx/1.22.1</center>\r
</body>\r
</html>\r
"""
APACHE = """<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">
<html><head>
<title>{0} {1}</title>
</head><body>
<h1>{1}</h1>
<p>The requested URL was refused.<br />
</p>
</body></html>
"""
HAPROXY = "<html><body><h1>{0} {1}</h1>\nNo server is available to handle this request.\n</body></html>\n"
MAINTENANCE = "<!doctype html>\n<html lang=en>\n<title>Back soon</title>\n<h1>Maintenance</h1>\n<p>Back at 5.</p>\n"
JSON_TYPE = {"Content-Type": "application/json"}

BODIES: dict[str, tuple[Any, dict[str, str]]] = {
    "nginx": (NGINX, {"Server": "nginx/1.22.1"}),
    "apache": (APACHE, {}),
    "haproxy": (HAPROXY, {}),
    "maintenance": (MAINTENANCE, {}),
    "text": ("no healthy upstream", {"Content-Type": "text/plain"}),
    "empty": ("", {}),
    "binary": (b"\x1f\x8b\x00\xff<html>", {"Content-Type": "application/octet-stream"}),
    "a page called JSON": (NGINX, JSON_TYPE),
    "cut JSON": ('{"jsonrpc": "2.0", "id": 1, "res', JSON_TYPE),
    "gateway": ({"message": "no Route matched with those values"}, {}),
    "gateway with a code": ({"statusCode": 401, "message": "Access denied due to missing subscription key."}, {}),
    "framework": ({"timestamp": 1, "status": 404, "error": "Not Found", "message": "", "path": "/"}, {}),
    "status and message": ({"status": 400, "message": "Bad Request"}, {}),
    "named": ({"name": "NotFound", "message": "Page not found", "code": 404, "className": "not-found"}, {}),
    "problem": ({"type": "about:blank", "title": "Forbidden", "status": 403, "detail": "IP not allowed"}, {}),
    "errors": ({"errors": [{"message": "Unauthorized"}]}, {}),
    "another JSON-RPC": ({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "Method not found"}}, {}),
    "text in error": ({"id": 1, "error": "forbidden"}, {}),
    "health": ({"status": "maintenance", "ok": True}, {}),
    "a list": ([1, "a", None], {}),
    "a list of objects": ([{"status": "down"}], {}),
    "records of another product": ([{"id": 1, "type": "incident", "message": "down"}], {}),
    "a number": (7, {}),
}
"""Bodies by kind, with their headers. A text may have the status and a reason in it."""

WITHOUT_BODY = frozenset({204, 205, 304})
STATUSES = (
    *(200, 201, 202, 203, 204, 205, 206),
    *(300, 301, 302, 303, 304, 307, 308),
    *(400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 417, 418, 421, 422, 423, 425),
    *(426, 428, 429, 431, 451, 494, 497, 499),
    *(500, 501, 502, 503, 504, 505, 507, 508, 511, 520, 521, 522, 523, 524, 525, 526, 530, 599),
)


def foreign_answer(status: int, kind: str) -> Answer:
    """Return the answer of a proxy or another product."""
    body, headers = BODIES[kind]
    if isinstance(body, str) and "{0}" in body:
        body = body.format(status, "Some Reason")
    moved = {"Location": "https://elsewhere.example/maintenance.html"} if 300 <= status < 400 else {}
    return Answer(status, "" if status in WITHOUT_BODY else body, {**headers, **moved})
