"""Recorded exchanges with real servers: the fake Odoo answers as they did, and the sink's requests have their form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tornado.httputil import HTTPHeaders

from gateway import signal_types
from gateway.sink import RetryLater
from tests.support import odoo_recordings
from tests.support.fake_odoo import DATABASE, FakeOdoo
from tests.support.odoo_records import OdooError
from tests.support.stub import Request
from tests.unit.plugins.odoo_case import BOTH, CANCELLING, Case

FOLDER = Path(odoo_recordings.__path__[0])
USERS = {"cp_plain": (), "cp_stock": ("inventory",), "cp_sales": ("sales",), "cp_both": ("inventory", "sales")}
KINDS = {"str": str, "int": int, "dict": dict}


class Seeded(FakeOdoo):
    """Return a fake with the same records as the real servers."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        for login, groups in USERS.items():
            self.add_key(self.odoo.add_user(login, groups), f"<key:{login}>")
        for reference, lines, how in (
            ("PO-1001", [2], {}),
            ("PO-1002", [3, 1], {"reserved": [0]}),
            ("PO-1003", [1], {"reserved": [0]}),
            ("PO-1004", [1], {}),
            ("PO-1005", [1, 4], {}),
            ("PO-DUP", [1], {}),
            ("PO-DUP", [1], {}),
            ("PO-DRAFT", [1], {"state": "draft"}),
            ("PO-LOCK", [1], {"locked": True}),
            ("PO-SMS", [1], {"phone": True}),
            ("PO-D1", [2, 1], {"kinds": ["dropship", "dropship"]}),
        ):
            self.odoo.add_order(reference, lines, salesperson=self.odoo.admin, **how)

    def play(self, exchange: dict[str, Any]) -> None:
        """Send a recorded request and compare the answer with the recorded one."""
        rpc = "service" in exchange
        request, expected = (rpc_request if rpc else json2_request)(exchange, self.keys.get("<key:cp_both>"))
        answer = self.answer(request)
        assert answer.status == exchange["status"]
        if expected == "page":
            assert str(answer.body).startswith("<!DOCTYPE html>")
        else:
            found = orjson.loads(orjson.dumps(answer.body))
            assert_alike(expected, found, "answer")


def json2_request(exchange: dict[str, Any], uid: int | None) -> tuple[Request, Any]:
    headers = HTTPHeaders({"Content-Type": "application/json"})
    if exchange["by"]:
        headers["Authorization"] = f"bearer {exchange['by']}"
    if exchange["database"]:
        headers["X-Odoo-Database"] = exchange["database"].replace("<db>", DATABASE)
    body = exchange["body"]
    sent = body.encode() if isinstance(body, str) else orjson.dumps(body)
    return Request("POST", f"/json/2/{exchange['call']}", "", headers, sent), exchange["answer"]


def rpc_request(exchange: dict[str, Any], uid: int | None) -> tuple[Request, Any]:
    known = {"<db>": DATABASE, "<uid>": uid}
    arguments = [known.get(value, value) if isinstance(value, str) else value for value in exchange["args"]]
    params = {"service": exchange["service"], "method": exchange["method"], "args": arguments}
    body = {"jsonrpc": "2.0", "method": "call", "id": 1, "params": params}
    expected: dict[str, Any] = {"jsonrpc": "2.0", "id": 1}
    if "error" in exchange:
        expected["error"] = exchange["error"]
    else:
        expected["result"] = uid if exchange["result"] == "<uid>" else exchange["result"]
    return Request("POST", "/jsonrpc", "", HTTPHeaders(), orjson.dumps(body)), expected


