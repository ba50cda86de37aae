"""The answers of POST /signals/<account>, one by one, over real HTTP."""

import asyncio
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs
from tornado.httpclient import HTTPResponse
from tornado.httputil import HTTPHeaders

from gateway import signal_types
from gateway.errors import StoreBusy, StoreError
from gateway.store.values import Filter
from gateway.web.addresses import Addresses
from gateway.web.http1 import Server
from gateway.web.public import PublicRoutes
from tests.support.listener import NOW, Gateway, fields_of
from tests.support.payloads import EXAMPLES, KEY, OTHER_KEY, SANDBOX, example, request

pytestmark = pytest.mark.gen_test
REQUIRED = [(name, field) for name, row in signal_types.TYPES.items() for field in row.required]


# -- 200 and 204


@pytest.mark.parametrize("payload", [*EXAMPLES.values(), SANDBOX], ids=[*EXAMPLES, "sandbox"])
async def test_a_signal_is_on_disk(gateway: Gateway, payload: dict[str, Any]) -> None:
    response = await gateway.post(payload)
    assert (response.code, response.body) == (200, b"")
    (row,) = await gateway.kept()
    assert row.signal.payload == payload
    assert (row.signal.type, row.signal.order, row.signal.item) == (
        payload["type"],
        payload["order"],
        payload.get("item"),
    )
    assert row.signal.received_at == NOW
    deliveries = await gateway.store.list_deliveries(Filter(), 10)
    assert len(deliveries) == row.deliveries == 2 - len(row.unrouted)
    assert await gateway.quarantined() == []


async def test_a_duplicate_is_answered_200(gateway: Gateway) -> None:
    codes = [(await gateway.post(example())).code for _ in range(3)]
    assert codes == [200, 200, 200]
    assert len(await gateway.kept()) == 1


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "x"])
async def test_the_content_type_does_not_matter(gateway: Gateway, kind: str) -> None:
    assert (await gateway.post(example(), headers={"Content-Type": kind})).code == 200
    assert len(await gateway.kept()) == 1


async def test_a_query_and_an_escaped_account_are_understood(gateway: Gateway) -> None:
    assert (await gateway.post(example(), "bookshop?from=dashboard")).code == 200
    assert (await gateway.post(example(x=1), "b%6Fokshop")).code == 200
    assert {row.signal.account for row in await gateway.kept()} == {"bookshop"}


async def test_unknown_types_and_fields_are_kept(gateway: Gateway) -> None:
    payload = {"type": "ItemReturned", "order": 5, "datetime": None, "nested": {"a": [None, {}, 1.5]}}
    assert (await gateway.post(payload)).code == 200
    (row,) = await gateway.kept()
    assert row.signal.payload == payload
    assert row.signal.order == "5"


async def test_the_gateways_own_type_is_refused_and_kept_in_quarantine(gateway: Gateway) -> None:
    answer = await gateway.post({"type": "GatewayAlert", "state": "cleared", "message": "all is well"})
    assert answer.code == 400
    assert list(orjson.loads(answer.body)["fields"]) == ["type"]
    assert await gateway.kept() == []


async def test_numbers_for_text_are_taken_if_they_are_whole(gateway: Gateway) -> None:
    body = request(example("ItemError", order=...))[:-1] + b', "order": 42, "delay": 24.0}'
    assert (await gateway.post(body)).code == 200
    (row,) = await gateway.kept()
    assert (row.signal.order, row.signal.text("delay"), row.signal.payload["delay"]) == ("42", "24", 24.0)
    assert fields_of(await gateway.post(body.replace(b"24.0", b"24.10"))) == {"delay": "must be text or a whole number"}


async def test_an_incomplete_signal_is_taken_if_the_account_wants_it(gateway: Gateway) -> None:
    shipped = example("ItemShipped", tracking=None, shipping_option="")
    assert set(fields_of(await gateway.post(shipped))) == {"tracking", "shipping_option"}
    gateway.restrict(incomplete="accept")
    assert (await gateway.post(shipped)).code == 200
    (row,) = await gateway.kept()
    assert row.signal.missing == ("tracking", "shipping_option")
    assert row.signal.payload == shipped


