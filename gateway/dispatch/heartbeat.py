"""The heartbeat of a gateway on a shared store: it renews leases, and the ownership of routes with a single writer."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Mapping, Set

import structlog

from gateway.dispatch.route_state import LiveRouteState, Ownership
from gateway.dispatch.runner import Runner
from gateway.dispatch.tuning import Tuning
from gateway.errors import StoreError
from gateway.model import RouteKey
from gateway.store.contract import Queue

log = structlog.get_logger()


class Heartbeat:
    """Renews this gateway's leases and ownership on a shared store, from `start` to `stop`.

    `runners` and `retired` are the dispatcher's collections and change with it. `mark_due` queues an owned route.
    """

    def __init__(
        self,
        store: Queue,
        runners: Mapping[RouteKey, Runner],
        retired: Set[Runner],
        mark_due: Callable[[LiveRouteState], None],
        now: Callable[[], float],
        tuning: Tuning,
    ) -> None:
        self._id = uuid.uuid4().hex
        self._store = store
        self._runners = runners
        self._retired = retired
        self._mark_due = mark_due
        self._now = now
        self._tuning = tuning
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to beat."""
        self._task = asyncio.create_task(self._beat())

    async def stop(self) -> None:
        """End, and release the ownership of routes, so that another gateway takes over at once."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(StoreError):
            await self._store.own_routes([r.key for r in self._single_writers()], self._id, self._now(), self._now())

    async def _beat(self) -> None:
        await self._renew(self._renew_ownership)
        while True:
            await asyncio.sleep(self._tuning.heartbeat)
            await self._renew(self._renew_ownership)
            await self._renew(self._renew_leases)

    async def _renew(self, renew: Callable[[], Awaitable[None]]) -> None:
        try:
            await renew()
        except Exception:  # without beats, all leases would run out and be delivered twice
            log.exception("dispatch.failed", failures=1)

    async def _renew_leases(self) -> None:
        """Renew the leases of deliveries in hand, so that an attempt may take as long as its timeout allows."""
        runners = {*self._runners.values(), *self._retired}
        in_hand = [delivery for runner in runners for delivery in runner.in_hand()]
        try:
            if in_hand:
                await self._store.renew(in_hand, self._now() + self._tuning.shared_lease)
        except StoreError as error:
            log.warning("dispatch.leases_not_renewed", deliveries=len(in_hand), reason=str(error))

    def _single_writers(self) -> list[Runner]:
        return [runner for runner in self._runners.values() if runner.sink_class.single_writer]

    async def _renew_ownership(self) -> None:
        """Renew the ownership of routes with a single writer, or gain it if no other gateway has it."""
        runners = self._single_writers()
        if not runners:
            return
        now = self._now()
        until = now + self._tuning.shared_lease
        try:
            owned = await self._store.own_routes([runner.key for runner in runners], self._id, now, until)
        except StoreError as error:
            log.warning("dispatch.routes_not_kept", reason=str(error))  # ownership ends when its time runs out
            return
        for runner in runners:
            state = runner.state
            # Race: an attempt from before this gateway lost the route may still run, on a sink with an old state.
            if runner.key not in owned or (state.ownership is Ownership.WAITING and state.running):
                await runner.lose_ownership()
                continue
            if state.own(until):
                runner.open_at_start()
            self._mark_due(state)
