"""Tokens and users of the API: right ones get in, and wrong ones are limited."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from tornado.httpclient import AsyncHTTPClient

from gateway.config import Config
from gateway.metrics import Observer
from gateway.store import Store
from gateway.web.admin.app import make_admin_app
from tests.support.api import CONFIG, TOKENS, Client, make_desk, write_config

pytestmark = pytest.mark.gen_test


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_token_gets_in(api: Client, scheme: str) -> None:
    response = await api.ask("GET", "accounts", None, headers={"Authorization": f"{scheme} {TOKENS['operator']}"})
    assert response.code == 200


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", "Bearer cst_wrong", f"Basic {TOKENS['operator']}"])
async def test_a_wrong_or_missing_token_is_answered_alike(api: Client, given: str) -> None:
    response = await api.ask("GET", "accounts", None, headers={"Authorization": given} if given else {})
    assert response.code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert orjson.loads(response.body)["detail"] == "Wrong or missing token."


async def test_wrong_tokens_are_limited_by_address_and_right_ones_are_not(api: Client) -> None:
    guess = {"Authorization": "Bearer guess", "X-Forwarded-For": "192.0.2.1"}
    codes = [(await api.ask("GET", "accounts", None, headers=guess)).code for _ in range(6)]
    assert codes == [401] * 5 + [429]
    limited = await api.ask("GET", "accounts", None, headers=guess)
    assert int(limited.headers["Retry-After"]) >= 1
    other = {**guess, "X-Forwarded-For": "192.0.2.2"}
    assert (await api.ask("GET", "accounts", None, headers=other)).code == 401
    right = {"X-Forwarded-For": "192.0.2.1"}
    assert (await api.ask("GET", "accounts", headers=right)).code == 200


async def test_a_user_of_a_trusted_proxy_gets_in(api: Client, store: Store) -> None:
    response = await api.ask("POST", "accounts/bookshop/routes/erp/pause", None, headers={"Remote-User": "ann"})
    assert response.code == 200
    [action] = await store.list_actions("pause", 1)
    assert action.actor == "ann"
    assert (await api.ask("GET", "accounts/printshop", None, headers={"Remote-User": "ann"})).code == 404


@pytest.mark.parametrize("user", ["", "bob", "*"])
async def test_a_user_without_an_entry_does_not_get_in(api: Client, user: str) -> None:
    assert (await api.ask("GET", "accounts", None, headers={"Remote-User": user})).code == 401


async def test_the_header_is_believed_from_the_proxy_only(
    api: Client, http_server: object, store: Store, tmp_path: Path
) -> None:
    text = CONFIG.replace("trusted: [127.0.0.1]", "trusted: [192.0.2.1]")
    serve(http_server, store, write_config(tmp_path, text))
    headers = {"Remote-User": "ann", "X-Forwarded-For": "192.0.2.1"}
    assert (await api.ask("GET", "accounts", None, headers=headers)).code == 401


async def test_without_tokens_there_is_no_api(
    api: Client, http_server: object, http_client: AsyncHTTPClient, store: Store, tmp_path: Path
) -> None:
    text = CONFIG.replace(CONFIG[CONFIG.index("  tokens:") : CONFIG.index("store:")], "  listen: 127.0.0.1:0\n")
    serve(http_server, store, write_config(tmp_path, text))
    for path in ("accounts", "openapi.json", "nothing"):
        assert (await api.ask("GET", path)).code == 404
    assert (await http_client.fetch(f"{api.url}/healthz")).code == 200


async def test_the_document_is_for_everybody_and_has_no_secret(api: Client) -> None:
    response = await api.ask("GET", "openapi.json", None)
    document = orjson.loads(response.body)
    assert (response.code, document["openapi"]) == (200, "3.1.0")
    assert document["paths"]["/signals/{id}"]["get"]["summary"].startswith("Show a signal")
    assert not any(name.encode() in response.body for name in ("bookshop", "acme", "oncall", *TOKENS.values()))


def serve(server: object, store: Store, config: Config) -> None:
    """Serve the API of another configuration."""
    server.request_callback = make_admin_app(dict, Observer(), desk=make_desk(store, config))  # type: ignore[attr-defined]
