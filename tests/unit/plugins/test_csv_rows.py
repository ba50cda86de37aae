"""Rows of the csv sink: columns, quoting, encodings, and the escaping of formulas."""

import csv
import io
import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudsignal_csv.rows import COLUMNS, DEFAULT_COLUMNS, ENCODINGS, Format, escape_formula, to_text
from gateway import signal_types
from gateway.testing import samples
from tests.support.factory import make_payload, make_signal

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\xa0=1",
    "＝1",
    "＋1",
    "－1",
    "＠A",
    " ＝1",
    "\t",
]
HARMLESS = ["", "a", "1-1", "a=b", "'=1", '"=1"', "0", " a", "é", "\x00", "–1"]
DELIMITERS = [",", ";", "|", "\t"]


def read(data: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter, strict=True))


def row(signal, **kwargs):
    form = Format(**kwargs)
    return dict(zip((name for name, _ in form.columns), read(form.rows([signal]), form.delimiter)[0], strict=True))


def named(*names):
    return tuple((name, name) for name in names)


def test_every_column_of_a_shipment():
    signal = make_signal(signal_types.ITEM_SHIPPED, url="https://track.example/TRK1", id=7)
    assert row(signal) == {
        "received_at": "2026-11-20T10:11:12.000Z",
        "occurred_at": "2026-11-20T10:11:12.000Z",
        "type": "ItemShipped",
        "account": "bookshop",
        "order": "21034900000000",
        "order_reference": "PO-1001",
        "item": "21034901040001",
        "item_reference": "1",
        "tracking": "TRK1",
        "shipping_option": "postal",
        "cause": "",
        "message": "",
        "delay": "",
        "url": "https://track.example/TRK1",
        "signal": "7",
        "identity": signal.identity,
    }


def test_a_cancelled_item_has_its_cause_as_sent():
    found = row(make_signal(signal_types.ITEM_CANCELED))
    assert found["cause"] == "CancelCoverSpine"
    assert found["message"] == "The spine is 2 mm too wide"


def test_an_unknown_type_with_little_in_it_is_a_row():
    found = row(make_signal("New", order=None, order_reference=None, datetime=None, cause={"a": [1]}, delay=None))
    assert found["type"] == "New"
    assert found["occurred_at"] == found["order"] == found["item"] == found["delay"] == ""
    assert found["cause"] == '{"a":[1]}'


def test_times_are_of_one_width():
    assert to_text(datetime(2026, 1, 2, 3, 4, 5, 678999, UTC), UTC) == "2026-01-02T03:04:05.678Z"
    assert to_text(None, UTC) == ""


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "2026-11-20T10:11:12.000Z"),
        ("Europe/Berlin", "2026-11-20T11:11:12.000+01:00"),
        ("Asia/Kolkata", "2026-11-20T15:41:12.000+05:30"),
        ("America/New_York", "2026-11-20T05:11:12.000-05:00"),
    ],
)
def test_times_are_in_the_zone_with_its_offset(zone, shown):
    found = row(make_signal(), timezone=ZoneInfo(zone))
    assert found["received_at"] == found["occurred_at"] == shown


def test_summer_time_has_its_own_offset():
    moment = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert to_text(moment, ZoneInfo("Europe/Berlin")) == "2026-07-01T14:00:00.000+02:00"


@pytest.mark.parametrize("year", [1, 9999])
def test_the_ends_of_time_are_rows_too(year):
    moment = datetime(year, 1 if year == 1 else 12, 1 if year == 1 else 31, 12, tzinfo=UTC)
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        assert to_text(moment, ZoneInfo(zone))[4:5] == "-"


def test_the_header_names_the_columns_once():
    assert Format().header().decode() == ",".join(DEFAULT_COLUMNS) + "\r\n"
    assert Format(named("item", "order"), ";").header() == b"item;order\r\n"


