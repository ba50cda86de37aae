"""The URL of the store: its validator, and the passwords in it. Messages never contain the value."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, unquote

import voluptuous as vol

from gateway.validators import ON_FILE, shaped

EXPECTED = "expected sqlite:///path/to.db or postgresql://user@host/database"
ENCODE = "write special characters of a user or password as %XX (@ is %40, [ is %5B, / is %2F), or use store.password"

POSTGRES_URL = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^/?#]*)@)?(?P<hosts>[^/?#@]*)/(?P<name>[^/?#]+)(?:\?(?P<query>[^#]*))?"
)
HOST = re.compile(r"(?:\[([^\]]*)\]|[^:\[\]]*)(?::(\d{1,5}))?")


@shaped(type="string", pattern=rf"^(sqlite:///[^?#]+|postgres(ql)?://\S+|{ON_FILE})$")
def store_url(value: object) -> str:
    """URL of an SQLite file or a PostgreSQL database. Of several hosts, the one that accepts writes is used."""
    given = value if isinstance(value, str) else ""
    if re.search(r"[\x00-\x1f\x7f]", given):
        raise vol.Invalid(f"{EXPECTED}, without control characters")
    if re.match(r"sqlite:///[^?#]", given):
        return given
    if re.match(r"postgres(ql)?\+\w+://", given):
        raise vol.Invalid(f"{EXPECTED}, without the name of a driver")
    if re.match(r"postgres(ql)?://", given):
        check_postgres_url(given)
        return re.sub(r"^postgres://", "postgresql://", given)
    raise vol.Invalid(EXPECTED)


def check_postgres_url(given: str) -> None:
    """Raise vol.Invalid for a URL that libpq would refuse, or would read in another way than it was meant."""
    if re.search(r"%(?![0-9A-Fa-f]{2})|%00", given):
        raise vol.Invalid(f"a % is not followed by two hex digits; {ENCODE}")
    url = POSTGRES_URL.fullmatch(given)
    if url is None:
        raise vol.Invalid(f"{EXPECTED}; {ENCODE}" if "@" in given else EXPECTED)
    if re.search(r"[@\[\]\s]", url["user"] or ""):
        raise vol.Invalid(ENCODE)
    if re.search(r"\s", given):
        raise vol.Invalid(f"{EXPECTED}, without spaces")
    hosts = [HOST.fullmatch(host) for host in url["hosts"].split(",")]
    if not all(host and is_host(host) for host in hosts):
        raise vol.Invalid(f"{EXPECTED}; an IPv6 address is written [::1], and a port is a number from 1 to 65535")


def is_host(host: re.Match[str]) -> bool:
    """Return True if a bracketed host is an IPv6 address, and a port is possible."""
    try:
        ipaddress.IPv6Address(unquote(host[1]) if host[1] is not None else "::1")
    except ValueError:
        return False
    return 0 < int(host[2] or 5432) < 65536


def passwords_of(url: str) -> Iterator[str]:
    """Yield each password in a URL, as it is written and decoded."""
    found = POSTGRES_URL.fullmatch(url)
    if found is None:
        return
    _, _, password = (found["user"] or "").partition(":")
    for text in (password, *parse_qs(found["query"] or "").get("password", ())):
        if text:
            yield from (text, unquote(text))
