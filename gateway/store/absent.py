"""Stands in for a store that can't be reached yet, so that senders and operators get an answer meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from gateway.errors import StoreError
from gateway.model import Signal
from gateway.store.values import Accepted, Refused, Target


class AbsentStore:
    """An Inbox of which each call raises a StoreError with the present `reason`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    async def accept(self, signal: Signal, targets: Sequence[Target], unrouted: Sequence[str], hold: bool) -> Accepted:
        self._fail()

    async def quarantine(self, refused: Refused) -> int:
        self._fail()

    async def check_writable(self) -> None:
        self._fail()

    def _fail(self) -> NoReturn:
        raise StoreError(self.reason)
