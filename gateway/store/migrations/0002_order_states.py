"""Order states and hourly counts, made from the signals by a follower; see gateway.store.contract_orders."""

from typing import Any

from peewee import Database

from gateway.store.statements import is_postgres

# An order and each of its items is a row; the order's own has the item ''. `detail` is JSON, for what nobody searches.
#
# Counts are sums of hours. `followers` has how far signals are added: the position is written with the states, so that
# each signal is added once. `version` grows with each write of the tables above, by whoever it is.
TABLES = """
CREATE TABLE order_states (
    order_id TEXT NOT NULL,
    account TEXT NOT NULL,
    item TEXT NOT NULL,
    reference TEXT NOT NULL,
    stage SMALLINT NOT NULL,
    since BIGINT NOT NULL,
    problems INTEGER NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    signals INTEGER NOT NULL,
    late INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (order_id, account, item)
) {keyed};
-- Items and orders that wait at a stage, the longest first: watches read only these, whatever is finished.
CREATE INDEX order_states_waiting ON order_states (account, stage, since);
CREATE INDEX order_states_seen ON order_states (last_seen, account, order_id) WHERE item = '';
CREATE INDEX order_states_item ON order_states (item) WHERE item <> '';

CREATE TABLE order_tracking (
    tracking TEXT NOT NULL,
    account TEXT NOT NULL,
    order_id TEXT NOT NULL,
    item TEXT NOT NULL,
    PRIMARY KEY (tracking, account, order_id, item)
) {keyed};
CREATE INDEX order_tracking_order ON order_tracking (order_id, account);

CREATE TABLE account_activity (
    account TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    signals BIGINT NOT NULL,
    PRIMARY KEY (account)
) {updated};

CREATE TABLE hourly_signals (
    account TEXT NOT NULL,
    hour BIGINT NOT NULL,
    type TEXT NOT NULL,
    answer TEXT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (account, hour, type, answer)
) {updated};
CREATE INDEX hourly_signals_hour ON hourly_signals (hour);

CREATE TABLE hourly_deliveries (
    account TEXT NOT NULL,
    route TEXT NOT NULL,
    hour BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (account, route, hour, outcome)
) {updated};
CREATE INDEX hourly_deliveries_hour ON hourly_deliveries (hour);

CREATE TABLE followers (
    name TEXT NOT NULL,
    position BIGINT NOT NULL,
    version BIGINT NOT NULL,
    owner TEXT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (name)
) {updated};
INSERT INTO followers (name, position, version, owner, until) VALUES ('orders', 0, 0, '', 0);
"""

SQLITE = {"keyed": "WITHOUT ROWID", "updated": "WITHOUT ROWID"}
POSTGRES = {"keyed": "WITH (fillfactor = 80)", "updated": "WITH (fillfactor = 50)"}


def up(migrator: Any, db: Database) -> None:
    """Create the tables."""
    text = TABLES.format(**(POSTGRES if is_postgres(db) else SQLITE))
    text = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    for statement in text.split(";"):
        if statement.strip():
            db.execute_sql(statement)  # type: ignore[no-untyped-call]
