"""Tables as queries see them. `migrations` makes them, with their indexes; a test compares both.

Statements in SQL text take their lists of columns from here, so that a new column is named once.
"""

from __future__ import annotations

from typing import Any

from peewee import SQL, AutoField, BigIntegerField, CompositeKey, IntegerField, Model, TextField

from gateway.store.order_tables import FOLLOWED


class Signals(Model):
    """Every accepted signal; `id` is the order of acceptance. `unrouted` is a JSON list, "" for an empty one."""

    id = AutoField()
    account = TextField()
    identity = TextField()
    occurred_at = BigIntegerField()
    type = TextField()
    order_id = TextField()
    order_reference = TextField()
    item = TextField(null=True)
    item_reference = TextField(null=True)
    received_at = BigIntegerField()
    payload = TextField()
    stage = IntegerField()
    late = IntegerField()
    deliveries = IntegerField()
    unrouted = TextField()

    class Meta:
        table_name = "signals"


class DefaultSignals(Signals):
    """Signals of PostgreSQL's default partition: no partition was made for their time."""

    class Meta:
        table_name = "signals_default"


class Deliveries(Model):
    """One signal on one route.

    A pending delivery with `due_at` is the head of its lane, or has no lane: it can be claimed from then on, unless it
    is leased, which ends at `leased_until`. A pending delivery without `due_at` waits behind its lane's head or, with
    `held`, until its order is known. A unique index allows one head a lane. `received_at` is its signal's: PostgreSQL
    partitions ended deliveries by it.
    """

    signal_id = BigIntegerField()
    route = TextField()
    account = TextField()
    lane = TextField(null=True)
    state = TextField()
    due_at = BigIntegerField(null=True)
    lease = TextField(null=True)
    leased_until = BigIntegerField(null=True)
    attempts = IntegerField()
    created_at = BigIntegerField()
    ended_at = BigIntegerField(null=True)
    reason = TextField()
    held = IntegerField()
    replayed = IntegerField()
    received_at = BigIntegerField()

    class Meta:
        table_name = "deliveries"
        primary_key = CompositeKey("signal_id", "route")


class Attempts(Model):
    """Every attempt that did not succeed; a success is on its delivery. `received_at` is its signal's."""

    id = AutoField()
    account = TextField()
    signal_id = BigIntegerField()
    route = TextField()
    number = IntegerField()
    started_at = BigIntegerField()
    duration = BigIntegerField()
    kind = TextField()
    reason = TextField()
    received_at = BigIntegerField()

    class Meta:
        table_name = "attempts"


class Quarantine(Model):
    """Requests with a right key that were no valid signals. `digest` is the body's, unique in each account.

    A request that was accepted later has `accepted_at` and the signal's id, and is not listed any more.
    """

    id = AutoField()
    account = TextField()
    digest = TextField()
    received_at = BigIntegerField()
    body = TextField()
    errors = TextField()
    accepted_at = BigIntegerField(null=True)
    signal_id = BigIntegerField(null=True)

    class Meta:
        table_name = "quarantine"


class SinkState(Model):
    """Key-value stores of the routes; `value` is JSON."""

    account = TextField()
    route = TextField()
    key = TextField()
    value = TextField()

    class Meta:
        table_name = "sink_state"
        primary_key = CompositeKey("account", "route", "key")


class Routes(Model):
    """Stored state of a route: its breaker, and the time of its pause by people (NULL: not paused)."""

    account = TextField()
    route = TextField()
    failures = IntegerField()
    opened = IntegerField()
    probe_at = BigIntegerField()
    reason = TextField()
    paused_at = BigIntegerField(null=True)
    why = TextField()

    class Meta:
        table_name = "routes"
        primary_key = CompositeKey("account", "route")


