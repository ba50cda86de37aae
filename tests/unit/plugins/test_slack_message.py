"""Messages of the slack sink: their content, and Slack's limits with any text of the sender."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudsignal_slack.message import build_message, build_root
from cloudsignal_slack.text import ENTITIES, escape
from gateway import signal_types
from gateway.testing import samples
from tests.support.factory import make_delivery
from tests.support.fake_slack import fault_of, pings, read, texts, utf16
from tests.support.sink_page import read_page

PAGE = read_page("slack")
NASTY = [
    "<!channel>",
    "<@U012ABCDE>",
    "<!subteam^S012ABCDE>",
    "<https://evil.example|Order page>",
    "&lt;!here&gt; <",
    "<",
]
FREE = ["cause", "message", "order_reference", "item_reference", "tracking", "shipping_option", "url", "delay"]


def message(type=signal_types.ITEM_ERROR, mentions=(), **fields):
    if type == signal_types.GATEWAY_ALERT:
        return build_message(make_delivery(signal=samples.make_signal(type, **fields), route="alerts"), mentions)
    return build_message(make_delivery(type, route="alerts", **fields), mentions)


def seen(type=signal_types.ITEM_ERROR, **fields):
    """Return all of a message's text as a reader sees it."""
    return "\n".join(map(read, texts(message(type, **fields))))


# -- content


def test_an_error_says_what_where_why_and_how_long():
    sent = message(signal_types.ITEM_ERROR, cause="Paper jam", delay="24", item_reference="7")
    assert sent["text"] == "⚠️ Print error: PO-1001 (bookshop): Paper jam"
    assert sent["blocks"][0]["text"]["text"] == "⚠️ Print error: PO-1001"
    assert [read(part["text"]) for part in sent["blocks"][1]["fields"]] == [
        "Account: bookshop",
        "Order reference: PO-1001",
        "Order: 21034900000000",
        "Item: 21034901040001",
        "Item reference: 7",
        "Expected delay: 24 hours",
        "Time: 2026-11-20 10:11 UTC",
    ]
    assert [read(text) for text in texts(sent)][-2:] == [
        "Cause: Paper jam",
        "CloudSignal · bookshop · alerts · signal 1",
    ]


@pytest.mark.parametrize("type", [signal_types.ITEM_CANCELED, signal_types.ORDER_CANCELED])
def test_a_cancellation_tells_the_cause_in_words_and_the_message(type):
    text = seen(type, cause="CancelCoverSpine", message="2 mm too wide")
    assert "Cause: wrong cover spine width (CancelCoverSpine)" in text
    assert "Message: 2 mm too wide" in text
    assert f"❌ {signal_types.signal_type(type).title}: PO-1001" in text


def test_an_alert_is_shown_by_its_watch_and_with_a_tick_when_it_is_cleared():
    late = {"watch": "not-shipped", "message": "No ItemShipped within 72 h after ItemProduced"}
    raised = message(signal_types.GATEWAY_ALERT, state="raised", **late)
    assert raised["text"] == ("⚠️ Alert not-shipped: PO-1001 (bookshop): No ItemShipped within 72 h after ItemProduced")
    cleared = message(signal_types.GATEWAY_ALERT, state="cleared", **late)
    assert cleared["text"].startswith("✅ Alert not-shipped: PO-1001 (bookshop): Cleared: No ItemShipped")
    assert fault_of(raised) == fault_of(cleared) == ""


def test_an_alert_of_a_route_names_the_route_and_no_order():
    fields = {"watch": None, "cause": "dead-letters", "route": "erp", "order": None, "order_reference": None}
    sent = message(signal_types.GATEWAY_ALERT, message="Route erp has dead letters: 3 now", **fields)
    assert sent["text"] == "⚠️ Alert dead-letters (bookshop): Route erp has dead letters: 3 now"
    text = "\n".join(map(read, texts(sent)))
    assert "Route: erp" in text
    assert "Cause" not in text
    assert "came late" not in text


def test_a_thread_shows_no_message_of_an_alert_that_is_cleared():
    delivery = make_delivery(signal=samples.make_signal(signal_types.GATEWAY_ALERT, state="cleared"), route="alerts")
    shown = build_root(replace(delivery, furthest=signal_types.ITEM_PRODUCED))
    assert shown["text"] == "Item produced: PO-1001 (bookshop)"
    assert "Cleared" not in "\n".join(map(read, texts(shown)))
    assert build_root(delivery)["text"] == "✅ Alert not-shipped: PO-1001 (bookshop)"


def test_an_incomplete_signal_shows_what_it_has():
    sent = message(signal_types.ITEM_SHIPPED, tracking="", shipping_option=None, item_reference=None)
    shown = [read(part["text"]).split(":")[0] for part in sent["blocks"][1]["fields"]]
    assert shown == ["Account", "Order reference", "Order", "Item", "Time"]


def test_an_order_has_no_item():
    assert "Item" not in seen(signal_types.ORDER_CANCELED)


