"""The apprise sink: messages, failures and the secrecy of URLs."""

from __future__ import annotations

import io
import logging
import re
import threading
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
import voluptuous as vol

from cloudsignal_apprise import AppriseSink, services
from gateway import logs, signal_types
from gateway.sink import Context, RetryLater, State
from gateway.testing import make_delivery
from tests.support.sink_page import option_table, read_page
from tests.support.stub import Answer, Fault, Request, Stub

ROOT = Path(__file__).parents[3]
PAGE = read_page("apprise")
PASSWORD = "s3cret-pass-8f14e45f"
TOKEN = "t0ken-in-the-path-2c17"
pytestmark = pytest.mark.gen_test


class Service(Stub):
    """A target for Apprise's json://. It echoes each request, as a careless server does."""

    def __init__(self) -> None:
        super().__init__()
        self.messages = []

    def answer(self, request: Request) -> Answer:
        self.messages.append(request.json)
        return Answer(200)

    def link(self) -> str:
        return f"json://gateway:{PASSWORD}@{self.url.removeprefix('http://')}/{TOKEN}?rto=0.3"


def make_sink(urls, state=None, **given):
    options = vol.Schema(dict(AppriseSink.options))({"urls": urls, **given})
    return AppriseSink(options, Context("bookshop", "acme", "people", state or State()))


@asynccontextmanager
async def telling(count=1, **given):
    stubs = [Service() for _ in range(count)]
    for stub in stubs:
        stub.start()
    sink = make_sink([stub.link() for stub in stubs], **given)
    try:
        yield sink, stubs
    finally:
        await sink.close()
        for stub in stubs:
            await stub.stop()


async def told(type, options=None, **fields):
    async with telling(**(options or {})) as (sink, (service,)):
        await sink.deliver(make_delivery(type, **fields))
        (message,) = service.messages
        return message


# -- messages


async def test_the_page_shows_the_message():
    message = await told("ItemCanceled")
    assert message["message"] == re.search(r"```text\n(.*?)\n```", PAGE, re.DOTALL)[1]
    assert f"`{message['title']}`" in PAGE


@pytest.mark.parametrize(
    ("type", "kind"),
    [
        (signal_types.ITEM_CANCELED, "failure"),
        (signal_types.ORDER_CANCELED, "failure"),
        (signal_types.ITEM_DELIVERY_FAILED, "failure"),
        (signal_types.ITEM_ERROR, "warning"),
        (signal_types.GATEWAY_ALERT, "warning"),
        (signal_types.ITEM_SHIPPED, "info"),
        ("ItemInvented", "info"),
    ],
)
async def test_a_message_is_as_grave_as_its_signal(type, kind):
    assert (await told(type))["type"] == kind


async def test_an_alert_that_is_cleared_is_a_success():
    message = await told(signal_types.GATEWAY_ALERT, state="cleared", message="No ItemShipped for 72 h")
    assert message["type"] == "success"
    assert "Message: Cleared: No ItemShipped for 72 h\nWatch: not-shipped\nState: cleared\n" in message["message"]


async def test_templates_shape_the_message():
    templates = {
        "title": "[{account}] {type}",
        "body": "{order_reference} is late by {delay} h\n{tracking}\n100 % {cause}",
    }
    message = await told("ItemError", templates)
    assert message["title"] == "[bookshop] ItemError"
    assert message["message"] == "PO-1001 is late by 24 h\n100 % Paper jam"


async def test_what_the_sender_wrote_is_text_and_nothing_else():
    message = await told("ItemError", cause="{account}\r\n<b>\x00\\n {0.__class__} %s")
    assert "Cause: {account} <b> \\n {0.__class__} %s\n" in message["message"]


# -- failures


@pytest.mark.parametrize("status", [400, 401, 404, 500])
async def test_a_failure_is_tried_again_and_its_status_told(status):
    async with telling() as (sink, (service,)):
        service.faults.append(Answer(status, f"{PASSWORD} {TOKEN}"))
        with pytest.raises(RetryLater) as caught:
            await sink.deliver(make_delivery())
        assert str(caught.value) == f"urls[0] (JSON) answered {status}"
        await sink.deliver(make_delivery())
        assert len(service.messages) == 1


@pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.HANG])
async def test_no_answer_is_tried_again(fault):
    async with telling() as (sink, (service,)):
        service.faults.append(fault)
        with pytest.raises(RetryLater, match=r"urls\[0\] \(JSON\) did not take it"):
            await sink.deliver(make_delivery())


