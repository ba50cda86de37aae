"""Validators for a sink's options, beside voluptuous' own. Their messages never hold the value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import voluptuous as vol

from gateway.model import SecretValue


class Url:
    """An absolute http or https URL; a trailing slash is taken off. `https=True` refuses plain http."""

    def __init__(self, https: bool = False) -> None:
        self.schemes = ("https",) if https else ("http", "https")

    def __call__(self, value: object) -> str:
        try:
            parts = urlsplit(value if isinstance(value, str) else "")
            valid = parts.scheme in self.schemes and parts.hostname and parts.port != 0
        except ValueError:
            valid = False
        if not valid or any(c.isspace() for c in str(value)):
            raise vol.Invalid("expected a URL" if len(self.schemes) > 1 else "expected an https URL")
        return str(value).rstrip("/")


class Secret:
    """An option that is masked everywhere; the sink gets a `SecretValue` and calls `reveal()`."""

    def __init__(self, validator: Callable[[Any], str] | None = None) -> None:
        self.validator = validator

    def __call__(self, value: object) -> SecretValue:
        if isinstance(value, SecretValue):
            value = value.reveal()
        if not isinstance(value, str) or not value:
            raise vol.Invalid("expected a secret (text)")
        return SecretValue(self.validator(value) if self.validator else value)
