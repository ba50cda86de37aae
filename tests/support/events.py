"""The events that the gateway and its plugins log, found in their source."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.pages import ROOT

LEVELS = {name: name for name in ("debug", "info", "warning", "error", "critical")} | {"exception": "error"}
LOGGERS = ("log", "_log")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def logged_events() -> Mapping[str, set[str]]:
    """Return each event with the levels that it is logged at; `library.*` for one that ends in a name."""
    events: defaultdict[str, set[str]] = defaultdict(set)
    for folder in ("gateway", "plugins"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for event, level in events_in(path):
                events[event].add(level)
    return events


def events_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the events of a file with their levels. AssertionError for a log call with an event that can't be read."""
    for function in ast.walk(ast.parse(path.read_text())):
        if not isinstance(function, Function):
            continue
        for call in calls_in(function):
            levels, arguments = levels_of(call, function), call.args
            if levels == {"log"}:
                levels, arguments = {"any"}, call.args[1:]
            if not levels:
                continue
            for event in texts(arguments[0], function):
                yield from ((event, level) for level in levels)


def calls_in(function: Function) -> Iterator[ast.Call]:
    """Yield the calls of a function, without the calls of inner functions."""
    inner = {
        id(node)
        for each in ast.walk(function)
        if isinstance(each, Function) and each is not function
        for node in ast.walk(each)
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and id(node) not in inner:
            yield node


def levels_of(call: ast.Call, function: Function) -> set[str]:
    """Return the levels that a call logs at; none if it is no log call."""
    return set(log_methods(call.func, function))


def log_methods(node: ast.expr, function: Function) -> Iterator[str]:
    if isinstance(node, ast.Attribute) and is_logger(node.value):
        if node.attr in LEVELS or node.attr == "log":
            yield LEVELS.get(node.attr, "log")
    elif isinstance(node, ast.IfExp):
        yield from log_methods(node.body, function)
        yield from log_methods(node.orelse, function)
    elif isinstance(node, ast.Name):
        for value in assigned(node.id, function):
            if not isinstance(value, ast.Name):
                yield from log_methods(value, function)


def is_logger(node: ast.expr) -> bool:
    """Return True for `log` and `self.log`."""
    return getattr(node, "id", getattr(node, "attr", "")) in LOGGERS


def texts(node: ast.expr, function: Function) -> list[str]:
    """Return the texts that an expression may be."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp():
            return texts(node.body, function) + texts(node.orelse, function)
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            return [f"{text}*"]
        case ast.Name():
            found = [text for value in assigned(node.id, function) for text in texts(value, function)]
            assert found, f"{node.id}: no event that can be read in line {node.lineno}"
            return found
    raise AssertionError(f"no event that can be read in line {node.lineno}")


def assigned(name: str, function: Function) -> Iterator[ast.expr]:
    """Yield the values that a function assigns to a name."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            yield node.value
