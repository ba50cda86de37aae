"""The command serve, as far as it goes beyond the service."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.cli import serve
from gateway.config import load_config
from gateway.logs import Redactor
from gateway.operate.accounts import find_awaited


class ServiceStub:
    """A service that ends at once. `frozen` counts the objects that garbage collection left out while it served."""

    frozen = 0
    store: Any = None

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    async def start(self, asked_to_stop: asyncio.Event) -> bool:
        return True

    async def serve(self, asked_to_stop: asyncio.Event) -> None:
        type(self).frozen = gc.get_freeze_count()

    async def stop(self) -> None:
        pass


class FakeStore:
    """A store that knows the uses of keys."""

    def __init__(self, *used: str) -> None:
        self.used = used

    async def read_key_uses(self) -> dict[tuple[str, str], float]:
        return {(account, "mark"): 1.0 for account in self.used}


@pytest.fixture
def unfrozen() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_loaded_modules_are_exempt_from_garbage_collection(monkeypatch: pytest.MonkeyPatch, unfrozen: None) -> None:
    monkeypatch.setattr(serve, "Service", ServiceStub)
    ServiceStub.store = FakeStore()
    config: Any = SimpleNamespace(log=SimpleNamespace(format="json"), key_places=())
    asyncio.run(serve.run_service(config, Redactor(())))
    assert ServiceStub.frozen > 10_000


TWO = """\
server: {public_url: "https://hooks.example.com"}
accounts:
  posters: {keys: [test-key-of-the-posters]}
  shop:
    keys:
      - {key: an-old-key-of-the-shop, label: old, expires: 2030-01-31T00:00:00Z}
      - {key: test-key-of-the-shop, label: new}
"""


def test_a_start_tells_what_to_enter_for_accounts_that_had_no_signal(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(TWO)
    store: Any = FakeStore("posters")
    awaited = asyncio.run(find_awaited(store, load_config(tmp_path / "gateway.yaml", {})))
    first, line = serve.tell_awaited(awaited)
    assert first.startswith("No signal has come yet for these accounts.")
    assert line == "  shop: URL https://hooks.example.com/signals/shop, Webhook API key 'new' of gateway.yaml:7"
    *_, last = serve.tell_awaited(awaited * 12)
    assert last == "  and so for 2 more: `cloudsignal accounts list` has them all"
    assert list(serve.tell_awaited([])) == []
