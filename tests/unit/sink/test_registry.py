"""The registry: enabled plugins are loaded, others are not imported, and broken ones are named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.sink.registry import describe_plugin, installed_plugins, load_plugins

SINK = "from gateway.sink import Sink\nclass S(Sink):\n"
DELIVER = "    async def deliver(self, delivery): pass\n"
MODULES = {
    "fine": f"{SINK}    name = 'fine'\n    summary = 'works'\n{DELIVER}",
    "raises": "raise RuntimeError('at import')\n",
    "exits": "import sys\nsys.exit(3)\n",
    "lacks": "",
    "nosink": "class S: pass\n",
    "misnamed": f"{SINK}    name = 'other'\n    summary = 'x'\n{DELIVER}",
    "silent": f"{SINK}    name = 'silent'\n    summary = ''\n{DELIVER}",
    "idle": f"{SINK}    name = 'idle'\n    summary = 'x'\n",
    "odd": f"{SINK}    name = 'odd'\n    summary = 'x'\n    options = ['url']\n{DELIVER}",
}


@pytest.fixture
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Packages with sinks, as pip would install them."""
    info = tmp_path / "outside-2.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 2.1\n")
    points = "".join(f"{name} = outside_{name}:S\n" for name in MODULES)
    (info / "entry_points.txt").write_text(f"[cloudsignal.sinks]\n{points}")
    for name, text in MODULES.items():
        (tmp_path / f"outside_{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in MODULES:
        sys.modules.pop(f"outside_{name}", None)


@pytest.mark.usefixtures("_installed")
def test_an_outside_plugin_is_found_without_being_imported() -> None:
    plugins = installed_plugins()
    assert {"csv", "slack", "odoo", *MODULES} <= set(plugins)
    known = describe_plugin(plugins["fine"])
    assert (known.distribution, known.version, known.sink) == ("outside", "2.1", None)
    assert "outside_fine" not in sys.modules


@pytest.mark.usefixtures("_installed")
def test_only_enabled_plugins_are_loaded() -> None:
    plugins = load_plugins(["fine", "not-installed"])
    assert list(plugins) == ["fine"]
    assert plugins["fine"].sink is not None
    assert plugins["fine"].error == ""
    assert "outside_raises" not in sys.modules


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raises", "RuntimeError: at import"),
        ("exits", "SystemExit: 3"),
        ("lacks", "has no attribute 'S'"),
        ("nosink", "not a Sink class"),
        ("misnamed", "name is 'other', but the entry point's is 'misnamed'"),
        ("silent", "no summary"),
        ("idle", "neither deliver nor deliver_batch"),
        ("odd", "options are not a schema"),
    ],
)
def test_a_broken_plugin_is_named_and_breaks_nothing_else(name: str, words: str) -> None:
    plugins = load_plugins(["fine", name])
    assert words in plugins[name].error
    assert plugins[name].sink is None
    assert plugins["fine"].sink is not None
