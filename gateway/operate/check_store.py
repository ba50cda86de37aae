"""Checks that a gateway could serve from the store: it can be reached, read and written."""

from __future__ import annotations

import os
from dataclasses import dataclass

from gateway.config import Config
from gateway.errors import GatewayError, StoreMissing
from gateway.logs import Redactor
from gateway.store import describe_store, is_sqlite, open_store, path_of


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """The answer of the store: `ok` if a gateway could serve from it. `store` names it, `detail` is for people."""

    store: str
    ok: bool
    detail: str


async def check_store(config: Config) -> StoreCheck:
    """Open the store, and try a transaction that changes nothing. A store that is not there yet is not made."""
    redact = Redactor(config.secrets)
    store = config.store.url.partition("://")[0]
    try:
        store = describe_store(config.store)
        opened = open_store(config.store, create=False)
        try:
            await opened.check_writable()
        finally:
            await opened.close()
    except StoreMissing:
        trouble = find_trouble_of_folder(config) if is_sqlite(config.store) else ""
        return StoreCheck(redact(store), not trouble, trouble or "is not there yet; the first start makes it")
    except GatewayError as error:
        return StoreCheck(redact(store), False, redact(str(error)))
    return StoreCheck(redact(store), True, "can be read and written")


def find_trouble_of_folder(config: Config) -> str:
    """Return the reason why a store can't be made in its folder, "" if there is none. The folder may be missing too."""
    folder = path_of(config.store).absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        return f"can't be made: {folder} is not a folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"can't be made: {folder} can't be written"
