"""Columns: tables.py, both databases' tables, and each statement that lists columns name the same ones."""

from __future__ import annotations

import dataclasses
import re

import pytest

from gateway.store.postgres import accept as postgres_accept
from gateway.store.postgres import lanes as postgres_lanes
from gateway.store.postgres import record as postgres_record
from gateway.store.reads.listings import LISTED_COLUMNS, OF_SIGNAL
from gateway.store.rows import ATTEMPT_ROW, SIGNAL_COLUMNS, SIGNAL_ROW
from gateway.store.sqlite import accept as sqlite_accept
from gateway.store.sqlite import lanes as sqlite_lanes
from gateway.store.steps import replay
from gateway.store.tables import (
    DELIVERY_COLUMNS,
    TABLES,
    UNSET_WHEN_NEW,
    Attempts,
    DefaultSignals,
    Signals,
    columns_of,
)
from gateway.store.values import DeliveryRow
from tests.contract.store_case import Backend

COLUMNS = {
    "sqlite": "SELECT name FROM pragma_table_info(?)",
    "postgresql": "SELECT column_name FROM information_schema.columns "
    "WHERE table_schema = current_schema() AND table_name = %s",
}
INDEX = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE name = 'deliveries_waiting'",
    "postgresql": "SELECT indexdef FROM pg_indexes "
    "WHERE indexname = 'deliveries_waiting' AND schemaname = current_schema()",
}


@pytest.mark.gen_test
async def test_each_table_has_the_columns_that_queries_know(backend: Backend) -> None:
    async with backend.open():
        pass
    database = backend.url.partition(":")[0]
    tables = TABLES if database == "sqlite" else (*TABLES, DefaultSignals)
    for model in tables:
        found = {name for (name,) in backend.execute(COLUMNS[database], model._meta.table_name)}
        assert found == set(columns_of(model)), model._meta.table_name


@pytest.mark.parametrize("new", [sqlite_accept.NEW_DELIVERY, postgres_accept.NEW_DELIVERY], ids=["sqlite", "postgres"])
def test_a_new_delivery_sets_each_column_or_leaves_it_to_its_default(new: dict[str, str]) -> None:
    assert sorted([*new, *UNSET_WHEN_NEW]) == sorted(DELIVERY_COLUMNS)


def test_an_ended_delivery_keeps_each_column_or_sets_it() -> None:
    cleared = {name for name, value in postgres_record.ENDED_VALUES.items() if value == "NULL"}
    assert {*postgres_record.ENDED_VALUES} <= {*DELIVERY_COLUMNS}
    assert sorted([*postgres_record.ENDED, *cleared]) == sorted(DELIVERY_COLUMNS)


def test_a_replayed_delivery_keeps_each_column_or_sets_it() -> None:
    assert sorted([*replay.replayed_values(0), *replay.KEPT_COLUMNS]) == sorted(DELIVERY_COLUMNS)


def test_a_listed_delivery_has_each_public_column() -> None:
    fields = {field.name for field in dataclasses.fields(DeliveryRow)}
    assert fields == {*LISTED_COLUMNS, *OF_SIGNAL}


def test_a_new_signal_sets_each_column() -> None:
    assert sorted([*SIGNAL_ROW, "id", "late"]) == sorted(columns_of(Signals))
    assert sorted(postgres_accept.NEW_SIGNAL) == sorted(columns_of(Signals))
    assert {*SIGNAL_COLUMNS} <= {*columns_of(Signals)}


def test_an_attempt_sets_each_column() -> None:
    assert sorted([*ATTEMPT_ROW, "id"]) == sorted(columns_of(Attempts))
    assert list(postgres_record.TRIED) == list(ATTEMPT_ROW)


@pytest.mark.gen_test
async def test_the_order_of_a_lane_is_the_same_everywhere_and_has_an_index(backend: Backend) -> None:
    async with backend.open():
        pass
    [(index,)] = backend.execute(INDEX[backend.url.partition(":")[0]])
    assert sqlite_lanes.LANE_ORDER == postgres_lanes.LANE_ORDER
    assert re.search(r"\((.*?)\)", index)[1] == f"account, route, lane, {sqlite_lanes.LANE_ORDER}"  # type: ignore[index]
