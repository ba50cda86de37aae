"""The outcome of each of Tryton's answers, over either transport. No error contains a secret."""

import html
import json
import logging
from urllib.parse import quote

import pytest

from cloudsignal_tryton import TrytonSink, faults
from cloudsignal_tryton.client import series_of
from gateway import signal_types
from gateway.sink import Misconfigured, Permanent, RetryLater, text
from tests.support.factory import make_delivery
from tests.support.fake_tryton import KEY, NO_METHOD, PASSWORD, page
from tests.support.stub import Answer, Fault
from tests.unit.plugins.tryton_case import BOTH, Case

pytestmark = pytest.mark.gen_test

NOT_ALLOWED = 'You are not allowed to access "Sale".'
REST = [
    (Answer(400, {"status": 400, "message": "You can not do it.\nMore", "description": ""}), Permanent),
    (Answer(400, {"status": 400, "message": NOT_ALLOWED, "description": ""}), Misconfigured),
    (page(400, "Something else"), Permanent),
    (page(400, NO_METHOD), faults.ServerError),
    (page(401, "Unauthorized"), Misconfigured),
    (page(403, "Forbidden"), Misconfigured),
    (page(404, "Not Found"), Misconfigured),
    (page(405, "Not allowed"), Misconfigured),
    (page(413, "Too large"), Permanent),
    (page(500, "&#39;nofield&#39;"), faults.ServerError),
    (page(501, ""), faults.ServerError),
    *((page(status, ""), RetryLater) for status in (408, 409, 423, 425, 429, 502, 503, 504)),
]
RPC = [
    (["UserError", ["You can not do it.\nMore", "", None]], Permanent),
    (["UserError", [NOT_ALLOWED, "", None]], Misconfigured),
    (["UserWarning", ["name", "Careful", ""]], Permanent),
    (["LoginException", ["password", "Password"]], Misconfigured),
    (["ConcurrencyException", ["The record has changed"]], RetryLater),
    (["RateLimitException", []], RetryLater),
    (["'nofield'", ""], faults.ServerError),
    ([], None),
]


async def first_call_answered(series, *answers, **options):
    """Return the error of a delivery whose first call of a model gets these answers."""
    async with Case(series, **options) as case:
        case.tryton.sell("PO-1001", ("BOOK", 1))
        before = 1 if series >= "8" else 2  # the version; on 7.0 a second request for it
        case.fake.faults.extend([*[case.fake.serve] * before, *answers])
        with pytest.raises((RetryLater, Permanent, Misconfigured)) as caught:
            await case.deliver(signal_types.ITEM_SHIPPED)
        assert case.fake.calls()[-1] == "sale.sale/search"
        return caught.value


@pytest.mark.parametrize(("answer", "kind"), REST)
async def test_rest_errors_are_classified_by_status_and_message(answer, kind):
    error = await first_call_answered("8.0", answer)
    assert type(error) is kind or (kind is RetryLater and type(error) is faults.Unanswered)
    assert str(error).startswith("sale.sale/search: ")
    assert "More" not in str(error)


@pytest.mark.parametrize(("answer", "kind"), [row for row in RPC if row[1]])
async def test_jsonrpc_errors_are_classified_by_name(answer, kind):
    error = await first_call_answered("7.0", Answer(200, {"id": 1, "error": answer}))
    assert type(error) is kind
    assert str(error).startswith("sale.sale/search_read: ")
    assert "More" not in str(error)


@pytest.mark.parametrize(
    "headers",
    [{"WWW-Authenticate": 'Basic realm="Tryton"'}, {"Content-Type": "text/plain; charset=utf-8"}],
    ids=["with its header", "behind a proxy that removes it"],
)
async def test_an_empty_401_is_a_wrong_password(headers):
    error = await first_call_answered("7.0", Answer(401, "", headers))
    assert isinstance(error, Misconfigured)
    assert "does not accept this key or login" in str(error)


async def test_an_empty_401_of_a_proxy_is_not():
    error = await first_call_answered("7.0", Answer(401, "", {"WWW-Authenticate": 'Basic realm="restricted"'}))
    assert isinstance(error, RetryLater)


@pytest.mark.parametrize("series", BOTH)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured(series, status):
    error = await first_call_answered(series, Answer(status, "", {"Retry-After": "77"}))
    assert isinstance(error, RetryLater)
    assert error.after == 77


@pytest.mark.parametrize("series", BOTH)
async def test_half_an_answer_is_retried(series):
    assert isinstance(await first_call_answered(series, Fault.HALF, Fault.HALF), RetryLater)


