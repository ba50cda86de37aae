"""Databases on which the store's contract is tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.store_case import Backend

POOLED = ("tests.contract.test_store_accept", "tests.contract.test_store_lanes", "tests.contract.test_store_mend")
"""Files that run behind a pooler too: all writes of the gateway itself."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of a store on each database."""
    if "backend" in metafunc.fixturenames:
        pooled = ["pgbouncer"] if metafunc.module.__name__ in POOLED else []
        metafunc.parametrize("backend", ["sqlite", "postgres", *pooled], indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """Return an empty database for a store."""
    if request.param == "postgres":
        return Backend(request.getfixturevalue("postgres_url"))
    if request.param == "pgbouncer":
        return Backend(request.getfixturevalue("pooler").make_place(), {"pooler": True})
    return Backend(f"sqlite:///{tmp_path}/data/gateway.db")