async def test_a_signal_is_held_until_its_order_is_known(gateway: Gateway) -> None:
    gateway.restrict(unknown_orders="hold")
    response = await gateway.post(example())
    assert (response.code, response.body) == (204, b"")
    assert "Content-Length" not in response.headers
    assert [delivery.held for delivery in await gateway.store.list_deliveries(Filter(), 10)] == [True]
    await gateway.store.add_known_orders("bookshop", [example()["order"]], NOW.timestamp())
    assert (await gateway.post(example("ItemPacked"))).code == 200


# -- 400


@pytest.mark.parametrize(("name", "field"), REQUIRED)
async def test_a_missing_parameter_is_named(gateway: Gateway, name: str, field: str) -> None:
    response = await gateway.post(example(name, **{field: ...}))
    assert orjson.loads(response.body) == {"error": "Not a valid signal.", "fields": {field: "required"}}
    assert fields_of(response) == {field: "required"}
    (row,) = await gateway.quarantined()
    assert row.errors == {field: "required"}
    assert orjson.loads(row.body) == example(name, **{field: ...})
    assert await gateway.kept() == []


WRONG = {"null": None, "empty": "", "blank": " ", "number": 1.5, "bool": True, "array": ["x"], "object": {"x": {}}}


@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
async def test_every_wrong_parameter_is_named(gateway: Gateway, value: object) -> None:
    names = signal_types.TYPES["ItemShipped"].required
    response = await gateway.post(example("ItemShipped", **dict.fromkeys(names, value)))
    assert set(fields_of(response)) == set(names)


@pytest.mark.parametrize("value", [..., None, "", 5, [], {}], ids=repr)
async def test_a_signal_has_a_type(gateway: Gateway, value: object) -> None:
    assert list(fields_of(await gateway.post(example(type=value)))) == ["type"]


async def test_an_account_may_refuse_unknown_types(gateway: Gateway) -> None:
    gateway.restrict(unknown_types="reject")
    assert list(fields_of(await gateway.post(example(type="ItemReturned")))) == ["type"]
    assert len(await gateway.quarantined()) == 1


# -- 401


@pytest.mark.parametrize("key", [..., None, "", OTHER_KEY, 13, 1.5, True, [KEY], {"key": KEY}], ids=repr)
async def test_every_wrong_key_gets_the_same_answer(gateway: Gateway, key: object) -> None:
    body = request(example(), key)
    answers = [await gateway.post(body), await gateway.post(body, "nobody"), await gateway.post(body, "x" * 300)]
    for answer in answers:
        assert answer.code == 401
        assert orjson.loads(answer.body) == {"error": "Wrong or missing key."}
        assert undated(answer) == undated(answers[0])
    assert await gateway.kept() == []
    assert await gateway.quarantined() == []


def undated(answer: HTTPResponse) -> dict[str, str]:
    """Return the headers without Date."""
    headers = dict(answer.headers)
    assert parsedate_to_datetime(headers.pop("Date")).tzinfo is UTC
    return headers


async def test_the_key_of_another_account_is_a_wrong_one(gateway: Gateway) -> None:
    assert (await gateway.post(example(), "printshop")).code == 401
    assert (await gateway.post(request(example(), OTHER_KEY), "printshop")).code == 200


async def test_a_wrong_key_gets_no_answer_about_its_payload(gateway: Gateway) -> None:
    assert (await gateway.post(request({}, OTHER_KEY))).code == 401
    assert (await gateway.post(b"{")).code == 401
    assert (await gateway.post(b"")).code == 401


# -- 404 and 405


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
async def test_signals_are_sent_by_post(gateway: Gateway, method: str) -> None:
    body = request(example()) if method in ("PUT", "PATCH") else None
    response = await gateway.send(method, "/signals/bookshop", body)
    assert response.code == 405
    assert response.headers["Allow"] == "POST"
    assert response.body == (b"" if method == "HEAD" else b'{"error":"Signals are sent by POST."}')
    assert await gateway.kept() == []


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/signals",
        "/signals/",
        "/signals/a/b",
        "/signal/bookshop",
        "/metrics",
        "/readyz",
        "//",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_other_public_paths_are_404(gateway: Gateway, path: str, method: str) -> None:
    with capture_logs() as logs:
        response = await gateway.send(method, path, request(example()) if method == "POST" else None)
    assert [(line["event"], line["code"], line["path"]) for line in logs] == [("request.refused", 404, path)]
    assert b'cloudsignal_request_seconds_count{account="-",code="404"} 1.0' in gateway.observer.exposition()
    assert response.code == 404
    assert orjson.loads(response.body) == {"error": "Nothing here."}
    assert "Server" not in response.headers
    assert await gateway.kept() == []


