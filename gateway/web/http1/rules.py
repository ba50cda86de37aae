"""Rules of RFC 9110 and 9112 that llhttp leaves to servers: version, target, Host, Transfer-Encoding, Expect."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Mapping

from gateway.errors import GatewayError, MalformedRequest, UnsupportedCoding, UnsupportedVersion

HOST = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+)(?::(\d*))?")
"""RFC 3986 3.2.2, without the comma, which would join two hosts."""
ABSOLUTE_URL = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?]*)")


def find_fault(version: str, target: bytes, headers: Mapping[bytes, bytes]) -> GatewayError | None:
    """Return the error of a request's head, None if it has none. Values of a repeated header are joined by commas."""
    if version not in ("1.1", "1.0"):
        # llhttp gives 0.9 also for a request line without a version.
        return MalformedRequest("Malformed HTTP: no version") if version == "0.9" else UnsupportedVersion()
    if not is_target(target):
        return MalformedRequest("Malformed HTTP: the request target is no URL")
    host = headers.get(b"host")
    if host is None and version == "1.1":
        return MalformedRequest("Malformed HTTP: the header Host is missing")
    if host is not None and not is_host(host):
        return MalformedRequest("Malformed HTTP: expected one header Host with a host name or address")
    coding = headers.get(b"transfer-encoding")
    return find_coding_fault(version, coding.lower()) if coding is not None else None


def find_coding_fault(version: str, coding: bytes) -> GatewayError | None:
    """Return the error of a Transfer-Encoding in lower case (RFC 9112 6.1)."""
    if version == "1.0":
        return MalformedRequest("Malformed HTTP: Transfer-Encoding in HTTP/1.0")
    if coding.strip(b" \t") == b"chunked":
        return None
    *others, last = (each.strip(b" \t") for each in coding.split(b","))
    if last != b"chunked" or b"chunked" in others or not all(others):
        return MalformedRequest("Malformed HTTP: the Transfer-Encoding does not end with one chunked")
    return UnsupportedCoding("The only Transfer-Encoding that is supported is chunked.")


@functools.lru_cache(maxsize=256)  # nearly all requests have one of a few hosts
def is_host(value: bytes) -> bool:
    """Return True for a valid Host: a name, an IPv4 address or a bracketed IPv6 address, and a port or none."""
    found = HOST.fullmatch(value.strip(b" \t"))
    if found is None or int(found[2] or 0) > 65535:
        return False
    try:
        return found[1] is None or bool(ipaddress.IPv6Address(found[1].decode()))
    except ValueError:
        return False


def is_target(target: bytes) -> bool:
    """Return True for ASCII without a fragment. The host of an absolute URL must be valid, as it takes Host's place."""
    if b"#" in target or not target.isascii():
        return False
    if target.startswith(b"/"):
        return True
    absolute = ABSOLUTE_URL.match(target)
    return absolute is None or is_host(absolute[2])


def asks_to_close(headers: Mapping[bytes, bytes]) -> bool:
    """Return True if Connection has the option `close`, which prevails over `keep-alive` (RFC 9112 9.3)."""
    return b"close" in re.split(rb"[ \t]*,[ \t]*", headers.get(b"connection", b"").lower())


def expects_continue(version: str, headers: Mapping[bytes, bytes]) -> bool:
    """Return True if the sender waits for 100 Continue. HTTP/1.0 knows none; unknown expectations are ignored."""
    return b"expect" in headers and version == "1.1" and b"100-continue" in headers[b"expect"].lower()
