from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from gateway.sink import registry
from tests.unit.config.folder import SINKS, Folder, load_plugin


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A folder for whose configuration the sinks of `tests.unit.config.folder` are installed."""
    entries = {name: importlib.metadata.EntryPoint(name, "nowhere:Sink", registry.ENTRY_POINT_GROUP) for name in SINKS}
    monkeypatch.setattr(registry, "installed_plugins", lambda: entries)
    monkeypatch.setattr(registry, "load_plugin", load_plugin)
    return Folder(tmp_path)