async def test_health_is_public(gateway: Gateway) -> None:
    response = await gateway.send("GET", "/healthz")
    assert (response.code, response.body) == (200, b'{"status":"ok"}')
    assert (await gateway.send("HEAD", "/healthz")).code == 200
    response = await gateway.send("POST", "/healthz", b"")
    assert (response.code, response.headers["Allow"]) == (405, "GET, HEAD")
    gateway.ingest.stop()
    assert (await gateway.send("GET", "/healthz")).code == 503


# -- 429 and 503


async def test_an_account_over_its_rate_gets_429(gateway: Gateway) -> None:
    gateway.restrict(rate=0.1)
    assert (await gateway.post(example())).code == 200
    response = await gateway.post(example("ItemPacked"))
    assert (response.code, response.headers["Retry-After"]) == (429, "10")
    assert orjson.loads(response.body) == {"error": "Too many requests."}
    assert (await gateway.post(request(example(), OTHER_KEY), "printshop")).code == 200


async def test_many_bad_keys_get_429_and_right_ones_do_not(gateway: Gateway) -> None:
    answers = [await gateway.post(request(example(), OTHER_KEY)) for _ in range(61)]
    assert [answer.code for answer in answers] == [401] * 60 + [429]
    assert answers[-1].headers["Retry-After"] == "1"
    assert (await gateway.post(example())).code == 200
    elsewhere = await gateway.post(request(example(), OTHER_KEY), headers={"X-Forwarded-For": "203.0.113.9"})
    assert elsewhere.code == 401


async def test_a_stopping_gateway_answers_503(gateway: Gateway) -> None:
    gateway.ingest.stop()
    response = await gateway.post(example())
    assert (response.code, response.headers["Retry-After"]) == (503, "5")
    assert orjson.loads(response.body) == {"error": "The gateway is shutting down."}
    assert await gateway.kept() == []


async def test_without_its_store_a_gateway_answers_503(gateway: Gateway) -> None:
    await gateway.store.close()
    for payload in (example(), example(order=...)):
        response = await gateway.post(payload)
        assert response.code == 503
        assert "Retry-After" in response.headers
    assert (await gateway.post(request(example(), OTHER_KEY))).code == 401


@pytest.mark.parametrize(
    ("error", "wait", "text"),
    [
        (StoreError("disk full at /var/lib", 7.2), "8", "The store is unavailable."),
        (StoreBusy(), "5", "The store's queue is full."),
        (ZeroDivisionError("a bug"), "5", "The gateway can't take signals now."),
    ],
)
async def test_an_internal_failure_is_a_503_without_details(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, error: Exception, wait: str, text: str
) -> None:
    async def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr(gateway.store, "accept", fail)
    with capture_logs() as logs:
        response = await gateway.post(example())
    assert (response.code, response.headers["Retry-After"]) == (503, wait)
    assert orjson.loads(response.body) == {"error": text}
    line = logs[-1]
    assert (line["event"], line["code"]) == ("signal.refused", 503)
    assert str(error) in (line.get("error"), str(line.get("exc_info")))


# -- logs and metrics


async def test_each_request_has_one_log_line(gateway: Gateway) -> None:
    bodies = [
        request(example()),
        request(example()),
        request(example(order=...)),
        request(example(), OTHER_KEY),
        b"",
        request({"type": "New"}),
    ]
    with capture_logs() as logs:
        for body in bodies:
            await gateway.post(body, headers={"X-Forwarded-For": "203.0.113.9, 10.1.2.3"})
    assert [(line["event"], line["code"]) for line in logs] == [
        ("signal.accepted", 200),
        ("signal.duplicate", 200),
        ("signal.refused", 400),
        ("signal.refused", 401),
        ("signal.refused", 401),
        ("signal.accepted", 200),
    ]
    first, _, invalid, *_, unknown = logs
    assert (first["type"], first["order"], first["signal"]) == ("ItemShipped", "123456780000", 1)
    assert invalid["fields"] == {"order": "required"}
    assert [line.get("key") for line in logs] == ["main", "main", "main", None, None, "main"]
    assert unknown["unknown_type"]
    assert {line["account"] for line in logs} == {"bookshop"}
    assert {line["address"] for line in logs} == {"203.0.113.9"}
    assert all(line["ms"] >= 0 for line in logs)
    for secret in (KEY, OTHER_KEY, "1A2B3C4D5E6F"):
        assert secret not in repr(logs)


