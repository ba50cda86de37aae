"""The fake Slack refuses the messages and calls that Slack documents as errors."""

import pytest

from tests.support.fake_slack import PATH, FakeSlack, fault_of, render
from tests.support.stub import Request

HEADER = {"type": "header", "text": {"type": "plain_text", "text": "x"}}


def section(text="x", **fields):
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **fields}


def post(fake, body=b'{"text": "x"}', path=PATH, method="POST"):
    answer = fake.answer(Request(method, path, "", {}, body))
    return answer.status, answer.body


@pytest.mark.parametrize(
    "message",
    [
        {"text": "x"},
        {"blocks": [HEADER]},
        {"blocks": [section("x" * 3000)] * 50},
        {"blocks": [{"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}]}, {"type": "divider"}]},
    ],
)
def test_good_messages(message):
    assert fault_of(message) == ""


@pytest.mark.parametrize(
    "block",
    [
        {"type": "header", "text": {"type": "mrkdwn", "text": "x"}},
        {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}},
        {"type": "header", "text": {"type": "plain_text", "text": ""}},
        {"type": "headline"},
        {"type": "section"},
        section("x" * 3001),
        section("🖨" * 1501),
        section(fields=[{"type": "mrkdwn", "text": "x"}] * 11),
        section(fields=[{"type": "mrkdwn", "text": "x" * 2001}]),
        section(block_id="x" * 256),
        {"type": "context", "elements": []},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 11},
        "x",
    ],
)
def test_blocks_beyond_the_limits(block):
    assert fault_of({"blocks": [block]}) == "invalid_blocks"


def test_too_many_blocks():
    assert fault_of({"blocks": [section()] * 51}) == "invalid_blocks"


@pytest.mark.parametrize(
    ("message", "code"),
    [({}, "no_text"), ({"text": " "}, "no_text"), ([], "invalid_payload"), ({"text": 1}, "invalid_payload")],
)
def test_no_message(message, code):
    assert fault_of(message) == code


def test_answers():
    fake = FakeSlack()
    assert post(fake) == (200, "ok")
    assert post(fake, b"{") == (400, "invalid_payload")
    assert post(fake, path="/services/T0/B0/other") == (404, "no_service")
    assert post(fake, method="GET") == (400, "invalid_payload")
    fake.refuse(410, "channel_is_archived")
    assert post(fake) == (410, "channel_is_archived")
    assert fake.messages == [{"text": "x"}]


def test_one_message_a_second_after_a_burst():
    now = 0.0
    fake = FakeSlack(rate_limited=True, burst=1, clock=lambda: now)
    assert [post(fake)[0] for _ in range(3)] == [200, 200, 429]
    now = 1.0
    assert [post(fake)[0] for _ in range(2)] == [200, 429]


def test_messages_in_plain_text():
    message = {"text": "gone", "blocks": [HEADER, section("*Cause*\na &amp; b <!here> <!date^1^{date}|noon>")]}
    assert render(message) == "-- a message\n   x\n   Cause: a & b @here noon"
