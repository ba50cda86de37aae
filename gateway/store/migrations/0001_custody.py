"""All tables. Indexes of deliveries are on live rows only, so that their cost does not grow with history."""

from typing import Any

from peewee import Database

TABLES = """
CREATE TABLE signals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    identity TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    type TEXT NOT NULL,
    order_id TEXT NOT NULL,
    order_reference TEXT NOT NULL,
    item TEXT,
    item_reference TEXT,
    received_at BIGINT NOT NULL,
    payload TEXT NOT NULL,
    stage SMALLINT NOT NULL,
    late SMALLINT NOT NULL DEFAULT 0,
    deliveries INTEGER NOT NULL,
    unrouted TEXT NOT NULL,
    -- The time stands before the identity so that new rows land side by side: by identity alone, which is random,
    -- each insert would touch another page of all history. The time is part of what the identity is made of, so the
    -- key says the same.
    UNIQUE (account, occurred_at, identity)
);
CREATE INDEX signals_account ON signals (account, id);
-- An order's signals; and how far it has come, by its own times and stages, without reading them.
CREATE INDEX signals_order ON signals (order_id, account, item, occurred_at, stage);
CREATE INDEX signals_order_reference ON signals (order_reference);
-- The ledger counts these without reading the signals.
CREATE INDEX signals_unrouted ON signals (account, unrouted) WHERE unrouted <> '';

CREATE TABLE deliveries (
    signal_id BIGINT NOT NULL,
    route TEXT NOT NULL,
    account TEXT NOT NULL,
    lane TEXT,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead', 'filtered')),
    due_at BIGINT,
    lease TEXT,
    attempts INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    reason TEXT NOT NULL,
    held SMALLINT NOT NULL,
    replayed SMALLINT NOT NULL DEFAULT 0,
    PRIMARY KEY (signal_id, route)
) WITHOUT ROWID;
-- A claim is two ranges of this one, live ones and replays, whatever the backlog.
CREATE INDEX deliveries_due ON deliveries (account, route, replayed, due_at, signal_id)
    WHERE state = 'pending' AND due_at IS NOT NULL;
-- One head a lane.
CREATE UNIQUE INDEX deliveries_head ON deliveries (account, route, lane)
    WHERE state = 'pending' AND due_at IS NOT NULL AND lane IS NOT NULL;
-- Who follows the head.
CREATE INDEX deliveries_waiting ON deliveries (account, route, lane, replayed, signal_id)
    WHERE state = 'pending' AND due_at IS NULL AND held = 0;
CREATE INDEX deliveries_held ON deliveries (account, route, signal_id) WHERE state = 'pending' AND held = 1;
-- Whether anything replayed is pending at all; mostly nothing is.
CREATE INDEX deliveries_replayed ON deliveries (account, route, lane) WHERE state = 'pending' AND replayed = 1;
CREATE INDEX deliveries_dead ON deliveries (signal_id, route) WHERE state = 'dead';

CREATE TABLE attempts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    signal_id BIGINT NOT NULL,
    route TEXT NOT NULL,
    number INTEGER NOT NULL,
    started_at BIGINT NOT NULL,
    duration BIGINT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX attempts_signal ON attempts (signal_id);

CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    digest TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    errors TEXT NOT NULL,
    UNIQUE (account, digest)
);

CREATE TABLE sink_state (
    account TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (account, route, key)
) WITHOUT ROWID;

CREATE TABLE routes (
    account TEXT NOT NULL,
    route TEXT NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    opened INTEGER NOT NULL DEFAULT 0,
    probe_at BIGINT NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    paused_at BIGINT,
    why TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (account, route)
) WITHOUT ROWID;

CREATE TABLE orders (
    account TEXT NOT NULL,
    ref TEXT NOT NULL,
    PRIMARY KEY (account, ref)
) WITHOUT ROWID;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
);
"""


def up(migrator: Any, db: Database) -> None:
    """Make the tables."""
    text = "\n".join(line for line in TABLES.splitlines() if not line.lstrip().startswith("--"))
    for statement in text.split(";"):
        if statement.strip():
            db.execute_sql(statement)  # type: ignore[no-untyped-call]
