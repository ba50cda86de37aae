"""Tokens and users of the admin listener in the configuration."""

from __future__ import annotations

import pytest

from gateway.config import Access, ProxyAuth, needs_restart
from gateway.errors import ConfigError
from tests.unit.config.folder import Folder

ACCOUNT = "tenant: acme\naccounts: {shop: {keys: [a-key-of-the-shop]}}\n"
DIGEST, OTHER = "ab" * 32, "cd" * 32


def admin(settings: str) -> str:
    return f"admin: {{{settings}}}\n{ACCOUNT}"


def test_without_tokens_there_is_no_api(folder: Folder) -> None:
    found = folder.load(admin("")).admin
    assert found is not None
    assert not found.has_api


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ("listen: '0.0.0.0:8081'", True),
        ("listen: ['127.0.0.1:8081', 'gateway.example:8081']", True),
        ("listen: ['127.0.0.1:8081', '[::1]:8081', 'localhost:8082', 'unix:/run/admin.sock']", False),
        (f"listen: '0.0.0.0:8081', tokens: [{{name: a, sha256: {DIGEST}, role: operator}}]", False),
    ],
)
def test_an_open_listener_without_tokens_is_a_warning(folder: Folder, settings: str, warned: bool) -> None:
    found = [str(warning) for warning in folder.load(admin(settings)).warnings]
    assert [": admin.listen: other machines reach" in warning for warning in found] == [True] * warned


def test_tokens_and_users_have_their_roles(folder: Folder) -> None:
    users = "users: [{name: ann, role: account, account: shop}, {name: '*', role: tenant, tenant: acme}]"
    found = folder.load(
        admin(
            f"tokens: [{{name: oncall, sha256: {DIGEST}, role: operator}}, "
            f"{{name: acme, sha256: {OTHER}, role: tenant, tenant: acme}}], "
            f"proxy_auth: {{header: Remote-User, trusted: 10.0.0.1, {users}}}"
        )
    ).admin
    assert found is not None
    assert found.has_api
    assert [token.access for token in found.tokens] == [
        Access("oncall", "operator"),
        Access("acme", "tenant", tenant="acme"),
    ]
    assert isinstance(found.proxy_auth, ProxyAuth)
    assert (found.proxy_auth.header, found.proxy_auth.trusted) == ("remote-user", ("10.0.0.1/32",))
    assert found.proxy_auth.find("ann") == Access("ann", "account", account="shop")
    assert found.proxy_auth.find("bob") == Access("bob", "tenant", tenant="acme")


def test_a_user_without_an_entry_may_nothing() -> None:
    assert ProxyAuth("remote-user", ("10.0.0.1/32",), (Access("ann", "operator"),)).find("bob") is None


TOKEN = f"name: a, sha256: {DIGEST}"
USER = "proxy_auth: {trusted: [10.0.0.1], users: [{name: ann, role: tenant, tenant: acne}]}"
ERRORS = [
    (f"tokens: [{{{TOKEN}}}]", "admin.tokens[0].role: required"),
    (
        f"tokens: [{{{TOKEN}, role: boss}}]",
        "admin.tokens[0].role: expected one of operator, tenant, account",
    ),
    (f"tokens: [{{{TOKEN}, role: tenant}}]", "admin.tokens[0].tenant: required, because the role is tenant"),
    (
        f"tokens: [{{{TOKEN}, role: operator, account: shop}}]",
        "admin.tokens[0].account: only an entry with the role account has one",
    ),
    (
        f"tokens: [{{{TOKEN}, role: account, account: shpo}}]",
        "admin.tokens[0].account: there is no account 'shpo'; did you mean 'shop'?",
    ),
    (
        f"tokens: [{{{TOKEN}, role: operator}}, {{name: a, sha256: {OTHER}, role: operator}}]",
        "admin.tokens[1]: the name 'a' is given twice",
    ),
    (
        f"tokens: [{{{TOKEN}, role: operator}}, {{name: b, sha256: {DIGEST}, role: operator}}]",
        "admin.tokens[1]: this token is given twice",
    ),
    (USER, "admin.proxy_auth.users[0].tenant: there is no tenant 'acne'; did you mean 'acme'?"),
    ("proxy_auth: {users: [{name: a, role: operator}]}", "admin.proxy_auth.trusted: required"),
    ("proxy_auth: {trusted: [10.0.0.1]}", "admin.proxy_auth.users: required"),
    (
        "proxy_auth: {header: 'a: b', trusted: [10.0.0.1], users: [{name: a, role: operator}]}",
        "admin.proxy_auth.header: expected the name of a header, such as x-forwarded-user",
    ),
]


@pytest.mark.parametrize(("settings", "message"), ERRORS, ids=[message for _, message in ERRORS])
def test_errors_name_the_setting(folder: Folder, settings: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        folder.load(admin(settings))
    assert f": {message}" in str(caught.value)
    assert DIGEST not in str(caught.value)


def test_tokens_change_without_a_restart(folder: Folder) -> None:
    before, after = (folder.load(admin(settings)) for settings in ("", f"tokens: [{{{TOKEN}, role: operator}}]"))
    assert needs_restart(before, after) == []
    assert needs_restart(before, folder.load(ACCOUNT)) == ["admin"]