async def test_a_record_that_has_gone_since_it_was_read_is_looked_for_again():
    async with Case() as case:
        case.tryton.sell("PO-1001", ("BOOK", 1))
        case.fake.faults.extend([*[case.fake.serve] * 6, page(404, "Not Found")])
        with pytest.raises(RetryLater):
            await case.deliver(signal_types.ITEM_SHIPPED)
        assert case.fake.calls()[-1] == "stock.shipment.out/write"


async def test_fields_that_the_user_may_not_read_stop_the_route():
    error = await first_call_answered("8.0", Answer(200, [{"id": 1, "__name__": "sale.sale", "number": "S1"}]))
    assert isinstance(error, Misconfigured)
    assert str(error) == "the user may not read state of sale.sale"


# -- server errors are retried for a limited time


async def test_a_server_error_is_retried_for_a_day():
    async with Case() as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        await case.deliver(signal_types.ITEM_ERROR, cause="to learn the transport")

        async def fail():
            case.fake.faults.append(page(500, "&#39;boom&#39;"))
            await case.deliver(signal_types.ITEM_SHIPPED)

        for _ in range(50):
            with pytest.raises(RetryLater, match="answered 500: 'boom'") as caught:
                await fail()
            assert caught.value.after is None
        case.now += faults.SERVER_ERROR_LIMIT - 1
        with pytest.raises(RetryLater):
            await fail()
        case.now += 1
        with pytest.raises(Permanent, match=r"answered 500: 'boom'; given up after 24 hours"):
            await fail()
        with pytest.raises(RetryLater):
            await fail()
        await case.deliver(signal_types.ITEM_SHIPPED)
        assert len(case.tryton.notes(order)) == 2


async def test_a_success_in_between_restarts_the_limit():
    async with Case() as case:
        case.tryton.sell("PO-1001", ("BOOK", 1))
        for _ in range(3):
            case.fake.faults.extend([case.fake.serve, page(500, "")])
            with pytest.raises(RetryLater):
                await case.deliver(signal_types.ITEM_SHIPPED)
            case.now += faults.SERVER_ERROR_LIMIT - 1
            await case.deliver(signal_types.ITEM_SHIPPED)
            case.fake.faults.clear()


def test_the_limit_forgets_the_oldest_of_too_many_deliveries():
    limit = faults.ServerErrorLimit(lambda: 0.0)
    for number in range(faults.MAX_TRACKED_DELIVERIES + 5):
        limit.check(str(number), faults.ServerError("x"))
    assert len(limit._since) == faults.MAX_TRACKED_DELIVERIES


# -- writes without an answer


@pytest.mark.parametrize("series", BOTH)
@pytest.mark.parametrize("fault", [Fault.CLOSE, page(502, ""), page(504, "")])
async def test_a_write_without_an_answer_is_not_repeated_at_once(series, fault):
    async with Case(series) as case:
        case.tryton.sell("PO-1001", ("BOOK", 1))
        await case.deliver(signal_types.ITEM_ERROR, cause="to learn the transport")
        case.fake.faults.extend([*[case.fake.serve] * 3, fault])
        with pytest.raises(RetryLater) as caught:
            await case.deliver(signal_types.ITEM_ERROR)
        assert case.fake.calls()[-1] == "ir.note/create"
        assert caught.value.after >= 120


async def test_a_read_without_an_answer_asks_for_no_wait():
    async with Case() as case:
        case.fake.cut_at(1)
        with pytest.raises(RetryLater) as caught:
            await case.deliver(signal_types.ITEM_ERROR)
        assert caught.value.after is None


async def test_a_tryton_that_is_not_there_is_retried():
    async with Case() as case:
        await case.fake.stop()
        with pytest.raises(RetryLater, match="can't connect"):
            await case.deliver(signal_types.ITEM_ERROR)
        check = await case.sink.check()
        assert not check.ok
        assert "can't connect" in check.details[-1]


# -- transports and versions


@pytest.mark.parametrize(
    ("series", "options", "path"),
    [
        ("7.0", {}, "/demo/"),
        ("8.0", {}, "/demo/rest/"),
        ("8.0", {"transport": "rest"}, "/demo/rest/"),
        ("8.0", {"transport": "jsonrpc"}, "/demo/rpc/"),
        ("8.0", {"application_key": None}, "/demo/rpc/"),
    ],
)
async def test_the_transport_is_found_or_chosen(series, options, path):
    async with Case(series, **options) as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        await case.deliver(signal_types.ITEM_ERROR)
        assert len(case.tryton.notes(order)) == 1
        asked = [request.path for request in case.fake.requests if request.path in {"/", "/rpc/"}]
        assert asked == ([] if options.get("transport") == "rest" else ["/rpc/", "/"][: 2 if series < "8" else 1])
        assert all(request.path.startswith(path) for request in case.fake.requests[len(asked) :])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"transport": "rest", "application_key": None}, "needs the option application_key"),
        ({"transport": "jsonrpc", "password": None}, "needs the options user and password"),
        ({"application_key": None, "user": None}, "give application_key"),
    ],
)
async def test_missing_credentials_are_named_before_anything_is_asked(options, words):
    case = Case(**options)
    with pytest.raises(Misconfigured, match=words):
        async with case:
            pass
    assert case.fake.requests == []
    await case.fake.stop()