def test_the_header_may_call_them_otherwise():
    form = Format((("order", "Auftrag Nr."), ("item", "Teil, Nr.")))
    assert form.header() == b'Auftrag Nr.,"Teil, Nr."\r\n'
    assert form.rows([make_signal()]) == b"21034900000000,21034901040001\r\n"


def test_more_columns_than_the_usual():
    found = row(make_signal(signal_types.ITEM_CANCELED), columns=named("cause_in_words", "payload"))
    assert found["cause_in_words"] == "wrong cover spine width (CancelCoverSpine)"
    assert json.loads(found["payload"]) == make_payload(signal_types.ITEM_CANCELED)
    assert set(COLUMNS) == {*DEFAULT_COLUMNS, *found, "incomplete", "watch", "state"}


def test_an_alert_has_its_watch_and_its_state():
    alert = samples.make_signal(signal_types.GATEWAY_ALERT, state="cleared")
    found = row(alert, columns=named("watch", "state", "message", "occurred_at"))
    assert found == {
        "watch": "not-shipped",
        "state": "cleared",
        "message": "Cleared: No ItemShipped for 72 h",
        "occurred_at": "",
    }


@pytest.mark.parametrize(
    ("fields", "named_so"),
    [({}, ""), ({"tracking": ""}, "tracking"), ({"shipping_option": " ", "item": None}, "item shipping_option")],
)
def test_a_column_names_what_an_incomplete_signal_lacks(fields, named_so):
    found = row(make_signal(signal_types.ITEM_SHIPPED, **fields), columns=named("tracking", "incomplete"))
    assert found == {"tracking": fields.get("tracking", "TRK1"), "incomplete": named_so}


# -- text for spreadsheets


LONG_ENOUGH = "9" * 255


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("000123", '="000123"'),
        ("9400111899223197428490", '="9400111899223197428490"'),
        ("1-2", '="1-2"'),
        ("1e5", '="1e5"'),
        ("TRUE", '="TRUE"'),
        ("+49 30 1234", '="+49 30 1234"'),
        ("=1+1", '="=1+1"'),
        ("a;b,c", '="a;b,c"'),
        (" 1", '=" 1"'),
        ("", ""),
        ("TRK1", '="TRK1"'),
        (LONG_ENOUGH, f'="{LONG_ENOUGH}"'),
    ],
)
@pytest.mark.parametrize("safe", [True, False])
def test_a_value_of_a_text_column_is_a_formula_that_gives_it(sent, written, safe):
    signal = make_signal(signal_types.ITEM_ERROR, cause=sent, tracking=sent)
    found = row(signal, columns=named("cause", "tracking"), text_columns=frozenset({"cause"}), formula_safe=safe)
    assert found["cause"] == written
    assert found["tracking"] == (escape_formula(sent) if safe else sent), "another column"


@pytest.mark.parametrize("sent", ['=1+1"', '5" x 7"', '"&HYPERLINK("http://x")&"', "=1\n", "\t=1", "x" * 256, "\x7f1"])
def test_a_value_that_could_end_the_formula_is_written_as_elsewhere(sent):
    signal = make_signal(signal_types.ITEM_ERROR, cause=sent)
    found = row(signal, columns=named("cause"), text_columns=frozenset({"cause"}))
    assert found["cause"] == escape_formula(sent)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), st.sampled_from(DELIMITERS))
def test_a_text_column_holds_one_literal_or_a_safe_value(text, delimiter):
    form = Format(named("message", "signal"), delimiter, text_columns=frozenset({"message"}))
    [(found, _)] = read(form.rows([make_signal(message=text, tracking="1")]), delimiter)
    shown = text.replace("\0", "\ufffd")
    if found.startswith('="') and shown != found:
        assert found == f'="{shown}"'
        assert '"' not in shown
    else:
        assert found == escape_formula(shown)


def test_another_choice_of_text_columns_is_another_format():
    digests = {Format(text_columns=frozenset(names)).digest() for names in ([], ["order"], ["order", "tracking"])}
    assert len(digests) == 3