def assert_alike(expected: Any, found: Any, where: str) -> None:
    """Compare two values, except those that the recording leaves open."""
    if isinstance(expected, dict) and set(expected) == {"any"}:
        assert type(found) is KINDS[expected["any"]], where
    elif isinstance(expected, dict):
        assert isinstance(found, dict), where
        assert set(found) == set(expected), where
        for name, value in expected.items():
            assert_alike(value, found[name], f"{where}.{name}")
    elif isinstance(expected, list):
        assert isinstance(found, list), where
        assert len(found) == len(expected), where
        for i, (one, other) in enumerate(zip(expected, found, strict=True)):
            assert_alike(one, other, f"{where}[{i}]")
    else:
        assert (type(found), found) == (type(expected), expected), where


def read(name: str) -> Iterator[dict[str, Any]]:
    for line in (FOLDER / f"{name}.jsonl").read_text().splitlines():
        yield orjson.loads(line)


@pytest.mark.parametrize(
    ("version", "names"),
    [
        (17, ["jsonrpc_17_scenarios"]),
        (19, ["json2_19_scenarios"]),
        (19, ["json2_19_errors"]),
        (19, ["json2_19_rights", "json2_19_wizards", "jsonrpc_19"]),  # one after another on one server
    ],
    ids=str,
)
def test_it_answers_as_the_recorded_servers_did(version, names):
    fake = Seeded(version)
    for name in names:
        for number, exchange in enumerate(read(name), 1):
            try:
                fake.play(exchange)
            except AssertionError as error:
                raise AssertionError(f"{name}, line {number}: {error}\n{exchange}") from error


def test_an_answer_of_another_shape_is_noticed():
    with pytest.raises(AssertionError):
        assert_alike([{"id": 1}], [{"id": True}], "answer")
    with pytest.raises(AssertionError):
        assert_alike({"any": "int"}, "1", "answer")


# -- behaviour that is in the README but not in the recordings


def post(fake: Seeded, user: int, order: int) -> None:
    fake.odoo.call(user, "sale.order", "message_post", [order], {"body": "Twice", "message_id": "<1@here>"})


@pytest.mark.parametrize("version", BOTH)
def test_a_message_id_may_be_there_twice(version):
    fake = Seeded(version)
    post(fake, fake.user, 1)
    post(fake, fake.user, 1)
    assert [row["message_id"] for row in fake.odoo.rows("mail.message", body="<p>Twice</p>")] == ["<1@here>"] * 2


def test_17_cancels_nothing_without_the_context():
    fake = Seeded(17)
    answer = fake.odoo.call(fake.user, "sale.order", "action_cancel", [4], {})
    assert (answer["res_model"], fake.odoo.row("sale.order", 4)["state"]) == ("sale.order.cancel", "sale")


@pytest.mark.parametrize("version", BOTH)
def test_a_locked_order_is_not_cancelled_and_a_delivered_one_is(version):
    fake = Seeded(version)
    context = {"context": {"disable_cancel_warning": True}}
    with pytest.raises(OdooError) as caught:
        fake.odoo.call(fake.odoo.admin, "sale.order", "action_cancel", [9], context)
    assert (caught.value.status, caught.value.name) == (422, "odoo.exceptions.UserError")
    fake.odoo.call(fake.odoo.admin, "stock.picking", "button_validate", [4], {})
    assert fake.odoo.call(fake.odoo.admin, "sale.order", "action_cancel", [4], context) is True
    assert fake.odoo.row("sale.order", 4)["state"] == "cancel"
    assert [move["state"] for move in fake.odoo.moves(4)] == ["done"]


def test_a_second_validation_is_a_success_on_19_and_refused_on_17():
    new, old = Seeded(19), Seeded(17)
    for fake in (new, old):
        assert fake.odoo.call(fake.odoo.admin, "stock.picking", "button_validate", [1], {}) is True
    assert new.odoo.call(new.odoo.admin, "stock.picking", "button_validate", [1], {}) is True
    with pytest.raises(OdooError, match="done already"):
        old.odoo.call(old.odoo.admin, "stock.picking", "button_validate", [1], {})


