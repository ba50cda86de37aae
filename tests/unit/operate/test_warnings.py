"""Warnings of the configuration in force, in the log."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from structlog.testing import capture_logs

from gateway.config import load_config
from gateway.metrics import Observer
from gateway.operate.warnings import Warnings

START = datetime(2026, 11, 20, tzinfo=UTC)
KEYS = "keys: [{key: an-old-key-of-the-bookshop, label: old, expires: 2026-12-01T00:00:00Z}]"


class Heard(Observer):
    def __init__(self) -> None:
        self.ending: list[int] = []

    def keys_ending(self, keys: int) -> None:
        self.ending.append(keys)


def test_each_end_of_a_key_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(f"accounts: {{bookshop: {{{KEYS}}}}}\n")
    config, now, heard = load_config(tmp_path / "gateway.yaml"), [START], Heard()
    warnings = Warnings(lambda: config, lambda: now[0], heard)
    with capture_logs() as lines:
        warnings.tell_of_key_ends()
        warnings.tell_of_key_ends()
        now[0] += timedelta(days=30)
        warnings.tell_of_key_ends()
        warnings.tell_of_key_ends()
    assert [line["event"] for line in lines] == ["config.warning", "config.keys_ended", "config.warning"]
    assert heard.ending == [1, 1, 1, 1]


def test_a_broken_plugin_is_told_with_the_number_of_its_routes(tmp_path: Path) -> None:
    routes = "routes: {a: {sink: csv, options: {directory: a}}, b: {sink: csv, options: {directory: b}}}"
    (tmp_path / "gateway.yaml").write_text(f"plugins: [csv]\naccounts: {{bookshop: {{{KEYS}, {routes}}}}}\n")
    config = load_config(tmp_path / "gateway.yaml")
    account = config.accounts["bookshop"]
    broken = {name: replace(route, broken="no module") for name, route in account.routes.items()}
    config = replace(config, accounts={"bookshop": replace(account, routes=broken)})
    with capture_logs() as lines:
        Warnings(lambda: config, lambda: START, Observer()).tell_of_plugins()
    assert [(line["event"], line["plugin"], line["routes"]) for line in lines] == [("plugin.failed", "csv", 2)]
