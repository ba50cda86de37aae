"""Edits of accounts and their keys in the text of a YAML file: text in, text out; see `splice`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import voluptuous as vol
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from gateway.config.setting_values import moment
from gateway.config.splice import Edits, Entry, NotEditable, content, is_empty


def key_line(digest: str, label: str) -> str:
    """Return the entry of a new key in an account's list of keys."""
    return f"{{sha256: {digest}, label: {label}}}"


def add_account(text: str, name: str, key: str) -> str:
    """Return the text with a new account at the end of `accounts`. `key` is its `key_line`."""
    edits = Edits(text)
    accounts = edits.find(("accounts",))
    account = {"keys": content(Edits(f"[{key}]").root)}
    block, flow = [f"{name}:", "  keys:", f"    - {key}"], f"{name}: {{keys: [{key}]}}"
    if isinstance(accounts, MappingNode):
        edits.append(accounts, [*blank_between(edits, accounts), *block], flow)
    elif accounts is None and isinstance(edits.root, MappingNode):
        edits.append(edits.root, ["accounts:", *("  " + line for line in block)], f"accounts: {{{flow}}}")
    elif accounts is not None and is_empty(accounts):
        header = next(entry.key for entry in edits.entries(edits.root) if entry.value is accounts)
        edits.insert_lines(edits.line_end(header.end_mark.index if header else 0), 2, block)
    else:
        raise NotEditable("accounts is no mapping")

    def change(wanted: Any) -> None:
        wanted["accounts"] = {**(wanted.get("accounts") or {}), name: account}

    return edits.result(change)


def blank_between(edits: Edits, accounts: MappingNode) -> list[str]:
    """Return an empty line if the accounts of a block are separated so."""
    if accounts.flow_style or len(accounts.value) < 2:
        return []
    first, second, *_ = edits.entries(accounts)
    return [""] if "" in map(str.strip, edits.text[first.end : second.start].splitlines()[1:-1]) else []


def remove_account(text: str, name: str) -> str:
    """Return the text without an account, its comments included."""
    edits = Edits(text)
    accounts = edits.find(("accounts",))
    for entry in edits.entries(accounts):
        if entry.key is not None and entry.key.value == name and isinstance(accounts, CollectionNode):
            edits.remove(accounts, entry)

    def change(wanted: Any) -> None:
        del wanted["accounts"][name]
        wanted["accounts"] = wanted["accounts"] or ({} if getattr(accounts, "flow_style", False) else None)

    return edits.result(change)


def rotate_keys(text: str, name: str, key: str, end: str, now: datetime) -> str:
    """Return the text with a new key in an account's list, and with an end at each key that would end later.

    Keys that have ended are removed. `end` is written as in YAML.
    """
    edits = Edits(text)
    keys = edits.find(("accounts", name, "keys"))
    if isinstance(keys, ScalarNode) and not is_empty(keys):
        return rotate_only_key(edits, keys, name, key, end)
    if not isinstance(keys, SequenceNode):
        raise NotEditable("keys is no list")
    wanted_keys: list[Any] = []
    for entry in edits.entries(keys):
        known = content(entry.value)
        expires = end_of_key(known)
        if expires is not None and expires <= now:
            edits.remove(keys, entry)
            continue
        if expires is None or expires > moment(end):
            set_end(edits, keys, entry, end)
            known = with_end(known, end)
        wanted_keys.append(known)
    edits.append(keys, [f"- {key}"], key)
    wanted_keys.append(content(Edits(key).root))
    return edits.result(lambda wanted: wanted["accounts"][name].update(keys=wanted_keys))


def end_of_key(known: Any) -> datetime | None:
    """Return the end that a key's entry gives, if any. Raises NotEditable if it is no time, such as `!env NAME`."""
    if not isinstance(known, dict) or "expires" not in known:
        return None
    try:
        tag, text = known["expires"]
        return moment("" if tag.startswith("!") else text)
    except (TypeError, ValueError, vol.Invalid):
        raise NotEditable("the end of a key is not written as a time") from None


def rotate_only_key(edits: Edits, only: ScalarNode, name: str, key: str, end: str) -> str:
    """Return the text with a list in the place of a single key, `keys: !env NAME`."""
    start, stop = only.start_mark.index, only.end_mark.index
    edits.splice(start, stop, f"[{{key: {edits.text[start:stop]}, expires: {end}}}, {key}]")
    both = [with_end(content(only), end), content(Edits(key).root)]
    return edits.result(lambda wanted: wanted["accounts"][name].update(keys=both))


def with_end(known: Any, end: str) -> Mapping[str, Any]:
    """Return the content of a key's entry with this end."""
    entry = dict(known) if isinstance(known, dict) else {"key": known}
    return {**entry, "expires": content(Edits(end).root)}


def set_end(edits: Edits, keys: SequenceNode, entry: Entry, end: str) -> None:
    """Set the `expires` of a key, whose entry is a mapping or the key alone."""
    node: Node = entry.value
    if isinstance(node, MappingNode):
        for inner in edits.entries(node):
            if inner.key is not None and inner.key.value == "expires":
                edits.splice(inner.value.start_mark.index, inner.value.end_mark.index, end)
                return
        edits.append(node, [f"expires: {end}"], f"expires: {end}")
    elif keys.flow_style:
        edits.splice(entry.start, entry.start, "{key: ")
        edits.splice(entry.end, entry.end, f", expires: {end}}}")
    else:
        edits.splice(entry.start, entry.start, "key: ")
        edits.insert_lines(edits.line_end(entry.end), edits.column(entry) + 2, [f"expires: {end}"])
