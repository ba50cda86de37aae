"""A signal as a row: columns, quoting, and the guard against formulas."""

import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudsignal_csv.rows import COLUMNS, Format, guard, to_text
from gateway import model
from tests.support.factory import make_signal

README = Path(__file__).parents[3] / "plugins" / "cloudsignal_csv" / "README.md"
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
    return dict(zip(form.columns, read(form.rows([signal]), form.delimiter)[0], strict=True))


def test_every_column_of_a_shipment():
    signal = make_signal(model.ITEM_SHIPPED, url="https://track.example/TRK1", id=7)
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
    found = row(make_signal(model.ITEM_CANCELED))
    assert found["cause"] == "CancelCoverSpine"
    assert found["message"] == "The spine is 2 mm too wide"


def test_an_unknown_type_with_little_in_it_is_a_row():
    found = row(make_signal("New", order=None, order_reference=None, datetime=None, cause={"a": [1]}, delay=None))
    assert found["type"] == "New"
    assert found["occurred_at"] == found["order"] == found["item"] == found["delay"] == ""
    assert found["cause"] == "{'a': [1]}"


def test_times_are_of_one_width():
    assert to_text(datetime(2026, 1, 2, 3, 4, 5, 678999, UTC)) == "2026-01-02T03:04:05.678Z"
    assert to_text(None) == ""


def test_the_header_names_the_columns_once():
    assert Format().header().decode() == ",".join(COLUMNS) + "\r\n"
    assert Format(("item", "order"), ";").header() == b"item;order\r\n"


def test_chosen_columns_come_in_the_order_chosen():
    assert Format(("item_reference", "order"), ";").rows([make_signal()]) == b"1;21034900000000\r\n"


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize(
    "value", ['say "hi"', "a,b;c|d\te", "two\r\nlines", "one\nmore", "old\rmac", '"', '""', ",", "日本 é 🖨", " padded "]
)
def test_values_come_back_as_they_were(value, delimiter):
    found = row(make_signal(model.ITEM_CANCELED, message=value), delimiter=delimiter)
    assert found["message"] == value
    assert found["cause"] == "CancelCoverSpine"


@pytest.mark.parametrize("value", FORMULAS)
def test_a_formula_gets_an_apostrophe(value):
    assert guard(value) == "'" + value
    assert row(make_signal(model.ITEM_CANCELED, message=value))["message"] == "'" + value


@pytest.mark.parametrize("value", HARMLESS)
def test_what_is_no_formula_is_left_alone(value):
    assert guard(value) == value


def test_the_guard_can_be_switched_off():
    assert row(make_signal(model.ITEM_CANCELED, message="=1+1"), formula_safe=False)["message"] == "=1+1"


def test_the_guard_holds_for_every_column():
    signal = make_signal("=1", account="=1", **dict.fromkeys(["order", "order_reference", "item", "tracking"], "=1"))
    found = row(signal)
    for name in ("type", "account", "order", "order_reference", "item", "tracking"):
        assert found[name] == "'=1"


def test_nul_is_replaced():
    found = row(make_signal(model.ITEM_CANCELED, message="a\0b"))
    assert found["message"] == "a\ufffdb"


@given(
    messages=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5),
    delimiter=st.sampled_from(DELIMITERS),
    safe=st.booleans(),
)
def test_any_text_comes_back(messages, delimiter, safe):
    form = Format(("message", "signal"), delimiter, safe)
    signals = [make_signal(model.ITEM_CANCELED, message=text) for text in messages]
    found = [message for message, _ in read(form.rows(signals), delimiter)]
    expected = [text.replace("\0", "\ufffd") for text in messages]
    assert found == ([guard(text) for text in expected] if safe else expected)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_guarded_value_begins_as_a_formula(text):
    guarded = guard(text)
    assert not guarded.strip().startswith(tuple("=+-@＝＋－＠"))
    assert not guarded.startswith(("\t", "\r", "\n"))
    assert guarded in (text, "'" + text)


def test_the_readme_shows_the_first_rows():
    sample = re.search(r"```csv\n(.*?)```", README.read_text(), re.DOTALL)
    signals = [
        make_signal(model.ITEM_SHIPPED, id=1),
        make_signal(model.ITEM_CANCELED, id=2, message='Spine "too wide",\nsee proof'),
        make_signal(model.ITEM_ERROR, id=3, cause="=1+1"),
    ]
    assert sample[1] == (Format().header() + Format().rows(signals)).decode().replace("\r\n", "\n")
