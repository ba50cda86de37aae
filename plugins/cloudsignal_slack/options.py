"""The route's options: their schema."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import voluptuous as vol

from gateway.sink import Secret, Url

EVERYONE = ("here", "channel", "everyone")


def webhook_url(value: object) -> str:
    """An https URL; plain http is for a stand-in on this machine only."""
    url = Url()(value)
    if urlsplit(url).scheme == "http" and not is_loopback(urlsplit(url).hostname or ""):
        raise vol.Invalid("expected an https URL (http is for this machine only)")
    return url


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def mentions(value: object) -> tuple[str, ...]:
    """Whom to mention, one or a list, as Slack writes it: `<!here>`, `<@U012ABCDE>`, `<!subteam^S012ABCDE>`."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or len(names) > 20:
        raise vol.Invalid("expected whom to mention, or a list of at most 20")
    return tuple(mention(name) for name in names)


def mention(value: object) -> str:
    name = re.sub(r"^<?(@|!subteam\^|!)?|>$", "", value) if isinstance(value, str) else ""
    if name in EVERYONE:
        return f"<!{name}>"
    if re.fullmatch(r"[UW][A-Z0-9]{5,20}", name):
        return f"<@{name}>"
    if re.fullmatch(r"S[A-Z0-9]{5,20}", name):
        return f"<!subteam^{name}>"
    raise vol.Invalid("expected here, channel, everyone, a user's id (U…) or a user group's (S…)")


OPTIONS: Mapping[Any, Any] = {
    vol.Required("webhook_url"): Secret(webhook_url),
    vol.Optional("mention", default=()): mentions,
}
