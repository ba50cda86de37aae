"""The tables as queries see them; migrations/ makes them, with their indexes. Each query is told its database."""

from __future__ import annotations

from peewee import AutoField, BigIntegerField, CompositeKey, IntegerField, Model, TextField


class Signals(Model):
    """Every signal accepted; `id` is the order of acceptance. `unrouted` is a JSON list, "" for an empty one."""

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
    """On PostgreSQL, those signals that are in none of the partitions."""

    class Meta:
        table_name = "signals_default"


class Deliveries(Model):
    """One signal on one route.

    Pending with `due_at`: may be claimed from then on, unless it is leased, which it is until `leased_until`. Pending
    without: waits behind its lane's head or, with `held`, until its order is known. In each lane at most one delivery
    has `due_at`, which a unique index sees to, and where any waits unheld exactly one has. `received_at` is
    its signal's: on PostgreSQL, what has ended is kept in parts by it.
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
    """Every try that did not succeed; a success is on its delivery. `received_at` is its signal's."""

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
    """Requests with a right key that were no valid signals. `digest` is the body's, once per account. Those that were
    accepted after all have `accepted_at`, and the signal's id; they are listed no more."""

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
    """The routes' key-value stores; `value` is JSON."""

    account = TextField()
    route = TextField()
    key = TextField()
    value = TextField()

    class Meta:
        table_name = "sink_state"
        primary_key = CompositeKey("account", "route", "key")


class Routes(Model):
    """What the gateway remembers of a route: its breaker, and since when people have it paused (NULL: not)."""

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
    """Which gateway works on a route of a sink that works alone, and until when it may."""

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


class Actions(Model):
    """Who changed what by hand."""

    id = AutoField()
    at = BigIntegerField()
    actor = TextField()
    action = TextField()
    detail = TextField()

    class Meta:
        table_name = "actions"


TABLES: tuple[type[Model], ...] = (
    Signals,
    Deliveries,
    Attempts,
    Quarantine,
    SinkState,
    Routes,
    RouteOwners,
    KnownOrders,
    Actions,
)
