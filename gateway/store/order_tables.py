"""Tables that a follower of the signals fills: order states and counts; see gateway.store.contract_orders."""

from __future__ import annotations

from peewee import BigIntegerField, CompositeKey, IntegerField, Model, TextField


class OrderStates(Model):
    """Orders, with `item` "", and their items; see gateway.order_state. `detail` is JSON."""

    order_id = TextField()
    account = TextField()
    item = TextField()
    reference = TextField()
    stage = IntegerField()
    since = BigIntegerField()
    problems = IntegerField()
    first_seen = BigIntegerField()
    last_seen = BigIntegerField()
    signals = IntegerField()
    late = IntegerField()
    detail = TextField()

    class Meta:
        table_name = "order_states"
        primary_key = CompositeKey("order_id", "account", "item")


class OrderTracking(Model):
    """Tracking numbers and their items, to find an order by."""

    tracking = TextField()
    account = TextField()
    order_id = TextField()
    item = TextField()

    class Meta:
        table_name = "order_tracking"
        primary_key = CompositeKey("tracking", "account", "order_id", "item")


class AccountActivity(Model):
    """The receipt of each account's first and last signal, and their number."""

    account = TextField()
    first_seen = BigIntegerField()
    last_seen = BigIntegerField()
    signals = BigIntegerField()

    class Meta:
        table_name = "account_activity"
        primary_key = CompositeKey("account")


class HourlySignals(Model):
    """Numbers of an account's requests by hour of receipt, type and answer. `hour` is its beginning."""

    account = TextField()
    hour = BigIntegerField()
    type = TextField()
    answer = TextField()
    number = BigIntegerField()

    class Meta:
        table_name = "hourly_signals"
        primary_key = CompositeKey("account", "hour", "type", "answer")


class HourlyDeliveries(Model):
    """Numbers of a route's attempts by hour and outcome. `hour` is its beginning."""

    account = TextField()
    route = TextField()
    hour = BigIntegerField()
    outcome = TextField()
    number = BigIntegerField()

    class Meta:
        table_name = "hourly_deliveries"
        primary_key = CompositeKey("account", "route", "hour", "outcome")


class Followers(Model):
    """Followers of the signals: the last signal that each has added, and the gateway that does it, until a time.

    `version` grows with each write of the follower's tables.
    """

    name = TextField()
    position = BigIntegerField()
    version = BigIntegerField()
    owner = TextField()
    until = BigIntegerField()

    class Meta:
        table_name = "followers"
        primary_key = CompositeKey("name")


FOLLOWED: tuple[type[Model], ...] = (
    OrderStates,
    OrderTracking,
    AccountActivity,
    HourlySignals,
    HourlyDeliveries,
    Followers,
)
"""All tables of this file."""
