"""URLs, parsed in one place, so that the address that is checked is the address that is called."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from gateway.errors import RetryLater

PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"[a-z0-9._~%!$&'()*+,;=-]+|[0-9a-f:.]+(%[a-z0-9._~-]+)?")
"""A name, or an IPv6 address with its scope. The rest of a Host header's syntax could forge a request."""
KEPT = "%/:=&?~!$'()*+,;@[]"
"""Characters of a path or query that stay as written. All others outside ASCII's letters and digits are escaped."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in parts. `path` includes the query. `authorization` is the header for a user and password in the URL."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    authorization: str = field(default="", repr=False)

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"

    @property
    def place(self) -> str:
        """Return the host and the port, as CONNECT names them."""
        return host_and_port(self.host, self.port)

    @property
    def host_header(self) -> str:
        """Return the value of the Host header, which leaves out the scheme's own port."""
        return bracketed(self.host) if self.port == PORTS[self.scheme] else self.place


def parse_url(url: str) -> Target:
    """Parse an absolute http or https URL. Raises RetryLater without the URL, which may be a secret."""
    try:
        parts = urlsplit(url)
        host = ascii_host(parts.hostname or "")
        port = parts.port or PORTS[parts.scheme]
        query = f"?{quote(parts.query, safe=KEPT)}" if parts.query else ""
        path = quote(parts.path or "/", safe=KEPT) + query
        authorization = basic(parts.username, parts.password)
    except (ValueError, KeyError):
        raise RetryLater("the target's URL is not valid") from None
    if not HOST.fullmatch(host):
        raise RetryLater("the target's URL is not valid")
    return Target(parts.scheme, host, port, path, authorization)


def ascii_host(host: str) -> str:
    """Return a host as the system's resolver has it. Full-width digits become ASCII here, before any check."""
    if ":" in host:
        return host.replace("%25", "%", 1)  # the scope of an IPv6 address (RFC 6874)
    return host if host.isascii() else host.encode("idna").decode().lower()


def basic(user: str | None, password: str | None) -> str:
    """Return the header value of HTTP's Basic scheme, "" without a user."""
    if user is None:
        return ""
    pair = f"{unquote(user)}:{unquote(password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def host_and_port(host: str, port: int) -> str:
    return f"{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    """Return a host for a URL or a header. The scope of an IPv6 address means something on this machine only."""
    return f"[{host.partition('%')[0]}]" if ":" in host else host
