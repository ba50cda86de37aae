"""Edits of accounts in a YAML text: each line that is not edited stays as it is."""

from __future__ import annotations

import contextlib
import difflib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import account_edits
from gateway.config.account_edits import add_account, remove_account, rotate_keys
from gateway.config.splice import Edits, NotEditable, content

KEY = account_edits.key_line("5e" * 32, "new")
NOW = datetime(2026, 11, 28, tzinfo=UTC)
END = "2026-12-05T00:00:00Z"
TEXT = """\
# The file of acme.
tenant:   acme   # a reseller

accounts:
  # The first client.
  shop:
    keys:
      - plain-key-of-the-shop   # in clear text
      - key: !env ENDED_KEY
        expires: 2026-01-31T00:00:00Z
      - sha256: "00"
        label: old
    routes: {}     # none yet
    #routes: {a: {sink: csv}}

  # Printed in Utrecht.
  posters: {keys: !file posters.key, rate: 5}

  maps:
    keys: ['a-key', {sha256: '11', expires: 2026-12-01T00:00:00Z}]
    routes:
      # erp: {sink: odoo}

# The end.
"""


def rotate(text: str, name: str) -> str:
    return rotate_keys(text, name, KEY, END, NOW)


def changed(before: str, after: str) -> list[str]:
    """Return the lines that went and came, with - and +."""
    lines = difflib.unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), n=0)
    return [line.rstrip("\r\n") for line in [*lines][2:] if line[0] in "+-"]


def test_an_account_is_added_after_the_last_one_and_its_comments() -> None:
    assert changed(TEXT, add_account(TEXT, "north", KEY)) == [
        "+  north:",
        "+    keys:",
        f"+      - {KEY}",
        "+",
    ]
    assert "      # erp: {sink: odoo}\n\n  north:\n" in add_account(TEXT, "north", KEY)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("tenant: a", f"\naccounts:\n  north:\n    keys:\n      - {KEY}"),
        ("tenant: a\naccounts:\n", f"accounts:\n  north:\n    keys:\n      - {KEY}\n"),
        ("accounts: # none\ntenant: a\n", f"accounts: # none\n  north:\n    keys:\n      - {KEY}\ntenant: a\n"),
        ("accounts: {}\n", f"accounts: {{north: {{keys: [{KEY}]}}}}\n"),
        ("{accounts: {a: {keys: [x]}, }}\n", f"{{accounts: {{a: {{keys: [x]}},  north: {{keys: [{KEY}]}}}}}}\n"),
        ("accounts:\n    a: &x {keys: [y]}\n    b: *x # b\n", f"# b\n    north:\n      keys:\n        - {KEY}\n"),
    ],
)
def test_an_account_is_added_to_any_form_of_a_file(text: str, end: str) -> None:
    assert add_account(text, "north", KEY).endswith(end)


@pytest.mark.parametrize("text", ["", "[]", "accounts: 5", "accounts: [", "x: &x {a: {}}\naccounts: *x", "a: {<<: *x}"])
def test_a_form_that_can_not_be_edited_is_refused(text: str) -> None:
    with pytest.raises(NotEditable):
        add_account(text, "north", KEY)


def test_an_account_goes_with_its_comments() -> None:
    gone = changed(TEXT, remove_account(TEXT, "shop"))
    assert gone[0] == "-  # The first client."
    assert gone[-2:] == ["-    #routes: {a: {sink: csv}}", "-"]
    assert "accounts:\n  # Printed" in remove_account(TEXT, "shop")
    assert changed(TEXT, remove_account(TEXT, "posters")) == [
        "-  # Printed in Utrecht.",
        "-  posters: {keys: !file posters.key, rate: 5}",
        "-",
    ]
    assert remove_account(TEXT, "maps").endswith("rate: 5}\n\n# The end.\n")


def test_the_only_account_leaves_an_empty_mapping() -> None:
    assert remove_account("accounts:\n  a: {keys: [x]}\n", "a") == "accounts:\n"
    assert remove_account("accounts: {a: {keys: [x]}} # b\n", "a") == "accounts: {} # b\n"
    assert remove_account("accounts: {a: {}, b: {}, c: {}}\n", "b") == "accounts: {a: {}, c: {}}\n"
    assert remove_account("accounts: {a: {}, b: {}}\n", "b") == "accounts: {a: {}}\n"