async def test_a_held_signal_is_logged_as_held(gateway: Gateway) -> None:
    gateway.restrict(unknown_orders="hold")
    with capture_logs() as logs:
        await gateway.post(example())
    assert [(line["event"], line["code"]) for line in logs] == [("signal.held", 204)]


@pytest.mark.parametrize(
    "path",
    ["/signals/bookshop/", "//signals/bookshop", "/signals//bookshop", "/signals/bookshop//", "/signals/bookshop/?"],
)
async def test_a_slash_too_many_does_no_harm(gateway: Gateway, path: str) -> None:
    assert (await gateway.send("POST", path, request(example()))).code == 200
    (row,) = await gateway.kept()
    assert row.signal.account == "bookshop"


async def test_a_proxy_that_is_not_trusted_is_told_once(gateway: Gateway, http_server: Server) -> None:
    http_server.routes = PublicRoutes(gateway.ingest, addresses=Addresses(["10.0.0.1"]), now=lambda: NOW)
    with capture_logs() as logs:
        for n in range(3):
            assert (await gateway.post(example(n=n), headers={"X-Forwarded-For": "203.0.113.9"})).code == 200
    told = [line for line in logs if line["event"] == "proxy.untrusted"]
    assert [(line["address"], line["setting"]) for line in told] == [("127.0.0.1", "server.trusted_proxies")]
    assert {line["address"] for line in logs} == {"127.0.0.1"}


async def test_wrong_keys_are_counted_by_the_address_without_its_port(gateway: Gateway) -> None:
    gateway.ingest.bad_keys_per_minute = 2
    codes = []
    for port in range(51008, 51012):
        headers = {"X-Forwarded-For": f"203.0.113.7:{port}"}
        codes.append((await gateway.post(request(example(), OTHER_KEY), headers=headers)).code)
    assert codes == [401, 401, 429, 429]


@pytest.mark.parametrize(
    ("believed", "value"),
    [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7;proto=https"), ("x-real-ip", "203.0.113.7")],
)
async def test_only_the_header_of_the_settings_is_believed(
    gateway: Gateway, http_server: Server, believed: str, value: str
) -> None:
    http_server.routes = PublicRoutes(gateway.ingest, addresses=Addresses(["127.0.0.1"], believed), now=lambda: NOW)
    forged = {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1", "X-Real-IP": "192.0.2.1"}
    others = {name: forged[name] for name in forged if name.lower() != believed}
    with capture_logs() as logs:
        assert (await gateway.post(example(n="1"), headers=others)).code == 200
        assert (await gateway.post(example(n="2"), headers={**others, believed: value})).code == 200
    assert [line["address"] for line in logs] == ["127.0.0.1", "203.0.113.7"]


async def test_headers_given_twice_are_read_in_order(gateway: Gateway) -> None:
    headers = HTTPHeaders()
    for hop in ("1.1.1.1", "203.0.113.9"):
        headers.add("X-Forwarded-For", hop)
    with capture_logs() as logs:
        await gateway.post(example(), headers=headers)
    assert [line["address"] for line in logs] == ["203.0.113.9"]


async def test_malformed_http_is_logged_and_counted(gateway: Gateway, http_port: int) -> None:
    with capture_logs() as logs:
        reader, writer = await asyncio.open_connection("127.0.0.1", http_port)
        writer.write(b"EHLO relay\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        writer.close()
    assert [(line["event"], line["code"], line["address"]) for line in logs] == [("request.refused", 400, "127.0.0.1")]
    assert "Malformed HTTP" in logs[0]["error"]
    assert b'cloudsignal_request_seconds_count{account="-",code="400"} 1.0' in gateway.observer.exposition()


async def test_unknown_accounts_make_no_metric_labels(gateway: Gateway) -> None:
    await gateway.post(example())
    await gateway.post(example(), "nobody")
    await gateway.send("GET", "/signals/stranger")
    families = text_string_to_metric_families(gateway.observer.exposition().decode())
    found = {
        (sample.labels["account"], sample.labels["code"]): sample.value
        for family in families
        for sample in family.samples
        if sample.name == "cloudsignal_request_seconds_count"
    }
    assert found == {("bookshop", "200"): 1, ("-", "401"): 1, ("-", "405"): 1}
