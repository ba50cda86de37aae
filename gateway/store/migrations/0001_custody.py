"""All tables. Indexes of deliveries cover pending rows only, so that their cost does not grow with history."""

from typing import Any

from peewee import Database

from gateway.store.postgres import partitions
from gateway.store.statements import is_postgres

SQLITE = """
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
    -- The time precedes the identity so that new rows land side by side. By the identity alone, which is random, each
    -- insert would touch another page of all history. The identity covers the time, so the key means the same.
    UNIQUE (account, occurred_at, identity)
);
CREATE INDEX signals_account ON signals (account, id);
-- An order's signals. The furthest stage of an order is found without reading its rows.
CREATE INDEX signals_order ON signals (order_id, account, item, occurred_at, stage);
CREATE INDEX signals_order_reference ON signals (order_reference);
-- The ledger counts these without reading the signals' rows.
CREATE INDEX signals_unrouted ON signals (account, unrouted) WHERE unrouted <> '';

CREATE TABLE deliveries (
    signal_id BIGINT NOT NULL,
    route TEXT NOT NULL,
    account TEXT NOT NULL,
    lane TEXT,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead', 'filtered')),
    due_at BIGINT,
    lease TEXT,
    leased_until BIGINT,
    attempts INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    reason TEXT NOT NULL,
    held SMALLINT NOT NULL,
    replayed SMALLINT NOT NULL DEFAULT 0,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (signal_id, route)
) WITHOUT ROWID;
-- A claim reads two ranges of this index, of live deliveries and of replays, whatever the backlog. Lease columns are
-- not indexed: claiming updates the row in place.
CREATE INDEX deliveries_due ON deliveries (account, route, replayed, due_at, signal_id)
    WHERE state = 'pending' AND due_at IS NOT NULL;
-- At most one head per lane.
CREATE UNIQUE INDEX deliveries_head ON deliveries (account, route, lane)
    WHERE state = 'pending' AND due_at IS NOT NULL AND lane IS NOT NULL;
-- Deliveries that wait behind the head, in the order in which they become it (LANE_ORDER).
CREATE INDEX deliveries_waiting ON deliveries (account, route, lane, replayed, signal_id)
    WHERE state = 'pending' AND due_at IS NULL AND held = 0;
CREATE INDEX deliveries_held ON deliveries (account, route, signal_id) WHERE state = 'pending' AND held = 1;
-- Pending replays; the index is mostly empty.
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
    reason TEXT NOT NULL,
    received_at BIGINT NOT NULL
);
CREATE INDEX attempts_signal ON attempts (signal_id);

CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    digest TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    errors TEXT NOT NULL,
    accepted_at BIGINT,
    signal_id BIGINT,
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

CREATE TABLE route_owners (
    account TEXT NOT NULL,
    route TEXT NOT NULL,
    owner TEXT NOT NULL,
    until BIGINT NOT NULL,
    taken_at BIGINT NOT NULL,
    PRIMARY KEY (account, route)
) WITHOUT ROWID;

CREATE TABLE known_orders (
    account TEXT NOT NULL,
    ref TEXT NOT NULL,
    PRIMARY KEY (account, ref)
) WITHOUT ROWID;

CREATE TABLE in_force (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    detail TEXT NOT NULL,
    left_at BIGINT,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;

CREATE TABLE key_uses (
    account TEXT NOT NULL,
    mark TEXT NOT NULL,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (account, mark)
) WITHOUT ROWID;

CREATE TABLE actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
);
"""

