"""The webhook sink: requests and signatures, outcomes by answer, and permitted addresses."""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest
import voluptuous as vol
from standardwebhooks import Webhook, WebhookVerificationError

from cloudsignal_webhook import WebhookSink
from cloudsignal_webhook.addresses import is_public, is_within
from gateway.sink import Context, Misconfigured, Permanent, RetryLater
from gateway.testing import Answer, make_delivery, samples
from tests.support.fake_receiver import PATH, SECRET, FakeReceiver
from tests.support.sink_page import option_table, read_page

PAGE = read_page("webhook")
NEW = "whsec_" + "q" * 44
OTHER = "whsec_" + "A" * 44


def validate(**given):
    options = {"url": f"https://hooks.example{PATH}", "secrets": SECRET, **given}
    return vol.Schema(dict(WebhookSink.options))(options)


def make_sink(now=samples.NOW, **given):
    return WebhookSink(validate(**given), Context("bookshop", "acme", "forward", now=lambda: now))


@asynccontextmanager
async def forwarding(**given) -> AsyncIterator[tuple[WebhookSink, FakeReceiver]]:
    fake = FakeReceiver()
    fake.start()
    sink = make_sink(**{"url": fake.hook, "allow_private": ["127.0.0.1/32"], **given})
    try:
        yield sink, fake
    finally:
        await sink.close()
        await fake.stop()


async def sent(**given):
    """Return headers and body of a delivery's request."""
    async with forwarding(**given) as (sink, fake):
        await sink.deliver(make_delivery("ItemCanceled"))
        (request,) = fake.requests
        return request


# -- what is sent


def test_the_page_shows_a_request_as_it_is():
    request = asyncio.run(sent())
    head, body = re.search(r"```http\n(.*?)\n\n(.*?)```", PAGE, re.DOTALL).groups()
    first, *lines = head.splitlines()
    assert first == f"POST {request.path} HTTP/1.1"
    for line in lines:
        name, value = line.split(": ", 1)
        assert request.headers[name] == value
    assert orjson.loads(body) == request.json


@pytest.mark.parametrize("number", [0, 1], ids=["by the library", "by hand"])
@pytest.mark.gen_test
async def test_the_pages_receivers_verify_it(number, tmp_path, monkeypatch):
    request = await sent(now=time.time())
    receive = page_code(number, tmp_path)
    headers = {name.lower(): value for name, value in request.headers.get_all()}
    event = receive(headers, request.body, SECRET)
    assert (event["type"], event["data"]["order"]) == ("ItemCanceled", "21034900000000")
    for wrong in (
        ({**headers, "webhook-id": "another"}, request.body, SECRET),
        ({**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)}, request.body, SECRET),
        (headers, request.body.replace(b"bookshop", b"printers"), SECRET),
        (headers, request.body, OTHER),
    ):
        with pytest.raises((WebhookVerificationError, ValueError)):
            receive(*wrong)


@pytest.mark.gen_test
async def test_an_old_request_is_told_by_its_timestamp(tmp_path):
    request = await sent(now=samples.NOW)
    headers = {name.lower(): value for name, value in request.headers.get_all()}
    for number in (0, 1):
        with pytest.raises((WebhookVerificationError, ValueError), match="too old"):
            page_code(number, tmp_path)(headers, request.body, SECRET)


