"""The slack sink as a bot: a thread for each order, with the order's state at its root."""

import pytest
import structlog.testing

from cloudsignal_slack.threads import Thread
from gateway import signal_types
from gateway.sink import Misconfigured, Permanent, RetryLater
from tests.support.fake_slack import CHANNEL, OTHER, Channel, FakeSlack, pings
from tests.support.stub import Answer, Fault
from tests.unit.plugins.slack_case import Case, make

pytestmark = pytest.mark.gen_test

MISCONFIGURED = [
    "not_authed",
    "invalid_auth",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "missing_scope",
    "not_allowed_token_type",
    "channel_not_found",
    "not_in_channel",
    "is_archived",
    "restricted_action",
    "no_permission",
    "org_login_required",
    "unknown_method",
]
GIVEN_UP = ["invalid_blocks", "invalid_blocks_format", "invalid_arguments", "msg_too_long", "no_text"]
PASSING = ["ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "something_new"]


# -- threads


async def test_a_first_signal_begins_a_thread() -> None:
    async with Case(bot=True, mention="here") as case:
        await case.deliver(signal_types.ITEM_ERROR, cause="Paper jam")
        assert case.heads() == ["⚠️ Print error: PO-1001", "  ⚠️ Print error: PO-1001"]
        root, reply = case.fake.messages
        assert (pings(root), pings(reply)) == (["!here"], [])
        assert reply["reply_broadcast"] is False
        assert root["channel"] == reply["channel"] == CHANNEL
        assert "Paper jam" in str(root["blocks"])


async def test_later_signals_are_replies_and_change_the_root() -> None:
    async with Case(bot=True, mention="here") as case:
        await case.deliver(signal_types.ITEM_ERROR)
        await case.deliver(signal_types.ITEM_SHIPPED)
        assert case.heads() == ["Item shipped: PO-1001", "  ⚠️ Print error: PO-1001", "  Item shipped: PO-1001"]
        assert case.fake.messages[2]["reply_broadcast"] is False
        await case.deliver(signal_types.ITEM_CANCELED)
        assert case.heads()[0] == "❌ Item cancelled: PO-1001"
        assert case.fake.messages[3]["reply_broadcast"] is True
        assert pings(case.fake.messages[3]) == ["!here"]
        assert [method for method, _ in case.fake.calls].count("chat.update") == 2


async def test_a_late_signal_does_not_move_the_root_backwards() -> None:
    async with Case(bot=True) as case:
        await case.deliver(signal_types.ITEM_SHIPPED)
        await case.deliver(signal_types.ITEM_ERROR, furthest=signal_types.ITEM_SHIPPED)
        assert case.heads() == ["Item shipped: PO-1001", "  Item shipped: PO-1001", "  ⚠️ Print error: PO-1001"]
        assert "came late" in str(case.fake.messages[2])


async def test_each_order_has_its_thread_and_a_restart_finds_it() -> None:
    async with Case(bot=True) as case:
        for order in ("1", "2"):
            await case.deliver(order=order)
        case.commit()
        await case.restart()
        await case.deliver(signal_types.ITEM_SHIPPED, order="1")
        roots = [message.get("thread_ts") for message in case.fake.messages]
        assert roots[0] is roots[2] is None
        assert roots[1] == roots[4] != roots[3]


async def test_a_signal_without_an_order_is_a_message() -> None:
    async with Case(bot=True) as case:
        await case.deliver("New", order=None, order_reference=None)
        assert case.heads() == ["New"]


async def test_the_threads_remembered_stay_few() -> None:
    async with Case(bot=True, digest=0) as case:
        for number in range(80):
            case.sink.threads.keep("C", str(number * 1000), Thread("C", "1"))
        assert max(len(shard) for shard in case.sink.state.take_changes().values()) <= 50


@pytest.mark.parametrize("code", ["thread_not_found", "message_not_found", "cannot_reply_to_message"])
async def test_a_thread_whose_root_is_gone_begins_anew(code) -> None:
    async with Case(bot=True) as case:
        await case.deliver(signal_types.ITEM_ERROR)
        case.fake.faults.append(Answer(200, {"ok": False, "error": code}))
        await case.deliver(signal_types.ITEM_SHIPPED)
        assert case.heads()[2:] == ["Item shipped: PO-1001", "  Item shipped: PO-1001"]


async def test_a_root_that_was_deleted_from_above_its_replies_gives_way_to_a_new_thread() -> None:
    async with Case(bot=True) as case:
        await case.deliver(signal_types.ITEM_ERROR)
        channel = case.fake.channels[CHANNEL]
        channel.delete(next(iter(channel.posts)))
        await case.deliver(signal_types.ITEM_SHIPPED)
        assert case.heads()[2:] == ["  Item shipped: PO-1001", "Item shipped: PO-1001", "  Item shipped: PO-1001"]
        await case.deliver(signal_types.ITEM_DELIVERY_COMPLETED)
        assert case.heads()[3:] == ["Item delivered: PO-1001", "  Item shipped: PO-1001", "  Item delivered: PO-1001"]


async def test_a_reply_that_slack_put_into_the_channel_is_the_new_root() -> None:
    async with Case(bot=True) as case:
        await case.deliver(signal_types.ITEM_ERROR)
        case.fake.channels[CHANNEL].posts.clear()
        await case.deliver(signal_types.ITEM_SHIPPED)
        await case.deliver(signal_types.ITEM_DELIVERY_COMPLETED)
        assert case.heads()[2:] == ["Item delivered: PO-1001", "  Item delivered: PO-1001"]


async def test_channels_by_type_and_by_tenant() -> None:
    fake = FakeSlack()
    fake.channels["C0TENANT1"] = Channel("print-acme")
    async with Case(fake, bot=True, channel="#print-{tenant}", channels={"ItemCanceled": OTHER}) as case:
        await case.deliver(signal_types.ITEM_ERROR)
        await case.deliver(signal_types.ITEM_CANCELED)
        await case.deliver(signal_types.ITEM_SHIPPED)
        places = [message["channel"] for message in fake.messages]
        assert places == ["print-acme", "C0TENANT1", OTHER, OTHER, "C0TENANT1"]
        assert fake.calls[-1][1]["channel"] == "C0TENANT1"


async def test_a_link_leads_to_the_orders_page() -> None:
    async with Case(bot=True, console_url="https://gw.example/") as case:
        await case.deliver(order="21/<!channel>")
        link = "<https://gw.example/orders/bookshop/21%2F%3C%21channel%3E|Open in the console>"
        assert all(link in str(message["blocks"]) for message in case.fake.messages)


# -- again


async def test_what_was_said_is_not_said_again() -> None:
    async with Case(bot=True) as case:
        await case.deliver()
        await case.deliver()
        case.commit()
        await case.restart()
        await case.deliver()
        assert len(case.fake.messages) == 2


@pytest.mark.parametrize("call", range(4))
async def test_an_attempt_cut_short_goes_on_where_it_was(call) -> None:
    async with Case(bot=True) as case:
        deliveries = [make(signal_types.ITEM_ERROR), make(signal_types.ITEM_SHIPPED)]

        async def refuse_once(at):
            if at == call:
                case.fake.faults.append(Answer(503))

        steps = iter(range(10))
        real = case.sink._post_json

        async def post(*arguments):
            await refuse_once(next(steps))
            return await real(*arguments)

        case.sink.poster._post_json = post
        for delivery in deliveries:
            try:
                await case.sink.deliver(delivery)
            except RetryLater:
                await case.sink.deliver(delivery)
        assert case.heads() == ["Item shipped: PO-1001", "  ⚠️ Print error: PO-1001", "  Item shipped: PO-1001"]


# -- answers


@pytest.mark.parametrize("code", MISCONFIGURED)
async def test_what_a_person_must_mend_pauses_the_route(code) -> None:
    async with Case(bot=True) as case:
        case.fake.refuse_call("chat.postMessage", code)
        with pytest.raises(Misconfigured, match=code):
            await case.deliver()


@pytest.mark.parametrize("code", GIVEN_UP)
async def test_a_message_that_slack_refuses_is_given_up_alone(code) -> None:
    async with Case(bot=True) as case:
        case.fake.faults.append(Answer(200, {"ok": False, "error": code}))
        first, second = await case.deliver_all([make(order="1"), make(order="2")])
        assert isinstance(first, Permanent)
        assert code in str(first)
        assert second is None


@pytest.mark.parametrize("code", PASSING)
async def test_what_passes_is_tried_again(code) -> None:
    async with Case(bot=True) as case:
        case.fake.faults.append(Answer(200, {"ok": False, "error": code}))
        with pytest.raises(RetryLater, match=code):
            await case.deliver()
        await case.deliver()
        assert len(case.fake.messages) == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(503), RetryLater),
        (Answer(200, "<html>"), Misconfigured),
        (Answer(302), Misconfigured),
        (Answer(404, "gone"), Misconfigured),
        (Answer(200, {"ok": False, "error": "xoxb-1"}), RetryLater),
        (Answer(200, ["ok"]), RetryLater),
        (Fault.CLOSE, RetryLater),
        (Fault.HALF, RetryLater),
    ],
)
async def test_answers_that_are_not_the_web_apis(answer, kind) -> None:
    async with Case(bot=True) as case:
        case.fake.faults.append(answer)
        with pytest.raises(kind) as caught:
            await case.deliver()
        assert "xoxb" not in str(caught.value)


