"""A folder of configuration files, and sinks for them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import voluptuous as vol

from gateway.config import Config, load_checked, load_config
from gateway.errors import ConfigError
from gateway.sink import ALERTS, Delivery, Secret, Sink, Url, registry


class Fake(Sink):
    summary = "a sink for tests"

    async def deliver(self, delivery: Delivery) -> None:
        """A sink that takes all deliveries."""


class Table(Fake):
    name = "table"
    options = {vol.Required("directory"): str, vol.Optional("separator", default=","): vol.In([",", ";"])}


class Chat(Fake):
    name = "chat"
    signals = ALERTS
    order = "none"
    concurrency = 2
    options = {vol.Required("webhook_url"): Secret(Url()), vol.Optional("channel"): str}


class Erp(Fake):
    name = "erp"
    options = {
        vol.Required("url"): Url(),
        vol.Optional("login"): {vol.Required("user"): str, vol.Required("password"): Secret()},
        vol.Optional("lines"): [int],
    }


def leak(value: Any) -> Any:
    raise vol.Invalid(f"what is {value!r} doing here, {value}?")


def fail(value: Any) -> Any:
    raise TypeError(f"{value} was not foreseen")


class Leaky(Fake):
    """A sink whose validators put values into messages, and fail for values of unexpected types."""

    name = "leaky"
    options = {vol.Optional("token"): leak, vol.Optional("inner"): {"token": leak}, vol.Optional("size"): fail}


SINKS: Mapping[str, type[Sink] | None] = {
    "broken": None,
    "chat": Chat,
    "erp": Erp,
    "leaky": Leaky,
    "spare": Table,
    "table": Table,
}


def load_plugin(entry: importlib.metadata.EntryPoint) -> registry.Plugin:
    sink = SINKS[entry.name]
    return registry.Plugin(entry.name, "fakes", "1.0", sink, "" if sink else "ImportError: no module named nothing")


class Folder:
    """Files below `path`; `gateway.yaml` is the main file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, text in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text if isinstance(text, bytes) else text.encode())

    def load(
        self,
        main: str | bytes,
        files: Mapping[str, str | bytes] | None = None,
        env: Mapping[str, str] | None = None,
        how: Callable[..., Config] = load_config,
    ) -> Config:
        self.write({"gateway.yaml": main, **(files or {})})
        return how(self.path / "gateway.yaml", env or {})

    def errors(
        self, main: str | bytes, files: Mapping[str, str | bytes] | None = None, env: Mapping[str, str] | None = None
    ) -> list[str]:
        """Load the configuration and return its errors, one per line."""
        with pytest.raises(ConfigError) as caught:
            self.load(main, files, env, load_checked)
        assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
        return str(caught.value).splitlines()