def page_code(number, folder):
    """Return a receiver of the README's example, loaded as a module."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    path = folder / f"receiver{number}.py"
    path.write_text(blocks[number])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.receive


@pytest.mark.gen_test
async def test_two_secrets_serve_receivers_that_know_either():
    request = await sent(secrets=[NEW, SECRET], now=time.time())
    headers = dict(request.headers.get_all())
    for secret in (NEW, SECRET):
        assert Webhook(secret).verify(request.body, headers)["type"] == "ItemCanceled"
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(request.body, headers)
    assert request.headers["webhook-signature"].count("v1,") == 2


@pytest.mark.gen_test
async def test_a_signal_with_next_to_nothing_in_it_is_sent_too():
    async with forwarding() as (sink, fake):
        await sink.deliver(make_delivery("ItemInvented", order=None, order_reference=None, datetime=None, item=None))
        event = fake.requests[0].json
    assert event["type"] == "ItemInvented"
    assert event["timestamp"] == event["data"]["received_at"]
    assert (event["data"]["order"], event["data"]["item"], event["data"]["cause"]) == ("", None, None)


# -- answers


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.gen_test
async def test_a_success_is_a_success(status):
    async with forwarding() as (sink, fake):
        fake.faults.append(Answer(status, b""))
        await sink.deliver(make_delivery())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 401, 403, 404, 405, 407, 410, 421, 451])
@pytest.mark.gen_test
async def test_what_holds_for_every_signal_pauses_the_route(status):
    async with forwarding() as (sink, fake):
        fake.faults.append(Answer(status, b"", {"Location": fake.hook}))
        with pytest.raises(Misconfigured, match=str(status)):
            await sink.deliver(make_delivery())
        assert len(fake.requests) == 1


@pytest.mark.parametrize("status", [400, 402, 406, 413, 415, 418, 422, 431])
@pytest.mark.gen_test
async def test_what_is_said_of_the_signal_is_final(status):
    async with forwarding() as (sink, fake):
        fake.faults.append(Answer(status))
        with pytest.raises(Permanent, match=str(status)):
            await sink.deliver(make_delivery())


@pytest.mark.parametrize("status", [429, 500, 501, 503, 521])
@pytest.mark.gen_test
async def test_what_passes_is_tried_again_when_the_receiver_says(status):
    async with forwarding() as (sink, fake):
        fake.faults.append(Answer(status, b"", {"Retry-After": "90"}))
        with pytest.raises(RetryLater, match=str(status)) as caught:
            await sink.deliver(make_delivery())
        assert caught.value.after == 90


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"no such order\nmore", "text/plain; charset=utf-8", " (no such order)"),
        (b'{"message": "no such order"}', "application/json", " (no such order)"),
        (b'{"title": "Not known", "detail": "no such order"}', "application/problem+json", " (no such order)"),
        (b'{"error": {"code": 7, "message": "no such order"}}', "application/json", " (no such order)"),
        (b'{"errors": [{"detail": "no such order"}]}', "application/json", " (no such order)"),
        (b'{"error": "secret is %s"}' % SECRET.encode(), "application/json", " (secret is ***)"),
        (b"no hook %s" % PATH.encode(), "text/plain", " (no hook /***)"),
        (b"no hook 8f14e45fceea167a", "text/plain", " (no hook ***)"),
        (b"a\x00\x1b[31m", "text/plain", " (a [31m)"),
        (b"<html>Sorry</html>", "text/html", ""),
        (b"{broken", "application/json", ""),
        (b'{"message": 7}', "application/json", ""),
        (b"[]", "application/json", ""),
        (b"[" * 50_000, "application/json", ""),
        (b'{"error":' * 900 + b'"x"' + b"}" * 900, "application/json", ""),
        (b"", "text/plain", ""),
        (b"x" * 70_000, "text/plain", ""),
    ],
    ids=range(17),
)
@pytest.mark.parametrize("status", [422, 503, 404])
@pytest.mark.gen_test
async def test_a_refusal_has_the_receivers_reason(status, body, kind, reason):
    async with forwarding() as (sink, fake):
        fake.faults.append(Answer(status, body, {"Content-Type": kind}))
        with pytest.raises((Permanent, RetryLater, Misconfigured)) as caught:
            await sink.deliver(make_delivery())
        assert str(caught.value).partition(":")[0] == f"answered {status}{reason}"


@pytest.mark.parametrize(
    ("status", "ok"), [(200, True), (404, True), (405, True), (501, True), (400, True), (302, False), (410, False)]
)
@pytest.mark.gen_test
async def test_check_says_what_a_head_can_show(status, ok):
    async with forwarding() as (sink, fake):
        fake.faults.append(Answer(status))
        found = await sink.check()
        assert found.ok is ok
        assert str(status) in found.details[0]
        assert [request.method for request in fake.requests] == ["HEAD"]


# -- where it may go

REFUSED = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",  # noqa: S104
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2001:0:7f00:1::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2002:808:808::1",
    "::127.0.0.1",
    "::10.0.0.1",
    "::169.254.169.254",
    "::8.8.8.8",
    "::ffff:0:127.0.0.1",
    "::ffff:0:10.0.0.1",
    "::ffff:0:8.8.8.8",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1:a00:1::",
    "2606:4700::5efe:10.0.0.1",
    "2606:4700::200:5efe:127.0.0.1",
    "100::1",
    "3fff::1",
    "5f00::1",
    "2001:10::1",
    "2001:db8:ffff::1",
    "4000::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_within_are_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_internet_are(address):
    assert is_public(ipaddress.ip_address(address))


SPELLINGS = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.000.000.001",
    "0",
    "0.0.0.0",  # noqa: S104
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0x7f000001",
    "0x7f.0.0.1",
    "0X7F.1",
    "１２７.０.０.１",
    "127。0。0。1",
    "localhost",
    "LOCALHOST",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7F00:1]",
    "[0:0:0:0:0:ffff:7f00:0001]",
    "[::ffff:0:127.0.0.1]",
    "[::ffff:0:7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    "[fe80::1%25lo]",
    "[fe80::1%lo]",
    "169.254.169.254",
    "[fd00:ec2::254]",
]
"""Hosts of URLs that lead to this machine or its metadata, as attackers write them."""


@pytest.mark.parametrize("host", SPELLINGS)
@pytest.mark.gen_test
async def test_an_address_in_the_url_is_refused(host):
    async with forwarding() as (_, fake):
        port = fake.url.rpartition(":")[2]
        sink = make_sink(url=f"http://{host}:{port}{PATH}")
        with pytest.raises(Misconfigured, match="not one that this route may connect to"):
            await sink.deliver(make_delivery())
        assert not (await sink.check()).ok
        await sink.close()
        assert not fake.requests


class Names:
    """A resolver in place of the system's; each call gets the next answer."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host, port, *args, **options):
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        kinds = [(socket.AF_INET6 if ":" in each else socket.AF_INET, each) for each in answer]
        return [(kind, socket.SOCK_STREAM, 6, "", (each, port)) for kind, each in kinds]


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["::1"], ["93.184.216.34", "127.0.0.1"], ["169.254.169.254"]])
@pytest.mark.gen_test
async def test_a_name_that_leads_within_is_refused(answer, monkeypatch):
    async with forwarding() as (_, fake):
        sink = make_sink(url=f"http://hooks.example:{fake.url.rpartition(':')[2]}{PATH}")
        monkeypatch.setattr(socket, "getaddrinfo", Names(answer))
        with pytest.raises(Misconfigured, match="not one that this route may connect to") as caught:
            await sink.deliver(make_delivery())
        assert "hooks.example" not in str(caught.value)
        await sink.close()
        assert not fake.requests