async def test_a_key_alone_does_not_do_for_7():
    async with Case("7.0", user=None, password=None) as case:
        with pytest.raises(Misconfigured, match="set the options user and password"):
            await case.deliver(signal_types.ITEM_SHIPPED)
        check = await case.sink.check()
        assert not check.ok
        assert "user and password" in check.details[-1]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ({"id": 0, "result": "6.0.1"}, Misconfigured, r"7\.0 or later is needed; this is 6\.0\.1"),
        ({"id": 0, "result": {"version": "6.0"}}, RetryLater, "JSON, not in Tryton's form"),
        ({"version": "6.0"}, RetryLater, "JSON, not in Tryton's form"),
        ([], RetryLater, "not in Tryton's form"),
    ],
)
async def test_an_old_tryton_is_reported_and_another_server_is_not_taken_for_one(answer, kind, words):
    async with Case() as case:
        case.fake.faults.append(Answer(200, answer))
        with pytest.raises(kind, match=words):
            await case.deliver(signal_types.ITEM_SHIPPED)


def test_series():
    assert [series_of(text) for text in ("8.0", "7.0.59", "10.2", "x")] == [(8, 0), (7, 0), (10, 2), (0, 0)]


@pytest.mark.parametrize("series", BOTH)
async def test_warnings_are_skipped(series):
    async with Case(series, mark_delivered="order") as case:
        order = case.tryton.sell("PO-1001", ("BOOK", 1))
        await case.deliver(signal_types.ITEM_SHIPPED)
        assert [each["state"] for each in case.tryton.shipments(order)] == ["done"]
        assert case.fake.calls().count("res.user.warning/skip") == (series < "8")


async def test_endless_warnings_become_dead_letters(monkeypatch):
    async with Case("7.0", mark_delivered="order") as case:
        case.tryton.sell("PO-1001", ("BOOK", 1))
        monkeypatch.setattr(case.tryton, "skipped", frozenset())
        monkeypatch.setattr(case.tryton, "warn", raise_warning)
        monkeypatch.setattr(case.fake, "serve_rpc", skipping_nothing(case.fake.serve_rpc))
        with pytest.raises(Permanent, match="raises more than 20 warnings"):
            await case.deliver(signal_types.ITEM_SHIPPED)


def raise_warning(name, skipping):
    from tests.support.tryton_model import TrytonError

    raise TrytonError("UserWarning", name, "Careful.")


def skipping_nothing(serve):
    return lambda model, method, *params: None if method == "skip" else serve(model, method, *params)


# -- secrets


@pytest.mark.parametrize("series", BOTH)
async def test_no_error_log_or_repr_contains_a_secret(series, caplog):
    caplog.set_level(logging.DEBUG)
    words = f"your key {KEY} or {PASSWORD} is not {'x' * 400}\nSECOND-LINE"
    body = {"status": 400, "message": words, "description": ""}
    if series < "8":
        body = {"id": 1, "error": ["UserError", [words, "", None]]}
    error = await first_call_answered(series, Answer(400 if series >= "8" else 200, body))
    assert "your key *** or *** is not xxx" in str(error)
    assert len(str(error)) <= len("sale.sale/search_read: ") + text.MAX_MESSAGE_LENGTH
    async with Case(series) as case:
        shown = f"{error!r} {caplog.text} {case.sink!r} {case.sink.settings!r} {case.sink.tryton!r} {make_delivery()!r}"
    for secret in (KEY, PASSWORD, "SECOND-LINE"):
        assert secret not in shown


@pytest.mark.parametrize("spell", [str, lambda word: json.dumps(word)[1:-1], quote, html.escape, repr, ascii])
@pytest.mark.parametrize("series", BOTH)
async def test_a_password_of_any_characters_is_masked_whole(series, spell):
    password = "FRAGpässwörd\"x'<&>\\ 日本"
    words = f"{'x' * 250} nobody has the password {spell(password)}: sorry"
    body = {"status": 400, "message": words, "description": ""}
    if series < "8":
        body = {"id": 1, "error": ["UserError", [words, "", None]]}
    error = await first_call_answered(series, Answer(400 if series >= "8" else 200, body), password=password)
    assert "xxx nobody has the password" in str(error)
    assert "FRAG" not in str(error)


def test_the_client_waits_longer_than_a_write_takes_to_settle():
    assert TrytonSink.read_timeout > 120
    assert TrytonSink.timeout > TrytonSink.read_timeout