async def test_the_fake_knows_the_channels_and_the_token() -> None:
    fake = FakeSlack()
    async with Case(fake, bot=True) as case:
        fake.channels[CHANNEL].member = False
        with pytest.raises(Misconfigured, match="not_in_channel"):
            await case.deliver()
        fake.channels[CHANNEL].archived = True
        with pytest.raises(Misconfigured, match="is_archived"):
            await case.deliver()
        del fake.channels[CHANNEL]
        with pytest.raises(Misconfigured, match="channel_not_found"):
            await case.deliver()
        fake.token = "xoxb-another"
        with pytest.raises(Misconfigured, match="invalid_auth"):
            await case.deliver()


# -- check and secrets


async def test_the_check_asks_who_the_token_is_and_posts_nothing() -> None:
    async with Case(bot=True) as case:
        assert (await case.sink.check()).ok
        case.fake.scopes = {"channels:read"}
        found = await case.sink.check()
        assert (found.ok, found.details) == (False, ("the app lacks the scope chat:write",))
        case.fake.token = "xoxb-another"
        found = await case.sink.check()
        assert not found.ok
        assert "invalid_auth" in found.details[0]
        assert case.fake.messages == []


@pytest.mark.parametrize("answer", [Answer(200, {"ok": False, "error": "xoxb-0-0-demo"}), Answer(500, "xoxb-0-0-demo")])
async def test_the_token_is_in_no_error_log_or_repr(answer) -> None:
    with structlog.testing.capture_logs() as logs:
        async with Case(bot=True) as case:
            case.fake.faults.extend([answer, answer])
            with pytest.raises((Misconfigured, Permanent, RetryLater)) as caught:
                await case.deliver()
            found = await case.sink.check()
            shown = [repr(caught.value), repr(case.sink), repr(case.sink.settings), *found.details, repr(case.shared)]
            kept = str(case.sink.workspace.__dict__) + str(case.sink.poster.workspace)
    assert "demo" not in "".join([*shown, kept, repr(logs)])
