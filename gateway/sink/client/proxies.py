"""The proxies that the environment names: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, also in lower case."""

from __future__ import annotations

import contextlib
import ipaddress
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from gateway.errors import Misconfigured, RetryLater
from gateway.sink.client.url import PORTS, Target, parse_url


class Proxies:
    """A proxy for each scheme, and the hosts that are called without one."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = dict(settings)
        self._without = [word.strip() for word in settings.get("no", "").split(",") if word.strip()]

    @classmethod
    def from_environment(cls) -> Proxies:
        """Read the environment. Under CGI, where senders choose HTTP_PROXY, the standard library ignores it."""
        return cls(urllib.request.getproxies_environment())

    def find(self, target: Target) -> Target | None:
        """Return the proxy for a target, None for a direct connection. Raises Misconfigured for an unknown kind."""
        url = self._settings.get(target.scheme) or self._settings.get("all")
        if not url or self._is_without(target):
            return None
        variable = f"{target.scheme.upper()}_PROXY"
        url = url if "://" in url else f"http://{url}"
        if urlsplit(url).scheme not in PORTS:
            raise Misconfigured(f"the proxy in {variable} is not an http or https URL, the kinds that are supported")
        try:
            return parse_url(url)
        except RetryLater:
            raise Misconfigured(f"the proxy in {variable} is not a valid URL") from None

    def _is_without(self, target: Target) -> bool:
        return any(covers(word, target) for word in self._without)


def covers(word: str, target: Target) -> bool:
    """Return True if an entry of NO_PROXY covers a target.

    An entry is a domain, which covers its subdomains, an address, a network such as 10.0.0.0/8, or `*`. It may end
    with a port.
    """
    if word == "*":
        return True
    word = word.lower()
    if word.endswith(f":{target.port}") and (word.count(":") == 1 or "]" in word):
        word = word.rpartition(":")[0]
    with contextlib.suppress(ValueError):
        network = ipaddress.ip_network(word.strip("[]"), strict=False)
        return ipaddress.ip_address(target.host) in network
    domain = word.removeprefix("*").lstrip(".")
    host = target.host.rstrip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))
