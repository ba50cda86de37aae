"""A gateway's folder for each test of a command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.support.folder import Folder
from tests.support.stores import run_on_store


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    monkeypatch.chdir(tmp_path)
    folder = Folder(tmp_path)
    run_on_store("sqlite:///gateway.db")  # commands make no store
    yield folder
    structlog.reset_defaults()