@pytest.mark.parametrize("type", [*signal_types.TYPES, "SomethingNew"])
def test_every_type_makes_a_message(type):
    sent = message(type)
    assert fault_of(sent) == ""
    assert f"{signal_types.signal_type(type).title}: PO-1001 (bookshop)" in sent["text"]


def test_a_shipment_has_its_tracking():
    text = seen(signal_types.ITEM_SHIPPED, url="https://track.example/TRK1")
    assert "Tracking: TRK1\nShipping: postal\nTracking page: https://track.example/TRK1" in text


def test_an_unknown_type_with_nothing_in_it_makes_a_message():
    sent = message("New", order=None, order_reference=None, datetime=None)
    assert sent["text"] == "New (bookshop)"
    assert fault_of(sent) == ""


@pytest.mark.parametrize(
    ("delay", "shown"), [("1", "1 hour"), ("048", "48 hours"), ("soon", "soon"), ("-2", "-2"), ("9" * 99, "9" * 99)]
)
def test_the_delay_is_in_hours(delay, shown):
    assert f"Expected delay: {shown}\n" in seen(delay=delay)


def test_what_is_empty_is_left_out():
    text = seen(delay="", cause="  ", item_reference="")
    assert "delay" not in text
    assert "Cause" not in text
    assert "Item reference" not in text


def test_the_time_is_shown_in_the_readers_zone():
    assert "<!date^1763633472^{date_short_pretty} {time}|2025-11-20 10:11 UTC>" in str(
        message(datetime="2025-11-20T10:11:12+00:00")
    )


def test_a_time_that_slack_can_not_show_is_in_utc():
    assert "*Time*\n1931-01-21 13:23 UTC" in list(texts(message(datetime="1931-01-21T13:23:42+00:00")))


# -- mentions


def test_an_alert_mentions_whom_the_route_names():
    sent = message(mentions=("<!here>", "<@U012ABCDE>"))
    assert pings(sent) == ["!here", "@U012ABCDE"]
    assert sent["blocks"][1]["text"]["text"] == "<!here> <@U012ABCDE>"


@pytest.mark.parametrize("nasty", NASTY)
@pytest.mark.parametrize("field", FREE)
def test_no_field_pings_anybody_or_makes_a_link(field, nasty):
    sent = message(**{field: nasty})
    assert pings(sent) == []
    for text in texts(sent):
        assert not re.search(r"<(?!!date\^)", text)
    assert nasty in "\n".join(map(read, texts(sent)))


def test_a_type_pings_nobody():
    assert pings(message("<!channel>")) == []


def test_slack_looks_for_no_names_in_the_text():
    parts = [part for block in message(cause="@channel #general")["blocks"] for part in [block.get("text")] if part]
    assert all(part["verbatim"] for part in parts if part["type"] == "mrkdwn")


# -- limits


@pytest.mark.parametrize("character", ["x", "&", "<", "é", "🖨", "\n", "\0"])
def test_long_texts_stay_within_the_limits(character):
    sent = message(
        signal_types.ITEM_CANCELED, mentions=("<!here>",), **dict.fromkeys(FREE, "a" + character * 10_000 + "z")
    )
    assert fault_of(sent) == ""


def test_what_is_cut_says_so():
    cause = next(text for text in texts(message(cause="&" * 10_000)) if text.startswith("*Cause*"))
    assert cause.endswith("&amp;…")
    assert len(cause) > 2990


@given(
    fields=st.dictionaries(st.sampled_from(FREE), st.text(max_size=5000), max_size=8),
    type=st.sampled_from([*signal_types.TYPES, "New"]),
)
def test_any_text_makes_a_good_message_that_pings_nobody(fields, type):
    sent = message(type, **fields)
    assert fault_of(sent) == ""
    assert pings(sent) == []
    json.dumps(sent).encode()


@given(st.text(), st.integers(1, 40))
def test_escaped_text_fits_and_has_whole_entities_only(text, limit):
    escaped = escape(text, limit)
    assert utf16(escaped) <= limit
    assert not set(escaped) & set("<>")
    assert re.sub("|".join(ENTITIES.values()), "", escaped).count("&") == 0


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_escaped_text_reads_as_before(text):
    assert read(escape(text, 10_000)) == text.strip()


@pytest.mark.parametrize(
    ("text", "limit", "escaped"),
    [
        ("a&b", 7, "a&amp;b"),
        ("a&b", 6, "a…"),
        ("ab", 2, "ab"),
        ("abc", 2, "a…"),
        ("🖨🖨", 4, "🖨🖨"),
        ("🖨🖨", 3, "🖨…"),
        ("a\r\nb\x07c", 9, "a\nb c"),
        ("\ud800", 9, ""),
    ],
)
def test_escape(text, limit, escaped):
    assert escape(text, limit) == escaped


# -- README


def test_the_readme_shows_the_message():
    sample = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    sent = message(signal_types.ITEM_CANCELED, mentions=("<!here>",), message="The spine is 2 mm too wide")
    assert json.loads(sample[1]) == sent
