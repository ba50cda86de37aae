"""The slack sink by webhook: outcomes by answer, rate limits, check, options, and the secrecy of the URL."""

import asyncio
import email.utils

import pytest
import structlog.testing
import voluptuous as vol

from cloudsignal_slack import SlackSink
from gateway import signal_types
from gateway.sink import ALERTS, Misconfigured, Permanent, RetryLater
from tests.support.fake_slack import PATH, FakeSlack, pings
from tests.support.stub import Answer, Fault
from tests.unit.plugins.slack_case import NOW, Case

MISCONFIGURED = [
    (400, "user_not_found"),
    (401, ""),
    (403, "action_prohibited"),
    (403, "invalid_token"),
    (403, "no_team"),
    (403, "something_new"),
    (404, "no_service"),
    (404, "channel_not_found"),
    (404, "<html>Not here</html>"),
    (405, ""),
    (410, "channel_is_archived"),
    (301, ""),
    (302, ""),
    (308, ""),
    (200, "<html>Log in to the guest network</html>"),
    (200, " <!DOCTYPE html><title>Log in</title>"),
    (200, {"ok": False, "error": "invalid_token"}),
    (200, {"success": False}),
    (200, "no_service"),
]
TAKEN = [
    (200, "ok"),
    (200, "ok\n"),
    (200, ""),
    (201, "created"),
    (202, {}),
    (204, ""),
    (200, {"ok": True}),
    (200, {"success": True}),
    (200, "accepted"),
    (200, "Thanks!"),
    (200, "{broken"),
    (200, [1]),
    (200, "1"),
]


def options(**given):
    return SlackSink.schema()({"webhook_url": "https://hooks.slack.com/services/T/B/x", **given})


def bot_options(**given):
    return SlackSink.schema()({"token": "xoxb-1-2-a", "channel": "C012ABCDE", **given})


# -- answers


@pytest.mark.gen_test
async def test_a_message_arrives():
    async with Case(mention="here") as case:
        await case.deliver(signal_types.ITEM_ERROR, cause="Paper jam")
        [sent] = case.fake.messages
        assert "Paper jam" in sent["text"]
        assert case.fake.requests[0].headers["Content-Type"] == "application/json"


@pytest.mark.gen_test
@pytest.mark.parametrize(("status", "body"), TAKEN)
async def test_a_message_that_was_taken_is_posted_once(status, body):
    """Mattermost, Rocket.Chat and others answer in their own words."""
    async with Case() as case:
        case.fake.faults.append(Answer(status, body))
        await case.deliver()
        assert len(case.fake.requests) == 1


@pytest.mark.gen_test
@pytest.mark.parametrize(("status", "body"), MISCONFIGURED)
async def test_what_a_person_must_mend_pauses_the_route(status, body):
    async with Case() as case:
        case.fake.faults.append(Answer(status, body, {"Location": "https://slack.example/" + PATH}))
        with pytest.raises(Misconfigured, match=str(status)) as caught:
            await case.deliver()
        assert len(case.fake.requests) == 1
        assert "html" not in str(caught.value)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("status", "code"), [(400, "invalid_payload"), (400, "invalid_blocks"), (400, "no_text"), (400, ""), (413, "")]
)
async def test_a_message_that_slack_refuses_is_given_up(status, code):
    async with Case() as case:
        case.fake.faults.append(Answer(status, code))
        with pytest.raises(Permanent, match=f"Slack answered {status} ?{code}"):
            await case.deliver()


@pytest.mark.gen_test
@pytest.mark.parametrize("status", [408, 500, 501, 502, 503, 504, 599])
async def test_what_passes_is_tried_again(status):
    async with Case() as case:
        case.fake.faults.append(Answer(status, "rollup_error"))
        with pytest.raises(RetryLater, match=str(status)):
            await case.deliver()
        await case.deliver()
        assert len(case.fake.messages) == 1


@pytest.mark.gen_test
@pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.HALF])
async def test_a_broken_connection_is_tried_again(fault):
    async with Case() as case:
        case.fake.faults.append(fault)
        with pytest.raises(RetryLater):
            await case.deliver()


@pytest.mark.gen_test
async def test_no_slack_at_all_is_tried_again():
    async with Case() as case:
        await case.fake.stop()
        with pytest.raises(RetryLater, match="can't connect"):
            await case.deliver()


# -- pace


@pytest.mark.gen_test
async def test_messages_are_a_second_apart():
    async with Case(FakeSlack(rate_limited=True)) as case:
        await case.deliver(order="1")
        case.time += 0.25
        await case.deliver(order="2")
        await case.deliver(order="3")
        assert case.slept == [0, 0.75, 1.0]
        case.time += 5
        await case.deliver(order="4")
        assert case.slept[-1] == 0
        assert len(case.fake.messages) == 4


