"""Keys of accounts: what is wrong with one, keys given twice, and keys that end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.config import find_key_ends, review
from gateway.errors import ConfigError
from gateway.keys import find_fault, hash_key
from tests.unit.config.folder import Folder

KEY = "13b37bb1ed6d3403e158abe719b4f6d0"
OTHER = "a-key-that-people-chose"
NOW = datetime(2026, 11, 28, tzinfo=UTC)

GOOD = [KEY, OTHER, "x" * 16, "schlüssel-für-bücher", "a+b/c=d==e.f,g;h:i", "p$ssw0rd-of-a-shop"]
BAD = {
    "begins with a byte order mark": ["\ufeff" + KEY],
    "has spaces or line breaks around it": [f" {KEY}", f"{KEY}\n", f"\t{KEY}", f"{KEY}\r", f"\u00a0{KEY}"],
    "has quotes around it": [
        f'"{KEY}"',
        f"'{KEY}'",
        f"`{KEY}`",
        f"\u201c{KEY}\u201d",
        f"\u00ab{KEY}\u00bb",
        f"\u201e{KEY}\u201c",
    ],
    "has a quotation mark in it": [f'"{KEY}', f"{KEY}'", f'{KEY[:9]}"{KEY[9:]}'],
    "can't be seen in it": [
        f"{KEY[:9]} {KEY[9:]}",
        f"{KEY[:9]}\n{KEY[9:]}",
        f"{KEY}\x00",
        f"{KEY}\u200b",
        f"{KEY[:9]}\ufeff{KEY[9:]}",
        f"{KEY}\ufeff",
    ],
    "is the name of a variable": ["${BOOKSHOP_KEY}", "$BOOKSHOP_KEY", "%BOOKSHOP_KEY%"],
    "is shorter than 16 characters": ["x", "acme-books", "a" * 15],
}


@pytest.mark.parametrize("key", GOOD)
def test_a_good_key(key: str) -> None:
    assert find_fault(key) == ""


@pytest.mark.parametrize(("fault", "key"), [(fault, key) for fault, keys in BAD.items() for key in keys])
def test_a_bad_key_is_refused_wherever_it_comes_from(folder: Folder, fault: str, key: str) -> None:
    assert fault in find_fault(key)
    errors = folder.errors("accounts: {shop: {keys: [!env SHOP_KEY]}}\n", env={"SHOP_KEY": key})
    assert [fault in error for error in errors] == [True]
    assert key not in errors[0]
    assert errors[0].startswith("gateway.yaml:1: accounts.shop.keys[0]: ")
    if not key.endswith(("\n", "\r")):  # one line break at the end of a file is no part of the key
        errors = folder.errors("accounts: {shop: {keys: [{key: !file 'key'}]}}\n", {"key": key.encode()})
        assert [fault in error for error in errors] == [True]


@pytest.mark.parametrize("empty", ["", "\n", "\r\n"])
def test_the_digest_of_nothing_is_no_key(folder: Folder, empty: str) -> None:
    (error,) = folder.errors(f"accounts: {{shop: {{keys: [{{sha256: {hash_key(empty).hex()}}}]}}}}\n")
    assert "keys[0].sha256: the digest of an empty text" in error


# -- one key given twice

FORMS = {
    "plain": KEY,
    "mapping": f"{{key: {KEY}, label: old}}",
    "digest": f"{{sha256: {hash_key(KEY).hex()}}}",
    "upper": f"{{sha256: {hash_key(KEY).hex().upper()}, expires: 2027-01-31T00:00:00Z}}",
    "env": "!env SHOP_KEY",
}


@pytest.mark.parametrize("first", FORMS)
@pytest.mark.parametrize("second", FORMS)
def test_a_key_of_two_accounts_names_both(folder: Folder, first: str, second: str) -> None:
    files = {
        "north.yaml": f"tenant: north\naccounts:\n  a: {{keys: [{OTHER}, {FORMS[first]}]}}\n",
        "south.yaml": f"tenant: south\naccounts:\n  b:\n    keys:\n      - {FORMS[second]}\n",
    }
    assert folder.errors("include: '*th.yaml'\n", files, {"SHOP_KEY": KEY}) == [
        "south.yaml:5: accounts.b.keys[0]: the account a has this key too, keys[1] in north.yaml:3; "
        "each account needs a key of its own"
    ]


def test_a_key_given_twice_in_one_account(folder: Folder) -> None:
    text = f"accounts:\n  a:\n    keys:\n      - {KEY}\n      - {FORMS['digest']}\n"
    assert folder.errors(text) == [
        "gateway.yaml:5: accounts.a.keys[1]: this key is also keys[0] in gateway.yaml:4; remove one of the two"
    ]


@pytest.mark.parametrize(
    "labels", [(", label: old", ", label: old"), (", label: key-2", ""), ("", ", label: x", ", label: x")]
)
def test_labels_of_an_accounts_keys_differ(folder: Folder, labels: tuple[str, ...]) -> None:
    keys = ", ".join(f"{{key: key-number-{n}-of-the-shop{label}}}" for n, label in enumerate(labels, 1))
    (error,) = folder.errors(f"accounts: {{a: {{keys: [{keys}]}}}}\n")
    assert f"accounts.a.keys[{len(labels) - 1}]: two keys of the account have the label" in error


def test_every_further_account_is_told(folder: Folder) -> None:
    text = "accounts:\n" + "".join(f"  {name}: {{keys: [{KEY}]}}\n" for name in "abc")
    assert [error.partition(": the account")[0] for error in folder.errors(text)] == [
        "gateway.yaml:3: accounts.b.keys[0]",
        "gateway.yaml:4: accounts.c.keys[0]",
    ]


# -- keys that end


def ending(folder: Folder, *ends: timedelta | None) -> list[str]:
    """Return the warnings on an account whose keys end so long after NOW."""
    lines = ["accounts:", "  shop:", "    keys:"]
    for number, end in enumerate(ends):
        until = f", expires: {(NOW + end).isoformat()}" if end is not None else ""
        lines.append(f"      - {{key: key-number-{number}-of-the-shop, label: key {number}{until}}}")
    return list(map(str, review(folder.load("\n".join(lines)), NOW)))


def test_a_key_that_ended_or_ends_soon_is_a_warning(folder: Folder) -> None:
    day = timedelta(days=1)
    assert ending(folder, None, 15 * day) == []
    assert ending(folder, None, -day, 14 * day) == [
        "gateway.yaml:5: accounts.shop.keys[1]: the key 'key 1' ended at 2026-11-27 00:00 UTC",
        "gateway.yaml:6: accounts.shop.keys[2]: the key 'key 2' ends at 2026-12-12 00:00 UTC",
    ]
    assert len(ending(folder, day)) == 1


@pytest.mark.parametrize("ends", [(-1,), (0,), (-3, -1)])
def test_an_account_whose_keys_have_all_ended_is_an_error(folder: Folder, ends: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        ending(folder, *(timedelta(days=days) for days in ends))
    last = f"{NOW + timedelta(days=ends[-1]):%Y-%m-%d} 00:00 UTC"
    assert str(caught.value) == (
        f"gateway.yaml:4: accounts.shop.keys: every key has ended, the last at {last}: add a valid one"
    )


def test_a_configuration_is_loaded_whenever_it_is_read(folder: Folder) -> None:
    config = folder.load(f"accounts: {{shop: {{keys: [{{key: {KEY}, expires: 2020-01-31T00:00:00Z}}]}}}}\n")
    assert len(list(find_key_ends(config.key_places, NOW))) == 1