def test_chosen_columns_come_in_the_order_chosen():
    assert Format(named("item_reference", "order"), ";").rows([make_signal()]) == b"1;21034900000000\r\n"


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize(
    "value", ['say "hi"', "a,b;c|d\te", "two\r\nlines", "one\nmore", "old\rmac", '"', '""', ",", "日本 é 🖨", " padded "]
)
def test_values_come_back_as_they_were(value, delimiter):
    found = row(make_signal(signal_types.ITEM_CANCELED, message=value), delimiter=delimiter)
    assert found["message"] == value
    assert found["cause"] == "CancelCoverSpine"


@pytest.mark.parametrize("value", FORMULAS)
def test_a_formula_gets_an_apostrophe(value):
    assert escape_formula(value) == "'" + value
    assert row(make_signal(signal_types.ITEM_CANCELED, message=value))["message"] == "'" + value


@pytest.mark.parametrize("value", HARMLESS)
def test_what_is_no_formula_is_left_alone(value):
    assert escape_formula(value) == value


def test_the_guard_can_be_switched_off():
    assert row(make_signal(signal_types.ITEM_CANCELED, message="=1+1"), formula_safe=False)["message"] == "=1+1"


def test_the_guard_holds_for_every_column():
    signal = make_signal("=1", account="=1", **dict.fromkeys(["order", "order_reference", "item", "tracking"], "=1"))
    found = row(signal)
    for name in ("type", "account", "order", "order_reference", "item", "tracking"):
        assert found[name] == "'=1"


def test_nul_is_replaced():
    found = row(make_signal(signal_types.ITEM_CANCELED, message="a\0b"))
    assert found["message"] == "a\ufffdb"


# -- encodings


@pytest.mark.parametrize(
    ("encoding", "python"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("utf-16", "utf-16"), ("windows-1252", "cp1252")],
)
def test_a_file_written_in_parts_reads_as_one(encoding, python):
    form = Format(named("message"), encoding=encoding)
    parts = [form.rows([make_signal(signal_types.ITEM_CANCELED, message=text)]) for text in ("Größe", "é")]
    data = form.header() + b"".join(parts)
    assert data.decode(python) == "message\r\nGröße\r\né\r\n"
    assert data.startswith(ENCODINGS[encoding][0])


def test_excel_knows_utf_8_by_its_mark():
    assert Format(named("order"), encoding="utf-8-sig").header() == b"\xef\xbb\xbforder\r\n"


@pytest.mark.parametrize("encoding", ["windows-1252", "iso-8859-1", "iso-8859-15"])
def test_what_an_encoding_lacks_is_a_question_mark(encoding):
    form = Format(named("message"), encoding=encoding)
    assert form.rows([make_signal(signal_types.ITEM_CANCELED, message="日 \0")]) == b"? ?\r\n"


def test_every_part_of_a_format_is_in_its_digest():
    formats = [
        Format(),
        Format(named("order")),
        Format(delimiter=";"),
        Format(encoding="utf-16"),
        Format(timezone=ZoneInfo("Asia/Tokyo")),
        Format(formula_safe=False),
    ]
    assert len({form.digest() for form in formats}) == len(formats)
    assert Format().digest() == Format().digest()


@given(
    messages=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5),
    delimiter=st.sampled_from(DELIMITERS),
    safe=st.booleans(),
)
def test_any_text_comes_back(messages, delimiter, safe):
    form = Format(named("message", "signal"), delimiter, formula_safe=safe)
    signals = [make_signal(signal_types.ITEM_CANCELED, message=text) for text in messages]
    found = [message for message, _ in read(form.rows(signals), delimiter)]
    expected = [text.replace("\0", "\ufffd") for text in messages]
    assert found == ([escape_formula(text) for text in expected] if safe else expected)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_guarded_value_begins_as_a_formula(text):
    guarded = escape_formula(text)
    assert not guarded.strip().startswith(tuple("=+-@＝＋－＠"))
    assert not guarded.startswith(("\t", "\r", "\n"))
    assert guarded in (text, "'" + text)
