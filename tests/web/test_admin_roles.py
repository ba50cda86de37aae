"""Roles: every endpoint with every role, on its own things, on another tenant's, and on things that are nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from gateway.web.admin.app import API
from tests.support.api import FOREIGN, Client

pytestmark = pytest.mark.gen_test

NOWHERE = {"account": "nosuchshop", "id": "999999", "route": "erp", "reference": "PO-1", "order": "1"}
OF_REPLAYS = {"bookshop": 1, FOREIGN: 2}
"""Ids of replays by account."""
READ = {"operator": 200, "tenant": 200, "account": 200}
CHANGE = {"operator": 200, "tenant": 200, "account": 403}
ENDPOINTS: Mapping[tuple[str, str], Mapping[str, int]] = {
    ("GET", "accounts"): READ,
    ("GET", "accounts/{account}"): READ,
    ("GET", "accounts/{account}/routes"): READ,
    ("POST", "accounts/{account}/routes/{route}/pause"): CHANGE,
    ("POST", "accounts/{account}/routes/{route}/resume"): CHANGE,
    ("PUT", "accounts/{account}/known-orders/{reference}"): {**CHANGE, "operator": 201, "tenant": 201},
    ("GET", "signals"): READ,
    ("GET", "signals/{id}"): READ,
    ("GET", "signals/{id}/explain"): READ,
    ("GET", "orders"): READ,
    ("GET", "orders/{account}/{order}"): READ,
    ("GET", "deliveries"): READ,
    ("GET", "dead"): READ,
    ("GET", "quarantine"): READ,
    ("GET", "alerts"): READ,
    ("POST", "alerts/{id}/acknowledge"): CHANGE,
    ("GET", "actions"): READ,
    ("GET", "replays"): READ,
    ("POST", "replays"): dict.fromkeys(READ, 202),
    ("GET", "replays/{id}"): READ,
    ("DELETE", "replays/{id}"): READ,
}
"""The answer of each endpoint to each role, for things that the role sees."""
ROLES = list(READ)
Names = Mapping[str, Mapping[str, Any]]
WITHOUT_FILTER = ["accounts", "replays"]
"""Lists that can't be narrowed to one account."""
NARROW = ["tenant", "account"]
"""Roles that don't see everything."""
LISTS = [pattern for method, pattern in ENDPOINTS if method == "GET" and "{" not in pattern]
ENDLESS = "stream"
"""The endpoint that never ends; tests/web/test_admin_stream.py tests its roles."""


def test_every_endpoint_is_in_the_table() -> None:
    assert {(method, path.pattern) for path in API for method in path.methods} == {*ENDPOINTS, ("GET", ENDLESS)}


def seen(response: HTTPResponse) -> tuple[int, Mapping[str, str], bytes]:
    """Return all that a caller sees of an answer, but for the time."""
    headers = {name: value for name, value in response.headers.get_all() if name != "Date"}
    return response.code, headers, response.body


@pytest.fixture
def names(dead: dict[str, int], alerts: dict[str, int]) -> Names:
    """The names of the things of each account. `{id}` is that of the noun that the path begins with."""
    return {
        account: {
            **NOWHERE,
            "account": account,
            "order": f"{account}-1",
            "ids": {"signals": dead[account], "replays": OF_REPLAYS[account], "alerts": alerts[account]},
        }
        for account in ("bookshop", FOREIGN)
    }


async def ask(
    api: Client, method: str, pattern: str, names: Mapping[str, Any], role: str | None, **options: Any
) -> HTTPResponse:
    """Send a request for a thing, with a small body where one is needed."""
    found = {**names, "id": names.get("ids", {}).get(pattern.partition("/")[0], names["id"])}
    body = {"account": names["account"], "dry_run": True} if (method, pattern) == ("POST", "replays") else None
    return await api.ask(method, pattern.format(**found), role, body, **options)


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_may_do_this_with_its_own(api: Client, names: Names, role: str) -> None:
    own = {**names["bookshop"], "reference": f"PO-{role}"}
    found = {(method, pattern): (await ask(api, method, pattern, own, role)).code for method, pattern in ENDPOINTS}
    assert found == {key: codes[role] for key, codes in ENDPOINTS.items()}


@pytest.mark.parametrize("role", NARROW)
async def test_a_foreign_thing_is_answered_as_one_that_is_nowhere(api: Client, names: Names, role: str) -> None:
    for (method, pattern), codes in ENDPOINTS.items():
        if "{" in pattern:
            answers = [await ask(api, method, pattern, each, role) for each in (names[FOREIGN], NOWHERE)]
            assert seen(answers[0]) == seen(answers[1]), pattern
            assert answers[0].code == (403 if codes[role] == 403 else 404), pattern


@pytest.mark.parametrize("role", ROLES)
async def test_a_list_shows_nothing_foreign(api: Client, names: Names, role: str) -> None:
    for pattern in LISTS:
        response = await api.ask("GET", pattern, role)
        assert b"bookshop" in response.body, pattern
        assert (FOREIGN.encode() in response.body) == (role == "operator"), pattern


@pytest.mark.parametrize("role", NARROW)
async def test_a_filter_by_a_foreign_account_finds_nothing(api: Client, names: Names, role: str) -> None:
    for pattern in LISTS:
        if pattern not in WITHOUT_FILTER:
            answers = [await api.ask("GET", f"{pattern}?account={name}", role) for name in (FOREIGN, "nosuchshop")]
            assert seen(answers[0]) == seen(answers[1]), pattern
            assert answers[0].body == b"[]", pattern


async def test_without_a_token_every_endpoint_is_closed(api: Client, names: Names) -> None:
    for number, (method, pattern) in enumerate(ENDPOINTS):
        # Each pair from an address of its own, because wrong tokens are limited.
        sender = {"X-Forwarded-For": f"192.0.2.{number}"}
        answers = [await ask(api, method, pattern, each, None, headers=sender) for each in (names[FOREIGN], NOWHERE)]
        assert seen(answers[0]) == seen(answers[1]), pattern
        assert answers[0].code == 401, pattern
