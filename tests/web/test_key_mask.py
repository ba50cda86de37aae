"""A key that a sender puts into a URL is never logged, also one of which only the digest is configured."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from structlog.testing import capture_logs
from tornado import web

from gateway.keys import hash_key
from gateway.metrics import Observer
from gateway.model import Key
from gateway.web.admin.app import make_admin_app
from gateway.web.key_mask import LONGEST, SHOWN, KeyMask
from tests.support.accounts import make_account, make_accounts
from tests.support.listener import Gateway
from tests.support.wire import Connect, head

KEYS = {
    "words": "shaOnly-FRAGKEYSHA2xx-5566",
    "hex": "13b37bb1ed6d3403e158abe719b4f6d0",
    "specials": "pa/ss:w&rd+x=\"y'z%41",
    "non-ascii": "schlüssel-Straße-17",
}
PATHS = {
    "alone": "/{}",
    "as the account": "/signals/{}",
    "behind the account": "/signals/bookshop/{}",
    "behind a stranger": "/signals/nobody/{}/x",
    "before": "/{}/signals/bookshop",
    "with a colon": "/signals/nobody:{}",
    "as a parameter": "/signals/nobody;apikey={}",
    "as a query that is encoded": "/signals/nobody%3Fapikey={}",
    "as a query": "/signals/nobody?apikey={}",
    "doubled slashes": "//signals//{}//",
}


def mask_of(key: str) -> KeyMask:
    accounts = make_accounts(keys=(Key(hash_key(key), "main"),))
    return KeyMask(lambda: accounts)


def as_sent(text: str) -> str:
    """Return a path as the listener reads it: each byte as one character."""
    return text.encode().decode("latin-1")


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("encode", [quote, lambda key: quote(key, safe=""), lambda key: quote(quote(key, safe=""))])
def test_a_key_in_a_path_is_masked(key: str, path: str, encode: object) -> None:
    assert callable(encode)
    shown = mask_of(key).path(path.format(encode(key)))
    assert "***" in shown
    assert key not in shown
    assert encode(key) not in shown


@pytest.mark.parametrize("key", [KEYS["words"], KEYS["hex"], KEYS["non-ascii"]])
def test_a_key_as_it_is_typed_is_masked(key: str) -> None:
    assert mask_of(key).path(as_sent(f"/signals/{key}")) == "/signals/***"


@pytest.mark.parametrize("text", ["shop{}", "{}x", "UPPER-{}"])
def test_a_key_in_the_vendors_form_is_masked_amid_letters(text: str) -> None:
    shown = mask_of("another-key-entirely").path("/signals/" + text.format(KEYS["hex"].upper()))
    assert shown == "/signals/" + text.format("***")


@pytest.mark.parametrize("key", [*KEYS.values(), "only-lower-case-words"])
@pytest.mark.parametrize(
    "around", ["{}.", "{}!", "{}~", "{}*", "${}", ".{}", "-{}", "{}%0A", "{}%00", "{}.json", "{}_"]
)
def test_a_key_with_a_stray_character_is_masked(key: str, around: str) -> None:
    encoded = quote(key, safe="")
    shown = mask_of(key).path("/x/" + around.format(encoded))
    assert "***" in shown
    assert encoded not in shown


@pytest.mark.parametrize(
    "text", [KEYS["words"].lower(), "my" + KEYS["words"], KEYS["words"] + "%EF%BB%BF", KEYS["words"][2:]]
)
def test_a_mistyped_key_is_masked(text: str) -> None:
    assert mask_of(KEYS["words"]).path(f"/signals/{text}/x") == "/signals/***/x"


def test_a_long_name_of_an_account_is_shown() -> None:
    accounts = {"bookshop-of-acme-2026": make_account("bookshop-of-acme-2026")}
    mask = KeyMask(lambda: accounts)
    assert mask.path("/signals/bookshop-of-acme-2026/x") == "/signals/bookshop-of-acme-2026/x"
    assert mask.path("/signals/bookshop-of-the-north") == "/signals/bookshop-of-the-north"


@pytest.mark.parametrize("path", ["/", "/signals/bookshop", "/signals/bookshp", "/wp-login.php", "/a%20b", "//", "*"])
def test_other_paths_are_shown_as_sent(path: str) -> None:
    assert mask_of(KEYS["words"]).path(path) == path


def test_a_long_path_is_cut_and_shows_no_part_of_a_key() -> None:
    key = KEYS["words"]
    mask = mask_of(key)
    for filler in range(0, LONGEST, 7):
        shown = mask.path(f"/{'x/' * (filler // 2)}{key}")
        assert len(shown) <= SHOWN
        assert key[:4] not in shown


def test_an_accounts_name_is_shown_and_a_key_in_its_place_is_not() -> None:
    mask = mask_of(KEYS["words"])
    assert mask.account("bookshop") == "bookshop"
    assert mask.account("nobody") == "nobody"
    assert mask.account(KEYS["words"]) == "***"


def test_a_key_that_a_reload_removed_stays_masked() -> None:
    accounts = make_accounts(keys=(Key(hash_key(KEYS["words"]), "main"),))
    mask = KeyMask(lambda: accounts)
    mask.learn()
    accounts = make_accounts()
    assert mask.path(f"/signals/{KEYS['words']}") == "/signals/***"


# -- over the wire


@pytest.mark.gen_test
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("key", [KEYS["words"], KEYS["hex"]])
async def test_no_log_line_has_the_key(wire: Connect, gateway: Gateway, path: str, key: str) -> None:
    gateway.restrict(keys=(Key(hash_key(key), "main"),))
    with capture_logs() as logs:
        for method in ("POST", "GET"):
            async with wire() as connection:
                await connection.write(head("Content-Length: 2", method=method, path=path.format(key)), b"{}")
                assert await connection.code() in (401, 404, 405)
    assert logs
    assert key not in repr(logs)


class TestAdmin:
    """Paths on the admin listener."""

    @pytest.fixture
    def app(self) -> web.Application:
        return make_admin_app(dict, Observer(), mask_of(KEYS["words"]))

    @pytest.mark.gen_test
    @pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
    async def test_no_log_line_has_the_key(self, wire: Connect, path: str) -> None:
        key = KEYS["words"]
        with capture_logs() as logs:
            for method in ("POST", "GET"):
                async with wire() as connection:
                    await connection.write(head("Content-Length: 2", method=method, path=path.format(key)), b"{}")
                    assert await connection.code() == 404
        assert logs
        assert key not in repr(logs)
