"""The backends that the store's contract is held to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.store_case import Backend


@pytest.fixture(params=["sqlite"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """A store's place, empty at first."""
    return Backend({"sqlite": f"sqlite:///{tmp_path}/data/gateway.db"}[request.param])
