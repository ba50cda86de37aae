"""The registry: enabled plugins are loaded, others are not imported, and broken ones are named."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import Misconfigured
from gateway.sink import Context
from gateway.sink.registry import describe_plugin, installed_plugins, load_plugins, make_stand_in

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
    "syntax": "def (:\n",
    "base": "class Odd(BaseException): pass\nraise Odd('at import')\n",
    "interrupts": "raise KeyboardInterrupt\n",
    "pressed": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n",
    "missing": "import not_there_at_all\n",
    "slow": f"{SINK}    name = 'slow'\n    summary = 'x'\n    timeout = 'long'\n{DELIVER}",
    "many": f"{SINK}    name = 'many'\n    summary = 'x'\n    batch = 0\n{DELIVER}",
    "narrow": f"{SINK}    name = 'narrow'\n    summary = 'x'\n    concurrency = None\n{DELIVER}",
    "unordered": f"{SINK}    name = 'unordered'\n    summary = 'x'\n    order = 'any'\n{DELIVER}",
    "text": f"{SINK}    name = 'text'\n    summary = 'x'\n    signals = 'ItemShipped'\n{DELIVER}",
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
        ("syntax", "outside_syntax.py, line 1"),
        ("base", "Odd: at import"),
        ("interrupts", "KeyboardInterrupt: "),
        ("missing", "No module named 'not_there_at_all'"),
        ("slow", "timeout is 'long'; expected a number of seconds above 0"),
        ("many", "batch is 0; expected a whole number above 0"),
        ("narrow", "concurrency is None; expected a whole number above 0"),
        ("unordered", "order is 'any'; expected one of lane, none"),
        ("text", "signals is 'ItemShipped'; expected a frozenset of signal types"),
    ],
)
def test_a_broken_plugin_is_named_and_breaks_nothing_else(name: str, words: str) -> None:
    plugins = load_plugins(["fine", name])
    assert words in plugins[name].error
    assert plugins[name].sink is None
    assert plugins["fine"].sink is not None


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("name", ["raises", "syntax", "lacks", "misnamed", "idle"])
def test_a_mended_plugin_is_loaded_without_a_restart(name: str, tmp_path: Path) -> None:
    assert load_plugins([name])[name].sink is None
    mended = f"# now it works, whatever its time and size\n{SINK}    name = {name!r}\n    summary = 'works'\n{DELIVER}"
    (tmp_path / f"outside_{name}.py").write_text(mended)
    assert load_plugins([name])[name].error == ""


@pytest.mark.usefixtures("_installed")
def test_ctrl_c_while_a_plugin_is_imported_ends_the_command() -> None:
    with pytest.raises(KeyboardInterrupt):
        load_plugins(["pressed"])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("_installed")
def test_an_exception_at_import_is_named_with_its_place() -> None:
    assert load_plugins(["raises"])["raises"].error.endswith("outside_raises.py:1)")


@pytest.mark.gen_test
async def test_a_stand_in_refuses_deliveries_with_the_reason() -> None:
    sink = make_stand_in("no such module")({}, Context("shop", "acme", "erp"))
    with pytest.raises(Misconfigured, match="no such module"):
        await sink.open()
