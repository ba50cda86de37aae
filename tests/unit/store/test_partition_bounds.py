"""Partitions as the catalogue of PostgreSQL tells them."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.store.postgres import partitions


def test_a_partition_that_another_gateway_drops_meanwhile_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [
        ("signals_20261128", None),  # dropped between the two reads of the catalogue
        ("signals_20261129", "FOR VALUES FROM ('86400000000') TO ('172800000000')"),
        ("signals_default", "DEFAULT"),
    ]
    monkeypatch.setattr(partitions, "execute", lambda db, statement: told)
    db: Any = None
    assert partitions.list_partitions(db) == [partitions.Partition(86_400_000_000, 172_800_000_000)]
