"""Part of the store's contract: retention, health and the end. gateway.store.contract has the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import NoReturn, Protocol

from gateway.errors import StoreError
from gateway.store.values import DroppedPartition, Purged


class Upkeep(Protocol):
    """Retention, health and the end of the store, for housekeeping and the service."""

    async def make_partitions(self, now: float, retention: float) -> int:
        """Make the partitions that will be needed soon, in a store that has partitions; return their number.

        Without a partition the store works, but removes old rows more slowly. Raises StoreError if tables are busy.
        """
        ...

    def drop_partitions(self, before: float, dead: bool) -> AsyncIterator[DroppedPartition]:
        """Drop partitions that ended before that time, oldest first.

        The time it takes does not grow with the number of signals. Signals that `purge` would leave stay. A partition
        is kept for a day longer, and not every store has partitions: `purge` removes the rest. Raises StoreError if
        tables are busy.
        """
        ...

    async def purge(self, before: float, after: int, limit: int, dead: bool, unpartitioned: bool = False) -> Purged:
        """Look at the next `limit` signals with ids above `after`; remove the ones received before that time.

        A signal goes with all its rows. It stays if a delivery is pending or ended since (a replay), or is a dead
        letter, unless `dead`. A page without old signals ends the purge. With `unpartitioned`, signals in partitions
        are left for `drop_partitions`.
        """
        ...

    async def count_purge(self, before: float, dead: bool) -> int:
        """Return how many signals would be removed in all."""
        ...

    async def purge_quarantine(self, before: float, limit: int) -> int:
        """Remove requests quarantined before that time, at most `limit`; return their number."""
        ...

    async def purge_actions(self, before: float, limit: int) -> int:
        """Remove actions recorded before that time, and ended jobs, at most `limit` of each; return their number."""
        ...

    async def count_quarantine(self, before: float) -> int:
        """Return how many quarantined requests would be removed in all."""
        ...

    async def purge_orders(self, before: float, limit: int) -> int:
        """Remove orders seen last before that time that have no signal left, at most `limit`; then old hours.

        Return the number of rows removed; 0 once there are no more.
        """
        ...

    async def check_writable(self) -> None:
        """Write something that changes nothing, in turn with the other writes. Raises as `accept` does.

        Raises also what `accept` raised last because the disk is full, for as long as its sender is to wait.
        """
        ...

    def on_commit(self, tell: Callable[[int, float], None]) -> None:
        """Call `tell` on the event loop after each transaction, with its number of writes and its time (s)."""
        ...

    def on_failure(self, tell: Callable[[], None]) -> None:
        """Call `tell` on the event loop after each transaction that failed."""
        ...

    async def verify(self) -> None:
        """Wait for the check that follows a run that did not end in order; return at once if there is none.

        Raises StoreCorrupt if the check found damage.
        """
        ...

    async def watch_writer(self) -> NoReturn:
        """Wait until the writer's thread ends unexpectedly. Then raises the StoreError that every write raises.

        The process should end then, so that its supervisor starts it again.
        """
        ...

    async def watch_file(self) -> None:
        """Look each second if the store's file is in its place, and log changes; return at once if there is no file.

        Writes fail with StoreError while it is not.
        """
        ...

    def failure(self) -> StoreError | None:
        """Return the error that every write raises since the writer has ended unexpectedly; None while it works."""
        ...

    async def close(self) -> None:
        """Finish the writes that wait, then close. Later calls raise StoreError."""
        ...
