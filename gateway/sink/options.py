"""Options of a sink: a dataclass as their table, and validators. No message contains the value.

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        url: str = option(server_url, "The server's address, without a path.")
        wait: float = option(duration, "How long to wait for an order.", default="48h")
        login: str | None = option(one_line, "The user's login.", unset=None)

    class MySink(Sink):
        options = options_of(Settings)      # then Settings(**self.settings)

Each option's validator, meaning and default are given once. The validators of gateway.validators serve here too.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import voluptuous as vol

from gateway.model import SecretValue
from gateway.validators import ON_FILE, flag, shaped

NOT_GIVEN: Any = vol.UNDEFINED
_QUOTES = frozenset("\"'<>`\u201c\u201d\u2018\u2019")
"""Marks that people copy along with a URL. In a URL that needs one, it is percent-encoded."""


def option(check: Any, meaning: str, *, default: Any = NOT_GIVEN, unset: Any = NOT_GIVEN) -> Any:
    """A field of a dataclass of options, with its validator and its meaning in a sentence.

    `default` is written as in YAML and passes `check`. `unset` is the field's value where the option is left out; it
    is not checked. An option with neither is required.
    """
    required = default is NOT_GIVEN and unset is NOT_GIVEN
    metadata = {"check": check, "meaning": meaning, "default": default, "required": required}
    if required:
        return dataclasses.field(metadata=metadata)
    if default is NOT_GIVEN:
        return dataclasses.field(default=unset, metadata=metadata)
    return dataclasses.field(default_factory=lambda: vol.Schema(check)(default), metadata=metadata)


def proxy_option() -> Any:
    """Make the field `proxy` of a sink that speaks HTTP: `proxy: bool = proxy_option()`. HttpSink reads it."""
    meaning = "Use the proxies that the environment names (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`)."
    return option(flag, meaning, default=True)


def options_of(settings: type) -> Mapping[Any, Any]:
    """Return the schema for `Sink.options` of a dataclass with fields made by `option`."""
    return {
        make_marker(field.name, **field.metadata): field.metadata["check"] for field in dataclasses.fields(settings)
    }


def make_marker(name: str, check: Any, meaning: str, default: Any, required: bool) -> vol.Marker:
    if required:
        return vol.Required(name, description=meaning)
    return vol.Optional(name, default=default, description=meaning)


class Url:
    """Accepts an absolute http or https URL and removes a trailing slash. `https=True` refuses plain http."""

    def __init__(self, https: bool = False) -> None:
        self.schemes = ("https",) if https else ("http", "https")

    def json_shape(self, convert: Any) -> dict[str, Any]:
        """Return the form as JSON Schema. In the place of the URL, editors see the name in `!env NAME`."""
        scheme = "https" if len(self.schemes) == 1 else "https?"
        return {"type": "string", "pattern": rf"^({scheme}://[^\s<>`]+|{ON_FILE})$"}

    def __call__(self, value: object) -> str:
        try:
            parts = urlsplit(value if isinstance(value, str) else "")
            valid = parts.scheme in self.schemes and parts.hostname and parts.port != 0
        except ValueError:
            valid = False
        if not valid or any(c.isspace() for c in str(value)):
            raise vol.Invalid("expected a URL" if len(self.schemes) > 1 else "expected an https URL")
        if not _QUOTES.isdisjoint(str(value)):
            raise vol.Invalid("the URL has a quotation mark or an angle bracket in it: remove it")
        return str(value).rstrip("/")


class Secret:
    """Accepts a text that is masked everywhere: the sink gets a `SecretValue` and calls `reveal()` to send it."""

    json_shape = {"type": "string", "minLength": 1}

    def __init__(self, validator: Callable[[Any], str] | None = None) -> None:
        self.validator = validator

    def __call__(self, value: object) -> SecretValue:
        if isinstance(value, SecretValue):
            value = value.reveal()
        if not isinstance(value, str) or not value:
            raise vol.Invalid("expected a secret (text)")
        return SecretValue(self.validator(value) if self.validator else value)


@shaped(type="string", pattern=rf"^(https?://[^\s/?#<>`]+/?|{ON_FILE})$", examples=["https://erp.example.com"])
def server_url(value: object) -> str:
    """Accept the URL of a server without a path, which people copy by mistake from a page of the server."""
    url = Url()(value)
    parts = urlsplit(url)
    if parts.path or parts.query or parts.fragment:
        raise vol.Invalid("expected the server's address, without a path")
    return url


def header_value(what: str) -> Callable[[object], str]:
    """Return a validator for text in a header, such as a key: one line of visible ASCII. `what` is "an API key"."""

    @shaped(type="string", pattern=r"^\s*[!-~]+\s*$")
    def validate(value: object) -> str:
        text = value.strip() if isinstance(value, str) else ""
        if not re.fullmatch(r"[!-~]+", text):
            raise vol.Invalid(f"expected {what}: one line, no spaces")
        return text

    return validate


def field_names(model: str, examples: str) -> Callable[[object], tuple[str, ...]]:
    """Return a validator for the name of a field of an ERP's model, or a list of names."""

    name = {"type": "string", "pattern": "^[a-z_][a-z0-9_]*$"}

    @shaped(anyOf=[name, {"type": "array", "items": name, "minItems": 1}])
    def validate(value: object) -> tuple[str, ...]:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, (list, tuple)) or not names:
            raise vol.Invalid(f"expected a field of {model}, or a list of them")
        if not all(isinstance(name, str) and re.fullmatch(r"[a-z_][a-z0-9_]*", name) for name in names):
            raise vol.Invalid(f"expected names of fields of {model}, such as {examples}")
        return tuple(dict.fromkeys(names))

    return validate