@pytest.mark.parametrize("version", BOTH)
def test_a_wizard_offers_a_text_message_unless_skipped(version):
    fake = Seeded(version)
    asked = fake.odoo.call(fake.odoo.admin, "stock.picking", "button_validate", [9], {})
    assert (asked["res_model"], fake.odoo.row("stock.picking", 9)["state"]) == ("confirm.stock.sms", "assigned")
    assert fake.odoo.call(fake.odoo.admin, "stock.picking", "button_validate", [9], {"context": {"skip_sms": True}})
    assert fake.odoo.row("stock.picking", 9)["state"] == "done"


@pytest.mark.gen_test
@pytest.mark.parametrize("version", BOTH)
async def test_a_request_is_committed_after_its_client_has_gone(version):
    async with Case(version) as case:
        order = case.odoo.add_order("PO-1001")
        reads = len((await cut_late(case)).calls())
        assert case.odoo.notes(order) == []
        case.fake.commit_late()
        assert len(case.odoo.notes(order)) == 1
        assert len(case.fake.calls()) == reads


async def cut_late(case: Case) -> FakeOdoo:
    """Lose the answer to the note before Odoo has begun to write it."""
    first = 1 if case.odoo.version >= 19 else 3
    case.fake.faults.extend([*[case.fake.serve] * (first + 6), case.fake.delay])
    with pytest.raises(RetryLater):
        await case.deliver(signal_types.ITEM_SHIPPED)
    assert case.fake.calls()[-1] == "sale.order/message_post"
    return case.fake


# -- the sink's requests

SIGNALS = [
    (signal_types.ITEM_ERROR, {}),
    (signal_types.ITEM_SHIPPED, {}),
    (signal_types.ORDER_CANCELED, {"order_reference": "PO-1004"}),
    (signal_types.ORDER_CANCELED, {"order_reference": "PO-1001"}),
]


def describe_json2(call: str, body: dict[str, Any]) -> tuple[str, Any]:
    return call, outline(body)


def describe_rpc(arguments: list[Any]) -> tuple[str, Any]:
    return f"{arguments[3]}/{arguments[4]}", outline(arguments[5:])


def outline(value: Any) -> Any:
    """Return the names and types of a request's values. A list counts as one value of any length."""
    if isinstance(value, dict):
        return tuple(sorted((name, outline(one)) for name, one in value.items() if name not in {"vals", "domain"}))
    if isinstance(value, list):
        return ("list", *sorted({str(outline(one)) for one in value}))
    return type(value).__name__


@pytest.mark.gen_test
@pytest.mark.parametrize("version", BOTH)
async def test_the_sink_asks_as_the_recorded_client_did(version):
    if version >= 19:
        known = {describe_json2(one["call"], one["body"]) for one in read("json2_19_scenarios")}
    else:
        known = {describe_rpc(one["args"]) for one in read("jsonrpc_17_scenarios") if one["service"] == "object"}
    async with Case(version, CANCELLING, mark_delivered="line", on_cancel="cancel") as case:
        for reference in ("PO-1001", "PO-1004"):
            case.odoo.add_order(reference, [2])
        for type, fields in SIGNALS:
            await case.deliver(type, **fields)
        calls = [request for request in case.fake.requests if request.path.startswith("/json/2/")]
        asked = {describe_json2(request.path[8:], request.json) for request in calls}
        for request in case.fake.requests:
            if request.path == "/jsonrpc" and request.json["params"]["service"] == "object":
                asked.add(describe_rpc(request.json["params"]["args"]))
    assert len(asked) >= 13
    assert asked - known == set()


@pytest.mark.gen_test
async def test_by_json2_the_key_and_the_database_are_in_the_headers_and_nowhere_else():
    async with Case(19) as case:
        case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ITEM_SHIPPED)
        for request in case.fake.requests[1:]:
            assert request.headers["Authorization"] == f"bearer {case.fake.key}"
            assert request.headers["X-Odoo-Database"] == DATABASE
            assert request.headers["Content-Type"] == "application/json"
            assert case.fake.key.encode() not in request.body
            assert case.fake.key not in request.path + request.query