@pytest.mark.gen_test
async def test_messages_at_once_wait_for_one_another():
    async with Case(FakeSlack(rate_limited=True)) as case:
        await asyncio.gather(*(case.deliver(cause=str(n)) for n in range(5)))
        assert len(case.fake.messages) == 5
        assert case.slept == [0, 1, 1, 1, 1]


@pytest.mark.gen_test
@pytest.mark.parametrize("header", ["30", email.utils.formatdate(NOW + 30, usegmt=True)])
async def test_a_pause_holds_for_every_message(header):
    async with Case() as case:
        case.fake.faults.append(Answer(429, "rate_limited", {"Retry-After": header}))
        with pytest.raises(RetryLater) as caught:
            await case.deliver()
        assert caught.value.after == 30
        case.time += 10
        with pytest.raises(RetryLater) as caught:
            await case.deliver(cause="another")
        assert caught.value.after == 20
        assert len(case.fake.requests) == 1
        case.time += 20
        await case.deliver()
        assert len(case.fake.messages) == 1


@pytest.mark.gen_test
@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}])
async def test_a_pause_without_an_end_is_left_to_the_policy(headers):
    async with Case() as case:
        case.fake.faults.append(Answer(429, "rate_limited", headers))
        with pytest.raises(RetryLater) as caught:
            await case.deliver()
        assert caught.value.after is None
        await case.deliver()


@pytest.mark.gen_test
async def test_an_absurd_pause_ends():
    async with Case() as case:
        case.fake.faults.append(Answer(429, "", {"Retry-After": "9" * 400}))
        with pytest.raises(RetryLater):
            await case.deliver()
        case.time += 3600
        await case.deliver()


@pytest.mark.gen_test
@pytest.mark.parametrize(("bot", "messages"), [(False, 1), (True, 2)])
async def test_a_cancelled_message_leaves_the_way_free(bot, messages):
    """A bot posts two messages: the root of the order's thread, and one in it."""
    async with Case(bot=bot) as case:
        case.fake.faults.append(Fault.HANG)
        task = asyncio.create_task(case.deliver())
        while not case.fake.requests:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await case.deliver()
        assert len(case.fake.messages) == messages


# -- check


@pytest.mark.gen_test
async def test_the_check_posts_nothing():
    async with Case() as case:
        found = await case.sink.check()
        assert found.ok
        assert case.fake.messages == []
        assert case.fake.requests[0].json == {"text": ""}


@pytest.mark.gen_test
async def test_the_check_finds_a_webhook_that_is_gone():
    async with Case() as case:
        case.fake.paths.clear()
        found = await case.sink.check()
        assert not found.ok
        assert "no_service" in found.details[0]


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("answer", "ok", "told"),
    [
        (Answer(400, "invalid_payload"), True, "can't be tested without posting"),
        (Answer(200, "ok"), True, "answers"),
        (Answer(503, ""), False, "503"),
        (Answer(301, ""), False, "redirect"),
        (Fault.CLOSE, False, "connection broke"),
    ],
)
async def test_the_check_says_what_it_knows(answer, ok, told):
    async with Case() as case:
        case.fake.faults.append(answer)
        found = await case.sink.check()
        assert found.ok is ok
        assert told in found.details[0]


# -- options


def test_the_sink_gets_alerts_in_any_order():
    assert SlackSink.signals == ALERTS
    assert SlackSink.order == "none"
    assert SlackSink.concurrency == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.slack.com/services/T/B/x",
        "http://127.0.0.1.example/x",
        "http://10.0.0.1/x",
        "ftp://hooks.slack.com/x",
        "hooks.slack.com/services/T/B/x",
        "",
        7,
        None,
    ],
)
def test_a_url_that_is_not_safe_is_refused(url):
    with pytest.raises(vol.Invalid) as caught:
        options(webhook_url=url)
    assert "services" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/triggers/T012/345/abc",
        "https://hooks.slack.com/workflows/T012/A345/678/abc",
        "https://hooks.slack.com/Triggers/T012/345/abc",
        "https://hooks.slack.com/commands/T012/345/abc",
        "https://hooks.slack.com/",
        "https://hooks.slack-gov.com/triggers/T012/345/abc",
        "http://127.0.0.1:8090/triggers/T0/1/x",
        "https://chat.example/workflows/x",
    ],
)
def test_a_workflows_url_is_refused_with_the_remedy(url):
    with pytest.raises(vol.Invalid, match="choose Incoming Webhooks") as caught:
        options(webhook_url=url)
    assert url not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T/B/x",
        "http://127.0.0.1:8090/x",
        "http://localhost/x",
        "http://[::1]/x",
        "https://chat.example/hooks/5f/triggers",
    ],
)
def test_plain_http_is_for_this_machine_only(url):
    assert options(webhook_url=url)["webhook_url"].reveal() == url


