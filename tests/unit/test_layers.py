"""Imports go down the ranks of the layout only. cli/ and web/ may open the store; only operate/ calls it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway.store
import gateway.web.http1

ROOT = Path(__file__).parents[2]
RANKS = [
    {"errors", "signal_types", "exact_json"},
    {"model", "order_state", "validators", "log_output", "body_forms", "series"},
    {"alerts"},
    {
        "clock",
        "protocol",
        "keys",
        "policy",
        "watches",
        "in_flight",
        "token_bucket",
        "address_blocks",
        "sink",
        "logs",
        "metrics",
        "store",
        "json_schema",
    },
    {"config", "ingest", "dispatch", "simulate"},
    {"operate"},
    {"web", "testing"},
    {"service"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(RANKS) for name in names}
FOR_PLUGINS = {"gateway.sink", "gateway.model", "gateway.errors"}


def imports(path: Path) -> Iterator[str]:
    """Return the modules that a file imports, at the top or within functions: `from gateway import x` is gateway.x."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            if node.module == "gateway":
                yield from (f"gateway.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""


def unit(module: str) -> str:
    """Return the part of the layout that a gateway module belongs to: gateway.store.sqlite is store."""
    return module.split(".")[1]


GATEWAY = sorted((ROOT / "gateway").rglob("*.py"))
HTTP_SERVER_USERS = [
    path
    for path in (*GATEWAY, *sorted((ROOT / "tests").rglob("*.py")))
    if "http1" in path.read_text()
    and path.parent.name != "http1"
    and path.name not in ("test_layers.py", "test_http1_reader.py", "faults.py")  # faults.py dies within its parts
]
FRONTS = [path for path in GATEWAY if path.relative_to(ROOT / "gateway").parts[0] in ("cli", "web")]
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))


@pytest.mark.parametrize("path", GATEWAY, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_lower_ranks_only(path: Path) -> None:
    own = path.relative_to(ROOT / "gateway").parts[0].removesuffix(".py")
    for module in imports(path):
        assert not module.startswith("cloudsignal_"), f"{module}: plugins are found by entry point"
        if not module.startswith("gateway.") or unit(module) in (own, "__version__"):
            continue
        assert RANK[unit(module)] < RANK[own], f"{own} (rank {RANK[own]}) imports {module}"


@pytest.mark.parametrize("path", FRONTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_front_imports_only_the_opening_of_the_store(path: Path) -> None:
    """Operators' functions stand once, in operate/, for the command line and for the web."""
    for module in imports(path):
        assert not module.startswith("gateway.store."), module
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "gateway.store":
            assert {alias.name for alias in node.names} <= set(gateway.store.__all__)


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plugin_imports_the_plugin_api_only(path: Path) -> None:
    own = path.relative_to(ROOT / "plugins").parts[0]
    for module in imports(path):
        if module.split(".")[0].startswith(("gateway", "cloudsignal_")):
            assert module in FOR_PLUGINS or module.split(".")[0] == own, module


def test_every_part_of_the_gateway_has_a_rank() -> None:
    parts = {path.relative_to(ROOT / "gateway").parts[0].removesuffix(".py") for path in GATEWAY} - {"__init__"}
    assert parts <= set(RANK), f"no rank: {parts - set(RANK)}"


def test_the_http_server_has_three_public_names() -> None:
    assert gateway.web.http1.__all__ == ["Answer", "Request", "Server"]


@pytest.mark.parametrize("path", HTTP_SERVER_USERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_http_server_is_used_by_its_public_names_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("gateway.web.http1") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gateway.web.http1"):
            assert node.module == "gateway.web.http1", node.module
            assert {alias.name for alias in node.names} <= set(gateway.web.http1.__all__)


def test_observers_are_guarded_where_the_gateway_is_composed_and_nowhere_else() -> None:
    users = [path for path in GATEWAY if "gateway.metrics.guard" in names(path)]
    assert users == [ROOT / "gateway" / "service.py"]


def names(path: Path) -> set[str]:
    """Return the dotted names that a file imports from modules."""
    nodes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom))
    return {f"{node.module}.{alias.name}" for node in nodes for alias in node.names}
