"""The outcome of each of Odoo's answers, over either transport. No error contains a secret."""

import html
import json
import logging
from urllib.parse import quote

import pytest

from cloudsignal_odoo import OdooSink
from gateway import signal_types
from gateway.sink import Misconfigured, Permanent, RetryLater, text
from tests.support.factory import make_delivery
from tests.support.fake_odoo import KEY, account, page
from tests.support.odoo_records import OdooError
from tests.support.stub import Answer
from tests.unit.plugins.odoo_case import BOTH, Case

pytestmark = pytest.mark.gen_test

NAMED = [
    (403, "odoo.exceptions.AccessError", Misconfigured),
    (401, "werkzeug.exceptions.Unauthorized", Misconfigured),
    (403, "odoo.exceptions.AccessDenied", Misconfigured),
    (403, "odoo.http.SessionExpiredException", Misconfigured),
    (422, "odoo.exceptions.UserError", Permanent),
    (422, "odoo.exceptions.ValidationError", Permanent),
    (422, "odoo.exceptions.RedirectWarning", Permanent),
    (404, "odoo.exceptions.MissingError", Permanent),
    (404, "werkzeug.exceptions.NotFound", Permanent),
    (400, "werkzeug.exceptions.BadRequest", Permanent),
    (500, "builtins.ValueError", Permanent),
    (500, "builtins.KeyError", Permanent),
    (500, "psycopg2.errors.SerializationFailure", RetryLater),
    (500, "psycopg2.OperationalError", RetryLater),
    (409, "odoo.exceptions.ConcurrencyError", RetryLater),
    (409, "odoo.exceptions.LockError", RetryLater),
    (500, "werkzeug.exceptions.InternalServerError", RetryLater),
    (500, "somebody.addon.Odd", RetryLater),
]


async def first_call_answered(version, answer):
    """Return the error of a delivery whose first call of a model gets this answer."""
    async with Case(version) as case:
        case.odoo.add_order("PO-1001")
        before = 1 if version >= 19 else 3  # the version; on 17 a second request for it, and the user's id
        case.fake.faults.extend([*[case.fake.serve] * before, answer])
        with pytest.raises((RetryLater, Permanent, Misconfigured)) as caught:
            await case.deliver(signal_types.ITEM_SHIPPED)
        assert case.fake.calls() == ["sale.order/search_read"]
        return caught.value


@pytest.mark.parametrize(("status", "name", "kind"), NAMED)
async def test_json2_errors_are_classified_by_status_and_name(status, name, kind):
    told = account(OdooError(status, name, "First line.\nSecond line."))
    error = await first_call_answered(19, Answer(status, told))
    assert isinstance(error, kind)
    assert str(error) == "sale.order/search_read: First line."


@pytest.mark.parametrize(("status", "name", "kind"), NAMED)
async def test_jsonrpc_errors_are_classified_by_name(status, name, kind):
    told = {"code": 0, "message": "Odoo Server Error", "data": account(OdooError(status, name, "\n  First line.\n2"))}
    error = await first_call_answered(17, Answer(200, {"jsonrpc": "2.0", "id": 1, "error": told}))
    assert isinstance(error, kind)
    assert str(error) == "sale.order/search_read: First line."


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured(version, status):
    error = await first_call_answered(version, Answer(status, {"message": "busy"}, {"Retry-After": "77"}))
    assert isinstance(error, RetryLater)
    assert error.after == 77


async def test_odoos_own_page_says_that_the_database_may_be_down():
    error = await first_call_answered(19, page(404, "No database is selected."))
    assert str(error).startswith("sale.order/search_read: answered 404 with a page: the database is down or unknown")


@pytest.mark.parametrize("status", [502, 504])
async def test_a_proxy_that_gave_up_on_a_write_says_nothing_of_its_fate(status):
    async with Case() as case:
        case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ITEM_ERROR, cause="first")
        case.fake.faults.extend([*[case.fake.serve] * 3, page(status, "")])
        with pytest.raises(RetryLater) as caught:
            await case.deliver(signal_types.ITEM_ERROR)
        assert case.fake.calls()[-1] == "sale.order/activity_schedule"
        assert caught.value.after >= 120


async def test_a_write_that_odoo_itself_refused_is_soon_retried():
    async with Case() as case:
        case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ITEM_ERROR, cause="first")
        told = account(OdooError(500, "psycopg2.errors.SerializationFailure", "could not serialize access"))
        case.fake.faults.extend([*[case.fake.serve] * 3, Answer(500, told)])
        with pytest.raises(RetryLater) as caught:
            await case.deliver(signal_types.ITEM_ERROR)
        assert caught.value.after is None


# -- rights, logins and transports


