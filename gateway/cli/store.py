"""Commands that read or mend the store open it beside a running gateway, for as long as they run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from gateway.config import load_config
from gateway.store import open_store
from gateway.store.contract import Store

T = TypeVar("T")


def with_store(config_path: Path, work: Callable[[Store], Awaitable[T]]) -> T:
    """What `work` gives, run on the store that the config names."""

    async def run() -> T:
        store = open_store(load_config(config_path).store)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())
