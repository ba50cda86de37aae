"""The command serve, as far as it goes beyond the service."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.cli import serve
from gateway.logs import Redactor


class ServiceStub:
    """A service that ends at once. `frozen` counts the objects that garbage collection left out while it served."""

    frozen = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    async def start(self, asked_to_stop: asyncio.Event) -> bool:
        return True

    async def serve(self, asked_to_stop: asyncio.Event) -> None:
        type(self).frozen = gc.get_freeze_count()

    async def stop(self) -> None:
        pass


@pytest.fixture
def unfrozen() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_loaded_modules_are_exempt_from_garbage_collection(monkeypatch: pytest.MonkeyPatch, unfrozen: None) -> None:
    monkeypatch.setattr(serve, "Service", ServiceStub)
    config: Any = SimpleNamespace(log=SimpleNamespace(format="json"))
    asyncio.run(serve.run_service(config, Redactor(())))
    assert ServiceStub.frozen > 10_000