async def test_a_service_that_never_ends_delays_no_other(monkeypatch):
    """A call can't be stopped, so its thread stays; the next attempts must not queue behind it, nor add threads."""
    ends, original = threading.Event(), services.Service._notify

    def hang(service, message):
        if service.label.startswith("urls[0]"):  # the other may be slow on a busy machine, and fail too
            ends.wait()
        return original(service, message)

    monkeypatch.setattr(services.Service, "_notify", hang)
    monkeypatch.setattr("cloudsignal_apprise.sink.SERVICE_TIMEOUT", 0.01)
    async with telling(2) as (sink, (first, _)):
        try:
            with pytest.raises(RetryLater, match=r"^urls\[0\] \(JSON\) gave no result within 0.01 s"):
                await sink.deliver(make_delivery())
            for number in ("1", "2"):
                with pytest.raises(RetryLater, match=r"^urls\[0\] \(JSON\) still has an earlier message in hand"):
                    await sink.deliver(make_delivery(order=number))
        finally:
            ends.set()
        monkeypatch.setattr("cloudsignal_apprise.sink.SERVICE_TIMEOUT", 60.0)
        await sink.deliver(make_delivery(order="1"))
        assert len(first.messages) == 2


async def test_who_was_told_is_not_told_again():
    async with telling(3) as (sink, stubs):
        stubs[1].faults.append(Answer(503))
        with pytest.raises(RetryLater, match=r"^urls\[1\] \(JSON\) answered 503$"):
            await sink.deliver(make_delivery())
        assert [len(stub.messages) for stub in stubs] == [1, 0, 1]
        after_restart = make_sink([stub.link() for stub in stubs], State(sink.state.take_changes()))
        await after_restart.deliver(make_delivery(attempt=2))
        assert [len(stub.messages) for stub in stubs] == [1, 1, 1]
        await after_restart.close()


async def test_what_is_remembered_has_an_end(monkeypatch):
    monkeypatch.setattr("cloudsignal_apprise.sink.MAX_REMEMBERED", 3)
    async with telling() as (sink, (service,)):
        for number in range(5):
            await sink.deliver(make_delivery(order=str(number)))
        assert len(sink.state.get("told")) == 3
        await sink.deliver(make_delivery(order="4"))
        assert len(service.messages) == 5


# -- secrets


async def test_no_part_of_a_url_is_logged_or_shown():
    """The gateway's redactor knows the whole URL only, but services log parts of it in other forms."""
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logs.set_up_logs("json", "debug", logs.Redactor([]), stream)
        logging.getLogger("other").debug("heard")
        async with telling() as (sink, (service,)):
            service.faults.extend([Answer(500, PASSWORD), Fault.CLOSE])
            for _ in range(2):
                with pytest.raises(RetryLater) as caught:
                    await sink.deliver(make_delivery())
                stream.write(repr(caught.value.__dict__) + str(caught.value))
            await sink.deliver(make_delivery())
            stream.write(f"{sink!r} {sink.__dict__} {await sink.check()} {sink.state.take_changes()}")
        with pytest.raises(vol.Invalid) as refused:
            make_sink([f"jsoon://gateway:{PASSWORD}@127.0.0.1/{TOKEN}"])
        stream.write(str(refused.value))
    finally:
        structlog.reset_defaults()
        root.handlers[:] = before
        root.setLevel(level)
    text = stream.getvalue()
    assert "heard" in text
    assert PASSWORD not in text
    assert TOKEN not in text


# -- options


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"urls": []}, "a list of at most 20"),
        ({"urls": ["json://127.0.0.1"] * 21}, "a list of at most 20"),
        ({"urls": "nothing://here"}, "expected a URL that Apprise knows"),
        ({"urls": ["json://127.0.0.1", 7]}, "expected a secret"),
        ({"title": "{typo}"}, "expected no names in braces but: type, account"),
        ({"title": "  "}, "expected text"),
        ({"body": 7}, "expected text"),
    ],
)
async def test_wrong_options_are_refused(given, words):
    with pytest.raises(vol.Invalid, match=words):
        make_sink(**{"urls": "json://127.0.0.1", **given})


def test_the_page_has_the_table_of_options_and_the_placeholders():
    from cloudsignal_apprise.text import BODY, NAMES

    assert option_table(AppriseSink.options).replace(f"`{BODY}`", "the text below") in PAGE
    assert all(f"`{{{name}}}`" in PAGE for name in NAMES)
