"""The route's options. Each option's validator, meaning and default are given once, in Settings."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

import voluptuous as vol

from cloudsignal_webhook.addresses import Network
from gateway.sink import Secret, SecretValue, Url, option, proxy_option, shaped

PREFIX = "whsec_"
MAX_SECRETS = 5
"""Secrets at once; a rotation needs two."""
SECRET = {"type": "string", "minLength": 1}
EVERYWHERE: tuple[Network, ...] = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))


def receiver_url(value: object) -> str:
    """Check a URL without user and password: the signature authenticates the sender."""
    clean = Url()(value)
    if "@" in urlsplit(clean).netloc:
        raise vol.Invalid("expected a URL without user and password")
    return clean


def signing_secret(value: str) -> str:
    """Check a secret as in Standard Webhooks: `whsec_` and the base64 of 24 to 64 bytes."""
    try:
        size = len(decode(value))
    except (binascii.Error, ValueError):
        size = 0
    if not value.startswith(PREFIX) or not 24 <= size <= 64:
        raise vol.Invalid("expected a secret: whsec_ and the base64 of 24 to 64 bytes")
    return value


def decode(secret: str) -> bytes:
    """Return a secret's bytes. Raises binascii.Error for text that is not base64."""
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)


@shaped(
    anyOf=[SECRET, {"type": "array", "items": SECRET, "minItems": 1, "maxItems": MAX_SECRETS}],
    examples=["[!file secrets/signing]"],
)
def signing_secrets(value: object) -> tuple[SecretValue, ...]:
    """Check a secret, or a list of secrets during a rotation."""
    entries = value if isinstance(value, (list, tuple)) else [value]
    if not 1 <= len(entries) <= MAX_SECRETS:
        raise vol.Invalid(f"expected a secret, or a list of at most {MAX_SECRETS}")
    return tuple(map(Secret(signing_secret), entries))


@shaped(anyOf=[{"type": "boolean"}, {"type": "array", "items": {"type": "string", "pattern": "^[0-9A-Fa-f:./]+$"}}])
def private_networks(value: object) -> tuple[Network, ...]:
    """Return the networks that are allowed in addition to the internet: all for true, none for false."""
    if isinstance(value, bool):
        return EVERYWHERE if value else ()
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        raise vol.Invalid("expected true, false or a list of networks such as 10.1.0.0/16")
    try:
        return tuple(map(ipaddress.ip_network, value))
    except ValueError:
        raise vol.Invalid("expected networks such as 10.1.0.0/16 or fd00:1::/64") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options once validated."""

    url: SecretValue = option(
        Secret(receiver_url),
        "The receiver's URL, http or https. It is a secret, because many receivers know the sender by it.",
    )
    secrets: tuple[SecretValue, ...] = option(
        signing_secrets,
        "The signing secret, or a list during a rotation: `whsec_` and the base64 of 24 to 64 bytes; each is a secret.",
    )
    allow_private: tuple[Network, ...] = option(
        private_networks,
        "Networks that are allowed in addition to the internet: a list such as `[10.1.0.0/16]`, or `true` for all.",
        default=False,
    )
    proxy: bool = proxy_option()
