"""The table of signal types: complete, ordered, and the only place that spells a type's name."""

import ast
import re
from pathlib import Path

import pytest

from gateway import protocol
from gateway.signal_types import (
    ALERT,
    ALERTS,
    CAUSES,
    GATEWAY_ALERT,
    ICONS,
    NAMES,
    STAGES,
    TABLE,
    TROUBLE,
    TYPE_AT,
    TYPES,
    SignalType,
    signal_type,
)

ROOT = Path(__file__).parents[2]
SOURCES = [*sorted((ROOT / "gateway").rglob("*.py")), *sorted((ROOT / "plugins").rglob("*.py"))]


def texts_in(path: Path) -> set[str]:
    """Return a file's string literals without its docstrings."""
    tree = ast.parse(path.read_text())
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs]
    return {node.value for node in constants if isinstance(node.value, str)}


def test_stages_follow_the_table_and_are_told_apart() -> None:
    assert [*STAGES.values()] == sorted(set(STAGES.values()))
    assert [TYPE_AT[entry.stage] for entry in TABLE] == [*TYPES]


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_every_entry_is_whole(entry: SignalType) -> None:
    assert entry.title
    assert entry.words[:1].islower()
    assert {*entry.required, *entry.optional} <= set(protocol.PARAMETERS)
    assert set(entry.example) <= {*entry.required, *entry.optional}
    assert entry.icon == ICONS[entry.severity]


def test_alerts_are_trouble() -> None:
    assert ALERTS - {GATEWAY_ALERT} < TROUBLE


def test_the_gateways_own_type_moves_no_order_on() -> None:
    assert signal_type(GATEWAY_ALERT) is ALERT
    assert ALERT.stage == 0
    assert GATEWAY_ALERT in ALERTS
    assert {*NAMES} - {*TYPES} == {GATEWAY_ALERT}
    assert GATEWAY_ALERT not in {*STAGES, *TYPE_AT.values(), *TROUBLE}


def test_an_unknown_type_stands_for_itself() -> None:
    entry = signal_type("ItemLost")
    assert (entry.title, entry.words, entry.stage, entry.icon) == ("ItemLost", "ItemLost", 0, "")


def test_examples_have_causes_that_are_known_or_free_text() -> None:
    causes = {entry.example["cause"] for entry in TABLE if "cause" in entry.example}
    assert {cause for cause in causes if cause.startswith("Cancel")} <= set(CAUSES)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_file_spells_a_types_name(path: Path) -> None:
    if path.name == "signal_types.py":
        return
    names = re.compile(rf"\b({'|'.join(NAMES)})\b")
    assert [text for text in texts_in(path) if names.search(text)] == []
