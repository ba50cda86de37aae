"""Promises of the store about alerts, a part of gateway.store.contract: what is said there holds here too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.alerts import Alert, AlertKey
from gateway.order_state import State
from gateway.store.values import AlertFilter, Telling


class Alerts(Protocol):
    """Alerts: raised once and cleared once, over restarts and with several gateways.

    At most one alert of a key is open. Its row and the signal that tells of it are written in one transaction.
    """

    async def raise_alerts(self, tellings: Sequence[Telling], now: float) -> Sequence[Alert]:
        """Note conditions, and raise those that have lasted long enough; return the alerts raised now.

        A condition without patience is raised at once. An alert that is raised already stays as it is.
        """
        ...

    async def clear_alerts(self, over: Sequence[Alert], tellings: Sequence[Telling], now: float) -> Sequence[Alert]:
        """Clear open alerts, each with its telling; return the alerts cleared now.

        An alert that was never raised is removed, and nobody is told.
        """
        ...

    async def read_open_alerts(self) -> Mapping[AlertKey, Alert]:
        """Return the alerts that are open, also those that wait for their condition to last."""
        ...

    async def list_late(
        self, accounts: Sequence[str], stages: tuple[int, int], kind: str, before: float, limit: int
    ) -> Sequence[State]:
        """Return orders and items of accounts that have not left these stages since an event before that time.

        `stages` are a first stage (inclusive) and a last (exclusive); `kind` is the signal type of the event. The cost
        grows with the accounts and with what waits at the stages.
        """
        ...

    async def list_troubled(self, accounts: Sequence[str], stages: tuple[int, int], limit: int) -> Sequence[State]:
        """Return items of accounts that are at these stages and have an open problem."""
        ...

    async def list_active_hours(self, account: str, since: float) -> Sequence[float]:
        """Return the beginnings of the hours since that time in which an account had signals, in order."""
        ...

    async def oldest_unfollowed(self) -> float | None:
        """Return the receipt of the first signal that is in no order state yet, None if there is none."""
        ...

    async def list_alerts(self, which: AlertFilter, limit: int) -> Sequence[Alert]:
        """Return alerts that were raised, newest first."""
        ...

    async def acknowledge_alert(self, alert: int, now: float) -> bool:
        """Note that a person has seen an open alert, and record the action. Return False if that was done before."""
        ...

    async def purge_alerts(self, before: float, limit: int) -> int:
        """Remove alerts cleared before that time, at most `limit`; return their number."""
        ...