class RouteOwners(Model):
    """The gateway that exclusively owns a route, until a time. Only routes of single-writer sinks have an owner."""

    account = TextField()
    route = TextField()
    owner = TextField()
    until = BigIntegerField()
    taken_at = BigIntegerField()

    class Meta:
        table_name = "route_owners"
        primary_key = CompositeKey("account", "route")


class KnownOrders(Model):
    """Orders that an account knows, by id or reference."""

    account = TextField()
    ref = TextField()

    class Meta:
        table_name = "known_orders"
        primary_key = CompositeKey("account", "ref")


class InForce(Model):
    """The parts of the configuration that a gateway used last: accounts, include entries and settings.

    `detail` is JSON. An account that has left the configuration has `left_at`, until it is forgotten.
    """

    kind = TextField()
    name = TextField()
    detail = TextField()
    left_at = BigIntegerField(null=True)

    class Meta:
        table_name = "in_force"
        primary_key = CompositeKey("kind", "name")


class KeyUses(Model):
    """The last use of each key. `mark` tells an account's keys apart and does not give them away."""

    account = TextField()
    mark = TextField()
    used_at = BigIntegerField()

    class Meta:
        table_name = "key_uses"
        primary_key = CompositeKey("account", "mark")


class Actions(Model):
    """Actions of people, programs and commands; `account` is NULL for one that concerns no single account."""

    id = AutoField()
    at = BigIntegerField()
    actor = TextField()
    action = TextField()
    detail = TextField()
    account = TextField(null=True)
    origin = TextField()

    class Meta:
        table_name = "actions"


class Alerts(Model):
    """Alerts; see gateway.alerts.Alert. Texts that a condition lacks are empty. A unique index allows one open alert
    a key: account, watch, cause and subject.
    """

    id = AutoField()
    account = TextField()
    watch = TextField()
    cause = TextField()
    subject = TextField()
    severity = TextField()
    order_id = TextField()
    order_reference = TextField()
    item = TextField()
    item_reference = TextField()
    route = TextField()
    message = TextField()
    since = BigIntegerField()
    raised_at = BigIntegerField(null=True)
    cleared_at = BigIntegerField(null=True)
    acknowledged_at = BigIntegerField(null=True)
    acknowledged_by = TextField()

    class Meta:
        table_name = "alerts"


class Replays(Model):
    """Replays that run as jobs, page by page, also over restarts.

    `asked` is the filter as JSON, `scope` the role that asked. Signals from `began_with` to `ends_with` are looked at,
    and those up to `reached` are done; `found` is JSON. A running job has an owner until a time.
    """

    id = AutoField()
    account = TextField(null=True)
    scope = TextField()
    actor = TextField()
    origin = TextField()
    asked = TextField()
    dry_run = IntegerField()
    state = TextField()
    reason = TextField()
    created_at = BigIntegerField()
    ended_at = BigIntegerField(null=True)
    began_with = BigIntegerField()
    reached = BigIntegerField()
    ends_with = BigIntegerField()
    found = TextField()
    owner = TextField(null=True)
    owned_until = BigIntegerField(null=True)

    class Meta:
        table_name = "replays"


TABLES: tuple[type[Model], ...] = (
    Signals,
    Deliveries,
    Attempts,
    Quarantine,
    SinkState,
    Routes,
    RouteOwners,
    KnownOrders,
    InForce,
    KeyUses,
    Actions,
    Alerts,
    Replays,
    *FOLLOWED,
)


def columns_of(model: Any) -> tuple[str, ...]:
    """Return the names of a table's columns."""
    return tuple(field.column_name for field in model._meta.sorted_fields)


DELIVERY_COLUMNS = columns_of(Deliveries)
UNSET_WHEN_NEW = frozenset({"lease", "leased_until", "ended_at", "replayed"})
"""Columns that the INSERT of a new delivery leaves to their defaults: NULL, and 0 for `replayed`."""

# As literals: a partial index is used only if the planner sees its condition in the text of the statement.
IS_PENDING = SQL("state = 'pending'")
IS_HELD = SQL("held = 1")
