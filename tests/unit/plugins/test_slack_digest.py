"""Digests of many signals in one message, and the rate limit that routes of a workspace share."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block

from cloudsignal_slack import SlackSink
from cloudsignal_slack.answers import BOT_MISCONFIGURED, BOT_PERMANENT, THREAD_GONE, WEBHOOK_MISCONFIGURED
from cloudsignal_slack.digest import build_digest
from cloudsignal_slack.message import build_message, build_root
from gateway import signal_types
from gateway.sink import Misconfigured, RetryLater
from tests.support.fake_slack import FakeSlack, fault_of, pings, read, texts
from tests.support.sink_page import option_table, read_page
from tests.support.stub import Answer
from tests.unit.plugins.slack_case import Case, make, many

PAGE = read_page("slack")
TEXTS = st.text(max_size=400)


def seen(message) -> str:
    return "\n".join(map(read, texts(message)))


# -- bursts


@pytest.mark.gen_test
@pytest.mark.parametrize("bot", [False, True])
async def test_a_bad_night_is_one_message(bot) -> None:
    async with Case(bot=bot, mention="here") as case:
        assert await case.deliver_all(many(400) + many(100, signal_types.ITEM_CANCELED, 400)) == [None] * 500
        (message,) = case.fake.messages
        assert message["text"].startswith("⚠️ 500 signals of bookshop: 400 x ItemError, 100 x ItemCanceled")
        text = seen(message)
        assert "⚠️ Print error: 400\n• ❌ Item cancelled: 100" in text
        assert "Paper jam: 400" in text
        assert "Print error: PO-0: Paper jam" in text
        assert "PO-9" in text
        assert "PO-10" not in text
        assert "and 490 more" in text
        assert pings(message) == ["!here"]


@pytest.mark.gen_test
async def test_a_few_are_told_one_by_one() -> None:
    async with Case(digest=5) as case:
        await case.deliver_all(many(5))
        assert len(case.fake.messages) == 5


@pytest.mark.gen_test
async def test_while_a_burst_lasts_there_is_a_digest_a_minute() -> None:
    async with Case(FakeSlack(rate_limited=True), digest=5) as case:
        await case.deliver_all(many(3))
        begun = case.time
        for number in range(1, 4):
            await case.deliver_all(many(10, first=number * 100))
        heads = case.heads()
        assert len(heads) == 6
        assert heads[3:] == ["⚠️ 10 signals of bookshop"] * 3
        assert case.time - begun >= 120
        case.time += 61
        await case.deliver_all(many(1, first=900))
        assert case.heads()[-1] == "⚠️ Print error: PO-900"


@pytest.mark.gen_test
async def test_a_single_signal_in_a_burst_is_told_as_itself_but_waits_too() -> None:
    async with Case(digest=2) as case:
        await case.deliver_all(many(10))
        begun = case.time
        await case.deliver_all(many(1, first=50))
        assert case.heads() == ["⚠️ 10 signals of bookshop", "⚠️ Print error: PO-50"]
        assert case.time - begun >= 59


@pytest.mark.gen_test
async def test_digests_can_be_switched_off_and_the_rest_comes_in_turn() -> None:
    async with Case(digest=0) as case:
        answers = await case.deliver_all(many(100))
        told = len(case.fake.messages)
        assert 40 <= told < 60
        assert answers[:told] == [None] * told
        assert all(isinstance(error, RetryLater) and error.healthy for error in answers[told:])
        for _ in range(3):
            answers = await case.deliver_all(many(100))
        assert answers == [None] * 100
        assert len(set(case.heads())) == len(case.heads()) == 100


@pytest.mark.gen_test
async def test_a_digest_that_is_tried_again_is_not_said_twice() -> None:
    async with Case() as case:
        case.fake.faults.append(Answer(503))
        answers = await case.deliver_all(many(30))
        assert all(isinstance(error, RetryLater) for error in answers)
        assert await case.deliver_all(many(30)) == [None] * 30
        case.commit()
        assert await case.deliver_all(many(30)) == [None] * 30
        await case.restart()
        assert await case.deliver_all(many(30)) == [None] * 30
        assert len(case.fake.messages) == 1


@pytest.mark.gen_test
async def test_a_channel_that_is_gone_holds_up_no_other() -> None:
    async with Case(bot=True, channels={"ItemCanceled": "C0NOWHERE"}) as case:
        answers = await case.deliver_all([make(signal_types.ITEM_CANCELED), make(order="2"), make(order="3")])
        assert isinstance(answers[0], Misconfigured)
        assert answers[1:] == [None, None]


# -- what a digest says


@given(
    st.lists(st.tuples(TEXTS, TEXTS, st.sampled_from([*signal_types.STAGES, "<!channel>"])), min_size=2, max_size=40)
)
def test_any_signals_make_a_good_digest_that_pings_nobody(given) -> None:
    deliveries = [make(type, cause=cause, order_reference=reference) for cause, reference, type in given]
    message = build_digest(deliveries)
    assert fault_of(message) == ""
    assert pings(message) == []


@pytest.mark.parametrize("character", ["x", "&", "🖨"])
def test_a_digest_of_long_texts_stays_within_the_limits(character) -> None:
    long = [make(f"{n}" + character * 900, cause=f"{n}" + character * 900, order=str(n)) for n in range(40)]
    assert fault_of(build_digest(long, ("<!here>",), "https://gw.example")) == ""


@pytest.mark.parametrize(
    "message",
    [
        build_message(
            make(signal_types.ITEM_CANCELED, message="x" * 9000), ("<!here>",), "https://gw.example/orders/a/1"
        ),
        build_root(make(signal_types.ITEM_ERROR, cause="<" * 9000, furthest=signal_types.ITEM_SHIPPED), ("<!here>",)),
        build_digest(many(500), ("<!here>",), "https://gw.example"),
    ],
    ids=["message", "root", "digest"],
)
def test_slacks_own_models_find_the_blocks_right(message) -> None:
    assert len(message["blocks"]) <= 50
    for block in Block.parse_all(message["blocks"]):
        block.validate_json()


def samples():
    return re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_shows_a_digest() -> None:
    deliveries = many(28) + many(2, signal_types.ITEM_CANCELED, 28)
    assert json.loads(samples()[1]) == build_digest(deliveries, ("<!here>",))


# -- routes together


@pytest.mark.gen_test
@pytest.mark.parametrize("bot", [False, True])
async def test_routes_that_share_a_channel_share_its_turns(bot) -> None:
    async with Case(FakeSlack(rate_limited=True), bot=bot) as case:
        other = case.make("other")
        for number in range(3):
            await case.deliver(order=f"a{number}")
            await other.deliver(make(order=f"b{number}"))
        assert len(case.fake.messages) == (12 if bot else 6)
        await other.close()


@pytest.mark.gen_test
@pytest.mark.parametrize("bot", [False, True])
async def test_a_pause_holds_for_every_route_of_the_workspace(bot) -> None:
    async with Case(bot=bot) as case:
        case.fake.paths.add("/services/T0/B1/second")
        other = case.make(
            "other",
            **({"channel": "print-errors"} if bot else {"webhook_url": case.fake.url + "/services/T0/B1/second"}),
        )
        case.fake.faults.append(Answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "30"}))
        with pytest.raises(RetryLater) as caught:
            await case.deliver()
        assert caught.value.after == 30
        with pytest.raises(RetryLater, match="pause"):
            await other.deliver(make())
        assert len(case.fake.requests) == 1
        case.time += 30
        await other.deliver(make())
        await other.close()


@pytest.mark.gen_test
async def test_another_workspace_goes_on() -> None:
    async with Case() as case:
        case.fake.paths.add("/services/T1/B1/second")
        other = case.make("other", webhook_url=case.fake.url + "/services/T1/B1/second")
        case.fake.faults.append(Answer(429, "", {"Retry-After": "30"}))
        with pytest.raises(RetryLater):
            await case.deliver()
        await other.deliver(make())
        assert len(case.fake.messages) == 1
        await other.close()


@pytest.mark.gen_test
async def test_who_would_wait_long_for_a_turn_comes_again() -> None:
    async with Case() as case:
        for _ in range(25):
            try:
                case.sink.workspace.reserve_turn(case.sink.poster.rate_key(""), case.time)
            except RetryLater:
                break
        with pytest.raises(RetryLater) as caught:
            await case.deliver()
        assert caught.value.healthy
        assert caught.value.after > 20
        assert case.fake.requests == []


# -- the page


def test_the_page_has_the_table_of_options() -> None:
    assert option_table(SlackSink.options) in PAGE


@pytest.mark.parametrize("code", [*WEBHOOK_MISCONFIGURED, *BOT_MISCONFIGURED, *sorted(BOT_PERMANENT | THREAD_GONE)])
def test_every_code_leads_to_one_thing(code) -> None:
    misconfigured = {**WEBHOOK_MISCONFIGURED, **BOT_MISCONFIGURED}
    assert sum(code in table for table in (misconfigured, BOT_PERMANENT, THREAD_GONE)) == 1


def test_the_page_names_the_kinds_of_answers() -> None:
    page = PAGE.partition("## How it is delivered")[2]
    for table in (WEBHOOK_MISCONFIGURED, BOT_MISCONFIGURED, BOT_PERMANENT, THREAD_GONE):
        assert sum(f"`{code}`" in page for code in table) >= 3