@pytest.mark.parametrize(
    ("given", "mentions"),
    [
        ("here", ("<!here>",)),
        ("<!here>", ("<!here>",)),
        ("@channel", ("<!channel>",)),
        (["U012ABCDE", "<@W012ABCDE>"], ("<@U012ABCDE>", "<@W012ABCDE>")),
        (["S012ABCDE", "<!subteam^S012ABCDE>", "!everyone"], ("<!subteam^S012ABCDE>",) * 2 + ("<!everyone>",)),
        ([], ()),
    ],
)
def test_mentions(given, mentions):
    assert options(mention=given)["mention"] == {"error": mentions, "canceled": mentions}


def test_mentions_by_severity():
    given = options(mention={"error": "here", "other": ["U012ABCDE"]})
    assert given["mention"] == {"error": ("<!here>",), "other": ("<@U012ABCDE>",)}


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("type", "pinged"),
    [
        (signal_types.ITEM_ERROR, ["!here"]),
        (signal_types.ITEM_DELIVERY_FAILED, ["!here"]),
        (signal_types.ITEM_CANCELED, ["@U012ABCDE"]),
        (signal_types.ORDER_CANCELED, ["@U012ABCDE"]),
        (signal_types.ITEM_SHIPPED, []),
        ("New", []),
    ],
)
async def test_who_is_mentioned_depends_on_how_bad_it_is(type, pinged):
    async with Case(mention={"error": "here", "canceled": "U012ABCDE"}) as case:
        await case.deliver(type)
        assert pings(case.fake.messages[0]) == pinged


@pytest.mark.parametrize(
    "given",
    [
        "@anna",
        "<!date^1^x|y>",
        "C012ABCDE",
        "u012abcde",
        "",
        7,
        [None],
        ["here"] * 21,
        {"bad": "here"},
        {"error": "anna"},
    ],
)
def test_a_mention_of_nobody_is_refused(given):
    with pytest.raises(vol.Invalid, match="expected"):
        options(mention=given)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"webhook_url": "https://hooks.slack.com/services/T/B/x", "token": "xoxb-1"}, "webhook_url"),
        ({}, "webhook_url"),
        ({"token": "xoxb-1"}, "channel"),
        ({"webhook_url": "https://hooks.slack.com/services/T/B/x", "channel": "C012ABCDE"}, "channel"),
        ({"webhook_url": "https://hooks.slack.com/services/T/B/x", "channels": {"ItemError": "C012ABCDE"}}, "channels"),
    ],
)
def test_a_route_has_a_webhook_or_a_token_with_its_channel(given, path):
    with pytest.raises(vol.Invalid) as caught:
        SlackSink.schema()(given)
    assert caught.value.path == [path]


@pytest.mark.parametrize(
    "given",
    [
        {"token": "secret"},
        {"token": 7},
        {"channel": ""},
        {"channel": "a b"},
        {"channel": "#print-{order}"},
        {"channel": None},
        {"channels": ["C012ABCDE"]},
        {"channels": {"ItemEror": "C012ABCDE"}},
        {"channels": {"ItemError": ""}},
        {"digest": -1},
        {"digest": 61},
        {"digest": True},
        {"digest": "10"},
        {"console_url": "gw.example"},
        {"console_url": "https://gw.example/?a=b"},
        {"console_url": "https://gw.example/|x>"},
        {"api_url": "http://slack.com/api"},
        {"api_url": None},
    ],
)
def test_bad_options_are_refused(given):
    with pytest.raises(vol.Invalid):
        bot_options(**given)


def test_a_channel_is_an_id_or_a_name():
    for name in ("C012ABCDE", "#alerts", "print-{tenant}", "{account}.errors"):
        assert bot_options(channel=name)["channel"] == name.removeprefix("#")


# -- secrets


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, "no_service"),
        Answer(400, f"http://x{PATH}"),
        Answer(500, PATH),
        Answer(200, f"<{PATH}>"),
        Fault.CLOSE,
    ],
)
async def test_the_url_is_in_no_error_log_or_repr(answer):
    with structlog.testing.capture_logs() as logs:
        async with Case() as case:
            case.fake.faults.extend([answer, answer])
            with pytest.raises((Misconfigured, Permanent, RetryLater)) as caught:
                await case.deliver()
            found = await case.sink.check()
            shown = [str(caught.value), repr(caught.value), repr(case.sink), repr(case.sink.settings), *found.details]
    assert not [text for text in [*shown, repr(logs)] if "demo" in text or "services" in text]
