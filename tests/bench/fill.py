"""Fills a store in bulk by SQL with the history or backlog that a bench needs, in the gateway's own form.

    python -m tests.bench.fill gateway.db --account bench --routes export --signals 1000000 [--state delivered]

Orders have six signals each and are interleaved. Identities are random, so a retry would be a new signal.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson

from gateway import signal_types
from gateway.store import open_store
from gateway.store.contract import Settings
from tests.support import payloads
from tests.support.ledger import read_ledger

STEPS = (
    signal_types.ORDER_VALIDATED,
    signal_types.ITEM_VALIDATED,
    signal_types.ITEM_PRODUCE,
    signal_types.ITEM_PRODUCED,
    signal_types.ITEM_PACKED,
    signal_types.ITEM_SHIPPED,
)
"""The types of an order's signals."""
ABREAST = 1000
"""Orders in progress at a time."""
CHUNK = 16 * ABREAST * len(STEPS)
"""Signals per transaction."""
SECOND = 1_000_000
GAP = 20_000
"""Microseconds from one signal to the next, which makes 50 per second."""

SETTINGS = ("journal_mode = off", "synchronous = off", "locking_mode = exclusive", "cache_size = -400000")
"""Settings without safety: no other process uses the file, and it is made anew if filling fails."""

# :first is the number of the first signal that this call writes, :start of the first that the whole filling does.
NUMBERS = f"""
WITH RECURSIVE numbers (n) AS (
    SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last
), steps AS (
    SELECT n, printf('%012d', n / {ABREAST * len(STEPS)} * {ABREAST} + n % {ABREAST}) AS number,
           n / {ABREAST} % {len(STEPS)} AS step, :began + (n - :start) * {GAP} AS at
    FROM numbers
)
"""

INSERT_SIGNALS = f"""
INSERT INTO signals (id, account, identity, occurred_at, type, order_id, order_reference, item, item_reference,
                     received_at, payload, stage, deliveries, unrouted)
{NUMBERS}
SELECT n, :account, lower(hex(randomblob(16))), at - at % {SECOND}, type, number || '00', 'PO-' || number,
       iif(type LIKE 'Item%', number || '01', NULL), iif(type LIKE 'Item%', 'PO-' || number || '-1', NULL), at,
       replace(replace(payload, '########', number), '@@@@@@@@',
               strftime('%Y-%m-%dT%H:%M:%S+00:00', at / {SECOND}, 'unixepoch')), stage, :deliveries, ''
FROM steps CROSS JOIN temp.kinds USING (step)
"""

INSERT_DELIVERIES = f"""
INSERT INTO deliveries (signal_id, route, account, lane, state, due_at, attempts, created_at, ended_at, reason, held,
                        received_at)
{NUMBERS}
SELECT n, value, :account, number || '00', :state, iif(:state = 'pending' AND step = 0, at, NULL),
       :state = 'delivered', at, iif(:state = 'delivered', at + {SECOND}, NULL), '', 0, at
FROM steps CROSS JOIN json_each(:routes)
ORDER BY n, value
"""


@dataclass(frozen=True, slots=True)
class Filling:
    """The signals to write: an account, its routes, and the state of each delivery."""

    account: str
    routes: Sequence[str]
    signals: int
    state: Literal["pending", "delivered"] = "pending"


def make_payload(kind: str) -> str:
    """Return a stored payload of about 300 bytes, with placeholders for the order's number and the time."""
    ids = {"order": "########00", "order_reference": "PO-########", "datetime": "@@@@@@@@"}
    if kind.startswith("Item"):
        ids |= {"item": "########01", "item_reference": "PO-########-1"}
    note = "Hardcover, 120 pages, 130 g coated silk, A4 portrait; printed in Rotterdam"
    return orjson.dumps({**payloads.example(kind, **ids), "note": note}).decode()


def fill(path: Path, *fillings: Filling) -> None:
    """Write to the store at a path. A missing store is made."""
    asyncio.run(ledger_of(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for setting in SETTINGS:
            db.execute(f"PRAGMA {setting}")
        db.execute("CREATE TEMP TABLE kinds (step INTEGER PRIMARY KEY, type, stage, payload)")
        kinds = [(step, kind, signal_types.STAGES.get(kind, 0), make_payload(kind)) for step, kind in enumerate(STEPS)]
        db.executemany("INSERT INTO kinds VALUES (?, ?, ?, ?)", kinds)
        for filling in fillings:
            write(db, filling)
        db.execute("PRAGMA journal_mode = wal")


def write(db: sqlite3.Connection, filling: Filling) -> None:
    (kept,) = db.execute("SELECT coalesce(max(id), 0) FROM signals").fetchone()
    # Start after a whole number of orders, so that no order is continued. The first id is 1.
    block = ABREAST * len(STEPS)
    start = (kept // block + 1) * block if kept else block
    end = start + filling.signals
    words = {
        "account": filling.account,
        "routes": orjson.dumps(filling.routes).decode(),
        "deliveries": len(filling.routes),
        "state": filling.state,
        "start": start,
        "began": round(time.time() * SECOND) - filling.signals * GAP - 60 * SECOND,
    }
    for first in range(start, end, CHUNK):
        chunk = {**words, "first": first, "last": min(first + CHUNK, end) - 1}
        db.execute("BEGIN")
        db.execute(INSERT_SIGNALS, chunk)
        db.execute(INSERT_DELIVERIES, chunk)
        db.execute("COMMIT")


async def ledger_of(path: Path) -> Mapping[tuple[str, str], Mapping[str, int]]:
    store = open_store(Settings(f"sqlite:///{path}"))
    try:
        return await read_ledger(store)
    finally:
        await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--account", default="bench")
    parser.add_argument("--routes", default="export", help="their names, between commas")
    parser.add_argument("--signals", type=int, default=1_000_000)
    parser.add_argument("--state", choices=("pending", "delivered"), default="pending")
    given = parser.parse_args()
    started = time.perf_counter()
    fill(given.store, Filling(given.account, given.routes.split(","), given.signals, given.state))
    print(
        f"{given.signals} signals in {time.perf_counter() - started:.1f} s, {given.store.stat().st_size / 1e6:.0f} MB"
    )
    for (account, route), counts in asyncio.run(ledger_of(given.store)).items():
        print(f"{account}/{route}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