@pytest.mark.parametrize("version", BOTH)
async def test_a_wrong_key_stops_the_route(version):
    async with Case(version, api_key="another-key") as case:
        with pytest.raises(Misconfigured, match="key"):
            await case.deliver(signal_types.ITEM_SHIPPED)


async def test_a_key_revoked_later_stops_the_route():
    async with Case(17) as case:
        case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ITEM_ERROR)
        case.fake.keys.clear()
        with pytest.raises(Misconfigured, match="Access Denied"):
            await case.deliver(signal_types.ITEM_SHIPPED)


@pytest.mark.parametrize("version", BOTH)
async def test_a_user_without_rights_stops_the_route(version):
    async with Case(version, groups=()) as case:
        with pytest.raises(Misconfigured, match=r"sale\.order/search_read: You may not read 'Sales Order'"):
            await case.deliver(signal_types.ITEM_SHIPPED)


async def test_jsonrpc_without_a_login_names_the_option():
    async with Case(17, login=None) as case:
        with pytest.raises(Misconfigured, match="option login"):
            await case.deliver(signal_types.ITEM_SHIPPED)
    async with Case(17, transport="jsonrpc") as case:
        sink = OdooSink({name: v for name, v in case.sink.settings.items() if name != "login"}, case.sink.context)
        with pytest.raises(Misconfigured, match="option login"):
            await sink.open()


@pytest.mark.parametrize("answer", [{"hello": "world"}, {"version": "2.1.0"}, {"version": None}, [19]])
async def test_another_servers_version_is_not_taken_for_an_old_odoo(answer):
    async with Case() as case:
        case.odoo.add_order("PO-1001")
        case.fake.faults.append(Answer(200, answer))
        with pytest.raises(RetryLater, match="JSON, not in Odoo's form"):
            await case.deliver(signal_types.ITEM_SHIPPED)
        await case.deliver(signal_types.ITEM_SHIPPED)


@pytest.mark.parametrize(
    ("version", "transport", "path"),
    [
        (17, "auto", "/jsonrpc"),
        (18, "auto", "/jsonrpc"),
        (19, "auto", "/json/2/"),
        (19, "json2", "/json/2/"),
        (19, "jsonrpc", "/jsonrpc"),
    ],
)
async def test_the_transport_is_found_or_chosen(version, transport, path):
    async with Case(version, transport=transport) as case:
        order = case.odoo.add_order("PO-1001")
        await case.deliver(signal_types.ITEM_ERROR)
        assert len(case.odoo.notes(order)) == 1
        probes = sum(request.path == "/web/version" for request in case.fake.requests)
        assert probes == (transport == "auto")
        assert all(request.path.startswith(path) for request in case.fake.requests[2:])


# -- secrets


@pytest.mark.parametrize("version", BOTH)
async def test_no_error_log_or_repr_contains_the_key_or_the_traceback(version, caplog):
    caplog.set_level(logging.DEBUG)
    words = f"your key {KEY} is not {'x' * 400}\nSECOND-LINE"
    told = account(OdooError(422, "odoo.exceptions.UserError", words))
    answer = (
        Answer(422, told)
        if version >= 19
        else Answer(200, {"jsonrpc": "2.0", "id": 1, "error": {"message": words, "data": told}})
    )
    error = await first_call_answered(version, answer)
    assert str(error).startswith("sale.order/search_read: your key *** is not xxx")
    assert len(str(error)) <= len("sale.order/search_read: ") + text.MAX_MESSAGE_LENGTH
    async with Case(version) as case:
        shown = f"{error!r} {caplog.text} {case.sink!r} {case.sink.settings!r} {case.sink.odoo!r} {make_delivery()!r}"
    for secret in (KEY, "SECRET-OF-DEBUG", "SECOND-LINE"):
        assert secret not in shown


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("spell", [str, lambda key: json.dumps(json.dumps(key)[1:-1])[1:-1], quote, html.escape, repr])
async def test_a_key_of_any_characters_is_masked_whole(version, spell):
    key = "FRAGODOO5apikey\"x'<&>\\y"
    words = f"{'x' * 250} no user has the key {spell(key)}: sorry"
    told = account(OdooError(422, "odoo.exceptions.UserError", words))
    answer = Answer(422, told)
    if version < 19:
        answer = Answer(200, {"jsonrpc": "2.0", "id": 1, "error": {"message": words, "data": told}})
    async with Case(version, api_key=key, transport="json2" if version >= 19 else "jsonrpc") as case:
        case.fake.always = answer
        with pytest.raises(Permanent, match="xxx no user has the key") as caught:
            await case.deliver(signal_types.ITEM_SHIPPED)
    assert "FRAG" not in str(caught.value)
