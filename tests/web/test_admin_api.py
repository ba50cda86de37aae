"""The API's endpoints: their pages, filters, changes and problems."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tornado.httpclient import HTTPResponse

from gateway.config import Config
from gateway.store import Store
from gateway.store.values import Filter
from tests.support.api import Client

pytestmark = pytest.mark.gen_test


def problem(response: HTTPResponse) -> dict[str, Any]:
    assert response.headers["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = orjson.loads(response.body)
    assert found["status"] == response.code
    return found


async def follow(api: Client, path: str) -> list[Any]:
    """Return the rows of all pages, which must be full but for the last."""
    rows: list[Any] = []
    link = f"/api/v1/{path}"
    while link:
        response = await api.ask("GET", link.removeprefix("/api/v1/"))
        rows += orjson.loads(response.body)
        given = response.headers.get("Link", "")
        assert not given or given.endswith('; rel="next"')
        link = given[1:].partition(">")[0]
    return rows


# -- lists


@pytest.mark.parametrize(
    ("path", "key"),
    [("signals", "id"), ("quarantine", "id"), ("actions", "id"), ("accounts", "account"), ("orders", "order")],
)
async def test_pages_of_one_row_are_the_whole_list(api: Client, dead: dict[str, int], path: str, key: str) -> None:
    whole = await api.get(path)
    assert [row[key] for row in await follow(api, f"{path}?limit=1")] == [row[key] for row in whole]
    assert len(whole) > 1


@pytest.mark.parametrize("path", ["deliveries", "dead"])
async def test_pages_of_deliveries_are_the_whole_list(api: Client, dead: dict[str, int], path: str) -> None:
    whole = await api.get(path)
    assert await follow(api, f"{path}?limit=1") == whole
    assert {row["account"] for row in whole} == {"bookshop", "printshop"}


@pytest.mark.parametrize(
    ("query", "orders"),
    [
        ("account=bookshop", ["bookshop-2", "bookshop-1", "bookshop-0"]),
        ("account=bookshop&state=dead", ["bookshop-1"]),
        ("order=PO-printshop-2", ["printshop-2"]),
        ("route=erp&limit=1", ["printshop-2"]),
        ("type=ItemError", []),
        ("until=2020-01-01T00:00:00Z", []),
        ("since=2020-01-01&account=bookshop&limit=1", ["bookshop-2"]),
    ],
)
async def test_signals_are_filtered(api: Client, dead: dict[str, int], query: str, orders: list[str]) -> None:
    assert [row["order"] for row in await api.get(f"signals?{query}")] == orders


async def test_a_link_keeps_the_filters(api: Client, dead: dict[str, int]) -> None:
    rows = await follow(api, "deliveries?limit=1&account=bookshop&since=2020-01-01T00:00:00%2B02:00")
    assert [row["account"] for row in rows] == ["bookshop"] * 3


async def test_an_account_has_its_state_backlog_and_keys_without_digests(
    api: Client, dead: dict[str, int], api_config: Config
) -> None:
    found = await api.get("accounts/bookshop")
    assert (found["state"], found["pending"]) == ("paused", 1)
    assert found["oldest_seconds"] > 0
    assert [key["label"] for key in found["keys"]] == ["key-1"]
    assert found == {**next(row for row in await api.get("accounts") if row["account"] == "bookshop"), **found}
    digests = [key.digest.hex() for account in api_config.accounts.values() for key in account.keys]
    assert not any(digest in orjson.dumps(found).decode() for digest in digests)


async def test_a_signal_is_shown_and_explained(api: Client, dead: dict[str, int]) -> None:
    found = await api.get(f"signals/{dead['bookshop']}")
    assert [attempt["reason"] for attempt in found["deliveries"][0]["failed_attempts"]] == ["no such order"]
    explained = await api.get(f"signals/{dead['bookshop']}/explain")
    assert [(each["route"], each["why"]) for each in explained] == [("erp", "dead"), ("alerts", "filtered")]


@pytest.mark.parametrize(
    ("query", "orders"),
    [
        ("account=bookshop", {"bookshop-0", "bookshop-1", "bookshop-2"}),
        ("account=bookshop&state=shipped", {"bookshop-0", "bookshop-1", "bookshop-2"}),
        ("state=problem", set()),
        ("stuck=2d&account=bookshop", set()),
        ("q=PO-printshop-1", {"printshop-1"}),
        ("q=printshop-1&account=bookshop", set()),
        ("since=2100-01-01", set()),
    ],
)
async def test_orders_are_filtered_and_found(api: Client, dead: dict[str, int], query: str, orders: set[str]) -> None:
    assert {row["order"] for row in await api.get(f"orders?{query}")} == orders


async def test_an_order_has_items_and_a_timeline(api: Client, dead: dict[str, int]) -> None:
    found = await api.get("orders/bookshop/bookshop-1")
    assert (found["state"], len(found["items"])) == ("shipped", 1)
    (entry,) = found["timeline"]
    assert [(route["route"], route["why"]) for route in entry["routes"]] == [("erp", "dead"), ("alerts", "filtered")]
    assert (await api.ask("GET", "orders/bookshop/PO-bookshop-1")).code == 404


async def test_who_has_the_answer_already_is_told_so(api: Client, dead: dict[str, int]) -> None:
    path = f"signals/{dead['bookshop']}"
    first = await api.ask("GET", path)
    again = await api.ask("GET", path, headers={"If-None-Match": first.headers["Etag"]})
    assert (again.code, again.body) == (304, b"")
    assert (await api.ask("HEAD", path)).code == 200


async def test_answers_have_the_fields_that_the_document_names(
    api: Client, dead: dict[str, int], alerts: dict[str, int]
) -> None:
    document = await api.get("openapi.json")
    names = {"account": "bookshop", "id": 1, "order": "bookshop-1"}
    for pattern, methods in document["paths"].items():
        if "get" in methods and pattern != "/stream":
            schema = methods["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            found = await api.get(pattern[1:].format(**names))
            row, schema = (found[0], schema["items"]) if schema["type"] == "array" else (found, schema)
            assert set(row) == set(schema["properties"]), pattern


# -- changes


async def test_a_pause_and_its_end_are_actions_of_the_token(api: Client, store: Store) -> None:
    paused = await api.ask("POST", "accounts/bookshop/routes/erp/pause", "tenant", {"why": "stocktaking"})
    assert orjson.loads(paused.body)["why"] == "stocktaking"
    resumed = await api.ask(
        "POST", "accounts/bookshop/routes/erp/resume", body={"why": "done"}, headers={"X-Forwarded-For": "192.0.2.7"}
    )
    assert orjson.loads(resumed.body)["state"] == "running"
    assert [(row["actor"], row["action"], row["account"], row["origin"]) for row in await api.get("actions")] == [
        ("oncall", "resume", "bookshop", "192.0.2.7"),
        ("acme", "pause", "bookshop", "127.0.0.1"),
    ]


async def test_an_order_is_made_known_once(api: Client, store: Store) -> None:
    path = "accounts/bookshop/known-orders/PO%2F1%20%C3%BC"
    answers = [await api.ask("PUT", path) for _ in range(2)]
    assert [each.code for each in answers] == [201, 200]
    assert orjson.loads(answers[0].body) == {"account": "bookshop", "reference": "PO/1 ü", "freed": 0}
    [action] = await store.list_actions("known-order", 9)
    assert (action.actor, action.detail["reference"]) == ("oncall", "PO/1 ü")


async def test_an_alert_is_acknowledged_by_the_token(api: Client, alerts: dict[str, int]) -> None:
    response = await api.ask("POST", f"alerts/{alerts['bookshop']}/acknowledge", "tenant")
    assert orjson.loads(response.body)["acknowledged_by"] == "acme"
    assert [row["account"] for row in await api.get("alerts?state=raised")] == ["printshop"]
    assert [row["state"] for row in await api.get("alerts?state=open&account=bookshop")] == ["acknowledged"]
    assert [row["account"] for row in await follow(api, "alerts?limit=1")] == ["printshop", "bookshop"]
    assert [row["action"] for row in await api.get("actions", "tenant")] == ["acknowledge"]


async def test_an_unknown_route_of_ones_own_is_named(api: Client) -> None:
    response = await api.ask("POST", "accounts/bookshop/routes/epr/pause", "tenant")
    assert problem(response)["detail"] == "the account bookshop has no route 'epr'; did you mean 'erp'?"
    assert response.code == 404


# -- problems


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("limit=0", {"limit": "expected a whole number from 1 to 200"}),
        ("limit=%D9%A1", {"limit": "expected a whole number from 1 to 200"}),
        ("limit=1&limit=2", {"limit": "is given twice"}),
        ("limt=1&state=lost", {"limt": "is not known", "state": "expected one of delivered, pending, dead, filtered"}),
        ("account=", {"account": "expected text of 1 to 64 characters"}),
        ("account=%FF", {"account": "is not UTF-8"}),
        ("since=soon", {"since": "expected a time such as 2026-11-24T08:00:00Z, or an age such as 12h"}),
        ("after=99999999999999999999", {"after": f"expected a whole number from 1 to {2**63 - 1}"}),
    ],
)
async def test_each_wrong_parameter_is_named(api: Client, query: str, errors: dict[str, str]) -> None:
    found = problem(await api.ask("GET", f"signals?{query}"))
    assert (found["status"], {each["field"]: each["message"] for each in found["errors"]}) == (400, errors)


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ([], {"body": "expected an object"}),
        ({"why": 1, "who": "me"}, {"why": "expected text of 0 to 500 characters", "who": "is not known"}),
    ],
)
async def test_each_wrong_field_of_a_body_is_named(api: Client, body: Any, errors: dict[str, str]) -> None:
    found = problem(await api.ask("POST", "accounts/bookshop/routes/erp/pause", body=body))
    assert {each["field"]: each["message"] for each in found["errors"]} == errors


async def test_a_body_must_be_json(api: Client) -> None:
    path = "accounts/bookshop/routes/erp/pause"
    form = await api.ask("POST", path, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert problem(form)["status"] == 415
    cut = await api.ask("POST", path, headers={"Content-Type": "application/json; charset=utf-8"}, body=None)
    assert cut.code == 200


async def test_a_page_of_another_site_changes_nothing(api: Client, store: Store) -> None:
    response = await api.ask("POST", "accounts/bookshop/routes/erp/pause", headers={"Sec-Fetch-Site": "cross-site"})
    assert problem(response)["status"] == 403
    assert await store.list_actions(None, 9, Filter()) == []


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("DELETE", "accounts", 405),
        ("PATCH", "signals/1", 405),
        ("GET", "accounts/bookshop/routes/erp/pause", 405),
        ("GET", "signals/0", 404),
        ("GET", "signals/1x", 404),
        ("GET", "signals/999999999999999999999", 404),
        ("GET", "nothing", 404),
        ("GET", "accounts/", 404),
    ],
)
async def test_other_paths_and_methods_are_problems(api: Client, method: str, path: str, code: int) -> None:
    response = await api.ask(method, path)
    assert problem(response)["status"] == code
    assert ("Allow" in response.headers) == (code == 405)