def test_keys_in_a_block_get_an_end_and_ended_ones_go() -> None:
    assert changed(TEXT, rotate(TEXT, "shop")) == [
        "-      - plain-key-of-the-shop   # in clear text",
        "-      - key: !env ENDED_KEY",
        "-        expires: 2026-01-31T00:00:00Z",
        "+      - key: plain-key-of-the-shop   # in clear text",
        f"+        expires: {END}",
        f"+        expires: {END}",
        f"+      - {KEY}",
    ]


def test_a_single_key_becomes_a_list() -> None:
    assert changed(TEXT, rotate(TEXT, "posters"))[-1] == (
        f"+  posters: {{keys: [{{key: !file posters.key, expires: {END}}}, {KEY}], rate: 5}}"
    )


def test_keys_in_brackets_get_an_end_unless_they_end_before() -> None:
    assert changed(TEXT, rotate(TEXT, "maps"))[-1] == (
        f"+    keys: [{{key: 'a-key', expires: {END}}}, {{sha256: '11', expires: 2026-12-01T00:00:00Z}}, {KEY}]"
    )
    later = TEXT.replace("2026-12-01", "2030-12-01")
    assert f"{{sha256: '11', expires: {END}}}, {KEY}]" in rotate(later, "maps")


@pytest.mark.parametrize(
    "keys", ["{}", "", "[!env A, &y {key: b}, *y]", "[{key: a, expires: !env END}]", "[{key: a, expires: }]"]
)
def test_keys_that_can_not_be_edited_are_refused(keys: str) -> None:
    with pytest.raises(NotEditable):
        rotate(f"x: &x text\naccounts:\n  a:\n    keys: {keys}\n", "a")


ACCOUNTS = st.sampled_from(
    [
        "  {}: {{keys: [a, !env B]}}\n",
        "  # A comment.\n  {}:\n    keys:\n    - a # b\n    # c\n    - {{key: d}}\n",
        "  {}:\n\n    keys: !env A\n    rate: 5\n",
        "  {}:\n    keys:\n      - key: >-\n          a\n\n    routes:\n      #x\n",
        "  {}:\n    routes: {{}}\n    keys:\n      - sha256: a\n        label: b\n  \n",
        "  '{}': {{\n    keys: [a, # one\n      b, ], # two\n  }}\n",
    ]
)


@given(st.lists(ACCOUNTS, min_size=1, max_size=4), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\n", "#e\n"]))
def test_other_accounts_keep_every_byte(forms: list[str], line_break: str, tail: str) -> None:
    parts = [form.format(f"a{number}").replace("\n", line_break) for number, form in enumerate(forms)]
    text = "".join([f"accounts:{line_break}", *parts, tail])
    for number in range(len(parts)):
        after = rotate(text, f"a{number}")
        assert all(part in after for part in parts[:number] + parts[number + 1 :])
        assert list(content(Edits(remove_account(text, f"a{number}")).root)["accounts"] or {}) == [
            f"a{other}" for other in range(len(parts)) if other != number
        ]
    after = add_account(text, "north", KEY)
    assert [line for line in changed(text, after) if line.startswith("-")] == []


PIECES = [
    *("accounts:", "a:", "keys:", "- ", "-", "{a, b: 1}", "[x, ]", "!env K"),
    *("&n v", "*n", "# c", "|", "'q'", "\n", "\n  ", "\n    "),
]
"""Pieces of YAML; most ways to join them give no YAML, or an unusual form."""


@given(st.lists(st.sampled_from(PIECES), max_size=14).map(" ".join))
def test_any_text_is_edited_or_refused(text: str) -> None:
    for edit in (lambda: add_account(text, "north", KEY), lambda: remove_account(text, "a"), lambda: rotate(text, "a")):
        with contextlib.suppress(NotEditable):
            assert content(Edits(edit()).root) is not None