# Keys contain the account, so that tables can be partitioned by it, even over several databases. It follows the id: so
# new rows land side by side, and ids are listed without it.
#
# Ended deliveries are partitioned by the time at which their signal was received, and dropped by partition; see
# gateway.store.postgres.partitions. Pending deliveries are in one small partition, whatever their age. It alone is
# updated all the time: its pages have room for that, and it is vacuumed often and cheaply. An ended delivery moves to
# another partition, and back when it is replayed. Keys belong to one partition each, because a key of a whole table
# would have to contain the time.
POSTGRES = """
CREATE TABLE signals (
    id BIGSERIAL,
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
    unrouted TEXT NOT NULL
) PARTITION BY RANGE (received_at);
CREATE TABLE signals_default PARTITION OF signals (
    PRIMARY KEY (id, account), UNIQUE (account, occurred_at, identity)) DEFAULT;
-- For a new partition: days of which the default partition has no rows.
CREATE INDEX signals_default_received ON signals_default (received_at);
CREATE INDEX signals_account ON signals (account, id);
CREATE INDEX signals_order ON signals (order_id, account, item, occurred_at, stage);
CREATE INDEX signals_order_reference ON signals (order_reference, account);
CREATE INDEX signals_unrouted ON signals (account, unrouted) WHERE unrouted <> '';

CREATE TABLE deliveries (
    signal_id BIGINT NOT NULL,
    route TEXT NOT NULL,
    account TEXT NOT NULL,
    lane TEXT,
    state TEXT NOT NULL,
    due_at BIGINT,
    lease TEXT,
    leased_until BIGINT,
    attempts INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    reason TEXT NOT NULL,
    held SMALLINT NOT NULL,
    replayed SMALLINT NOT NULL DEFAULT 0,
    received_at BIGINT NOT NULL
) PARTITION BY LIST (state);
CREATE TABLE deliveries_pending PARTITION OF deliveries (PRIMARY KEY (signal_id, route, account))
    FOR VALUES IN ('pending')
    WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
CREATE INDEX deliveries_due ON deliveries_pending (account, route, replayed, due_at, signal_id)
    WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX deliveries_head ON deliveries_pending (account, route, lane)
    WHERE due_at IS NOT NULL AND lane IS NOT NULL;
CREATE INDEX deliveries_waiting ON deliveries_pending (account, route, lane, replayed, signal_id)
    WHERE due_at IS NULL AND held = 0;
CREATE INDEX deliveries_held ON deliveries_pending (account, route, signal_id) WHERE held = 1;
CREATE INDEX deliveries_replayed ON deliveries_pending (account, route, lane) WHERE replayed = 1;
CREATE TABLE deliveries_ended PARTITION OF deliveries
    FOR VALUES IN ('delivered', 'dead', 'filtered') PARTITION BY RANGE (received_at);
CREATE TABLE deliveries_default PARTITION OF deliveries_ended (PRIMARY KEY (signal_id, route, account)) DEFAULT;
CREATE INDEX deliveries_dead ON deliveries_ended (signal_id, route) WHERE state = 'dead';
-- The few that ended a day (in microseconds) or longer after receipt: they may keep their signals.
CREATE INDEX deliveries_slow ON deliveries_ended (ended_at) WHERE ended_at - received_at >= 86400000000;

CREATE TABLE attempts (
    id BIGSERIAL,
    account TEXT NOT NULL,
    signal_id BIGINT NOT NULL,
    route TEXT NOT NULL,
    number INTEGER NOT NULL,
    started_at BIGINT NOT NULL,
    duration BIGINT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    received_at BIGINT NOT NULL
) PARTITION BY RANGE (received_at);
CREATE TABLE attempts_default PARTITION OF attempts (PRIMARY KEY (id, account)) DEFAULT;
CREATE INDEX attempts_signal ON attempts (signal_id, account);

CREATE TABLE quarantine (
    id BIGINT GENERATED BY DEFAULT AS IDENTITY,
    account TEXT NOT NULL,
    digest TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    errors TEXT NOT NULL,
    accepted_at BIGINT,
    signal_id BIGINT,
    PRIMARY KEY (id, account),
    UNIQUE (account, digest)
);

CREATE TABLE sink_state (
    account TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (account, route, key)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

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
) WITH (fillfactor = 50);

CREATE TABLE route_owners (
    account TEXT NOT NULL,
    route TEXT NOT NULL,
    owner TEXT NOT NULL,
    until BIGINT NOT NULL,
    taken_at BIGINT NOT NULL,
    PRIMARY KEY (account, route)
) WITH (fillfactor = 50);

CREATE TABLE known_orders (
    account TEXT NOT NULL,
    ref TEXT NOT NULL,
    PRIMARY KEY (account, ref)
);

CREATE TABLE in_force (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    detail TEXT NOT NULL,
    left_at BIGINT,
    PRIMARY KEY (kind, name)
);

CREATE TABLE key_uses (
    account TEXT NOT NULL,
    mark TEXT NOT NULL,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (account, mark)
);

CREATE TABLE actions (
    id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
);
"""


def up(migrator: Any, db: Database) -> None:
    """Create the tables."""
    tables = POSTGRES if is_postgres(db) else SQLITE
    text = "\n".join(line for line in tables.splitlines() if not line.lstrip().startswith("--"))
    for statement in text.split(";"):
        if statement.strip():
            db.execute_sql(statement)  # type: ignore[no-untyped-call]
    if is_postgres(db):
        partitions.show_examples(db, "signals_default", 0)
