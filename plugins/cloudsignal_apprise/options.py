"""The route's options. Each option's validator, meaning and default are given once, in Settings."""

from __future__ import annotations

from dataclasses import dataclass

import voluptuous as vol

from cloudsignal_apprise.services import is_known
from cloudsignal_apprise.text import BODY, TITLE, template
from gateway.sink import Secret, SecretValue, option, shaped

MAX_URLS = 20
"""URLs of a route. An attempt sends to one after the other, so more would not fit into its time."""

SECRET = {"type": "string", "minLength": 1}


def service_url(value: str) -> str:
    """Check a URL of a service that Apprise knows."""
    if not is_known(value):
        raise vol.Invalid("expected a URL that Apprise knows, such as mailto://user:password@example.com")
    return value


@shaped(
    anyOf=[SECRET, {"type": "array", "items": SECRET, "minItems": 1, "maxItems": MAX_URLS}],
    examples=["[!file secrets/mail-url]"],
)
def service_urls(value: object) -> tuple[SecretValue, ...]:
    """Check a URL, or a list of them."""
    entries = value if isinstance(value, (list, tuple)) else [value]
    if not 1 <= len(entries) <= MAX_URLS:
        raise vol.Invalid(f"expected a URL, or a list of at most {MAX_URLS}")
    return tuple(map(Secret(service_url), entries))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options once validated."""

    urls: tuple[SecretValue, ...] = option(
        service_urls, f"An Apprise URL, or a list of at most {MAX_URLS}; each is a secret."
    )
    title: str = option(template, "The message's title, a template.", default=TITLE)
    body: str = option(template, "The message's text, a template.", default=BODY)
