"""Requests in quarantine: list them, judge them by today's configuration, replay them."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from gateway import protocol
from gateway.config import Config
from gateway.errors import GatewayError, InvalidSignal
from gateway.ingest import Ingest, choose_routes, parse_quarantined
from gateway.operate.traffic import yield_to_traffic
from gateway.store.contract import Records, Store
from gateway.store.values import Filter, QuarantineRow

__all__ = ["Inspected", "QuarantineRow", "Verdict", "inspect_quarantined", "list_quarantine", "replay_quarantine"]

REQUESTS_PER_PAGE = 100
"""Requests that are judged or accepted at once; it bounds memory, as a request may have 64 KiB."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of judging or replaying one request. It lacks the body, because there may be many verdicts.

    `signal` is the id of the new signal, `held` is True if its order is unknown, `routes` are the routes that it goes
    to. `errors` says what is wrong with each field of a refused request.
    """

    id: int
    account: str
    result: Literal["accepted", "duplicate", "refused"]
    signal: int | None = None
    held: bool = False
    routes: Sequence[str] = ()
    errors: Mapping[str, str] = field(default_factory=dict)


async def list_quarantine(
    store: Records, account: str | None, limit: int, order: str | None = None
) -> Sequence[QuarantineRow]:
    """Return requests in quarantine, newest first; of one account or of all, of one order or of all."""
    if order is None:
        return await store.list_quarantined(Filter(account=account), limit)
    found: deque[QuarantineRow] = deque(maxlen=limit)
    async for rows in read_pages(store, Filter(account=account, order=order)):
        found.extend(row for row in rows if is_of_order(row.body, order))
    return [*reversed(found)]


async def page_quarantine(store: Records, which: Filter, limit: int) -> Sequence[QuarantineRow]:
    """Return a page of requests in quarantine, newest first."""
    return await store.list_quarantined(which, limit)


def is_of_order(body: str, order: str) -> bool:
    """Return True if a refused request is of an order, by its id or reference. Text that is no JSON only names it."""
    try:
        payload = protocol.decode(body.encode())
    except InvalidSignal:
        return re.search(rf"(?<!\w){re.escape(order)}(?!\w)", body) is not None
    return order in {str(payload.get(name)) for name in ("order", "order_reference")}


@dataclass(frozen=True, slots=True)
class Inspected:
    """A request in quarantine, and the verdict that a replay would give now."""

    row: QuarantineRow
    verdict: Verdict

    @property
    def payload(self) -> Mapping[str, Any] | None:
        """Return the fields of the body, None if it is no JSON object."""
        try:
            return protocol.decode(self.row.body.encode())
        except InvalidSignal:
            return None


async def inspect_quarantined(store: Records, config: Config, number: int, now: datetime) -> Inspected:
    """Return one request in quarantine. Raises GatewayError if it is not there."""
    rows = await store.list_quarantined_oldest(Filter(ids=[number]), 1)
    if not rows:
        raise GatewayError(f"{number} is not in quarantine")
    return Inspected(rows[0], judge(config, rows[0], now))


def replay_quarantine(
    store: Store, config: Config, which: Filter, dry_run: bool, stop: asyncio.Event
) -> AsyncIterator[Sequence[Verdict]]:
    """Submit quarantined requests again as if they had just arrived; yield the verdicts page by page.

    They go oldest first, so that an order's signals are accepted in the order in which they came. With `dry_run`,
    requests are only judged. `stop` ends it between two pages.
    """
    pages = judge_pages(store, config, which) if dry_run else readmit_pages(store, config, which)
    return yield_to_traffic(pages, stop, rest=0 if dry_run else 1)


async def judge_pages(store: Records, config: Config, which: Filter) -> AsyncIterator[Sequence[Verdict]]:
    """Judge requests, and change nothing."""
    async for rows in read_pages(store, which):
        now = datetime.now(UTC)
        yield [judge(config, row, now) for row in rows]


async def readmit_pages(store: Store, config: Config, which: Filter) -> AsyncIterator[Sequence[Verdict]]:
    """Accept each request that is valid now, and release it from quarantine."""
    ingest = Ingest(config.accounts, store)
    async for rows in read_pages(store, which):
        now = datetime.now(UTC)
        yield await asyncio.gather(*(readmit(ingest, config, store, row, now) for row in rows))


async def read_pages(store: Records, which: Filter) -> AsyncIterator[Sequence[QuarantineRow]]:
    """Read requests in quarantine page by page, oldest first."""
    after = 0
    while rows := await store.list_quarantined_oldest(dataclasses.replace(which, after=after), REQUESTS_PER_PAGE):
        after = rows[-1].id
        yield rows


def judge(config: Config, row: QuarantineRow, now: datetime) -> Verdict:
    """Return the verdict on a request by this configuration."""
    account = config.accounts.get(row.account)
    if account is None:
        return Verdict(row.id, row.account, "refused", errors={"account": "is not configured"})
    try:
        signal = parse_quarantined(account, row.body, now)
    except InvalidSignal as error:
        return Verdict(row.id, row.account, "refused", errors=error.fields)
    targets, _ = choose_routes(account.routes.values(), signal)
    return Verdict(row.id, row.account, "accepted", routes=[target.route for target in targets])


async def readmit(ingest: Ingest, config: Config, store: Records, row: QuarantineRow, now: datetime) -> Verdict:
    """Accept one request if it is valid now. A crash in between leaves a duplicate, which the next replay releases."""
    verdict = judge(config, row, now)
    if verdict.result == "refused":
        return verdict
    receipt = await ingest.readmit(row.account, row.body, now)
    await store.release_quarantined(row.id, receipt.signal, now.timestamp())
    if receipt.duplicate:
        return Verdict(row.id, row.account, "duplicate")
    return Verdict(row.id, row.account, "accepted", receipt.id, receipt.held, verdict.routes)
