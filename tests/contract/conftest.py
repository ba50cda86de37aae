"""The backends that the store's contract is held to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.store_case import Backend


@pytest.fixture(params=["sqlite", "postgres", "pgbouncer"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """A store's place, empty at first."""
    if request.param == "postgres":
        return Backend(request.getfixturevalue("postgres_url"))
    if request.param == "pgbouncer":
        return Backend(request.getfixturevalue("pooler").make_place(), {"pooler": True})
    return Backend(f"sqlite:///{tmp_path}/data/gateway.db")
