"""Reads watches, and merges an account's watches with its tenant's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.config.document import Document, Place
from gateway.config.route_settings import is_switch_off, named
from gateway.config.schema import WATCH_SCHEMA
from gateway.config.setting_values import did_you_mean
from gateway.config.validation import validate
from gateway.model import Watch
from gateway.signal_types import ITEM_ERROR, STAGES, TYPES

Watches = dict[str, Watch | None]
"""Watches by name. None stands for one that is switched off, or whose errors were reported."""


def read_watches(document: Document, value: Any, place: Place, defaults: Mapping[str, Watch | None]) -> Watches:
    """Return watches and the `defaults`, of which each may be replaced or switched off by its name."""
    watches = dict(defaults)
    for name, raw, at in named(document, value, place):
        if not is_switch_off(raw):
            watches[name] = read_watch(document, raw, at)
        elif name in defaults:
            watches[name] = None
        else:
            hint = did_you_mean(name, list(defaults))
            document.report(at, f"the tenant has no watch of this name to switch off{hint}")
    return watches


def read_watch(document: Document, raw: Any, place: Place) -> Watch | None:
    """Return a watch; None if it is switched off, or after its errors were reported."""
    spec = validate(document, WATCH_SCHEMA, raw, place)
    if spec is None:
        return None
    if fault := find_fault(spec):
        name, message = fault
        document.report((*place, name) if name in spec else place, message)
        return None
    fields = {name: spec.get(name) for name in ("within", "silent_for")}
    watch = Watch(str(place[-1]), spec.get("after", ""), spec.get("expect", ""), **fields)
    return watch if spec["enabled"] else None


def find_fault(spec: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the setting at fault and a message, None if the settings of a watch go together."""
    late = [name for name in ("after", "expect", "within") if name in spec]
    if "silent_for" in spec:
        return (late[0], "goes with `after`, and not with silent_for") if late else None
    if "after" not in spec or "expect" not in spec:
        return "", "expected after, expect and within; or silent_for"
    after, expect = spec["after"], spec["expect"]
    if STAGES[expect] <= STAGES[after]:
        return "expect", f"{expect} comes before {after}, or is the same"
    if TYPES[after].level == "item" and TYPES[expect].level == "order":
        return "expect", f"{expect} is of the whole order, and {after} of an item"
    if "within" not in spec and after != ITEM_ERROR:
        return "", f"expected within; only after {ITEM_ERROR} the signal itself tells a delay"
    return None