@pytest.mark.gen_test
async def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch):
    """A name is resolved once, so that a second, forbidden address is never used."""
    async with forwarding() as (_, fake):
        sink = make_sink(
            url=f"http://hooks.example:{fake.url.rpartition(':')[2]}{PATH}", allow_private=["127.0.0.1/32"]
        )
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        monkeypatch.setattr(socket, "getaddrinfo", names)
        await sink.deliver(make_delivery())
        assert len(fake.events) == 1
        assert names.asked == 1
        await sink.close()
        with pytest.raises(Misconfigured):
            await sink.deliver(make_delivery())
        assert names.asked == 2
        assert len(fake.requests) == 1
        await sink.close()


# -- options


def test_networks_may_be_allowed():
    networks = validate(allow_private=["10.1.0.0/16", "fd00:1::/64"])["allow_private"]
    for address, allowed in {
        "10.1.2.3": 1,
        "::ffff:10.1.2.3": 1,
        "fd00:1::9": 1,
        "10.2.0.1": 0,
        "fd00:2::9": 0,
    }.items():
        assert is_within(ipaddress.ip_address(address), networks) == bool(allowed)
    everything = make_sink(allow_private=True)
    assert all(everything.permits(ipaddress.ip_address(address)) for address in REFUSED + PUBLIC)
    nothing = make_sink(allow_private=False)
    assert not any(nothing.permits(ipaddress.ip_address(address)) for address in REFUSED)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("url", "hooks.example", "expected a URL"),
        ("url", "https://user:pass@hooks.example/", "without user and password"),
        ("url", "ftp://hooks.example/", "expected a URL"),
        ("secrets", "q" * 44, "whsec_ and the base64"),
        ("secrets", "whsec_" + "A" * 28, "24 to 64 bytes"),
        ("secrets", "whsec_" + "A" * 92, "24 to 64 bytes"),
        ("secrets", "whsec_" + "!" * 44, "the base64"),
        ("secrets", [], "expected a secret"),
        ("secrets", [SECRET] * 6, "at most 5"),
        ("secrets", [SECRET, 7], "expected a secret"),
        ("allow_private", "yes", "true, false or a list"),
        ("allow_private", [10], "true, false or a list"),
        ("allow_private", ["10.0.0.1/8"], "expected networks"),
        ("allow_private", ["intranet"], "expected networks"),
    ],
)
def test_wrong_options_are_refused(name, value, words):
    with pytest.raises(vol.Invalid, match=words):
        validate(**{name: value})


def test_the_page_has_the_table_of_options():
    assert option_table(WebhookSink.options) in PAGE
