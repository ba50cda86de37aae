"""The options' schema, the text of notes, and the README about both."""

import re

import pytest
import voluptuous as vol

from cloudsignal_tryton import TrytonSink, texts
from cloudsignal_tryton.options import DEFAULT_TYPES, NOTE_TYPES, Settings
from gateway import signal_types
from tests.support.factory import make_delivery
from tests.support.pages import section
from tests.support.sink_page import option_table
from tests.unit.plugins.tryton_case import PAGE

SCHEMA = vol.Schema(dict(TrytonSink.options))
LEAST = {"url": "https://erp.example/", "database": "print", "application_key": "abc123"}


def test_the_least_config_gives_every_default():
    settings = Settings(**SCHEMA(LEAST))
    assert settings.url == "https://erp.example"
    assert settings.application_key.reveal() == "abc123"
    assert settings.order_match == ("reference", "number")
    assert (settings.transport, settings.line_match, settings.mark_delivered) == ("auto", "id", "none")
    assert (settings.on_cancel, settings.force_quantity) == ("note", False)
    assert settings.unknown_order_retry_for == 48 * 3600
    assert settings.notes == ()
    assert settings.secrets() == ["abc123"]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("user", " gateway ", "gateway"),
        ("database", " print-1.shop ", "print-1.shop"),
    ],
)
def test_options_are_normalised(option, value, expected):
    assert getattr(Settings(**SCHEMA({**LEAST, option: value})), option) == expected


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("database", "a/../b", "expected the name of a database"),
        ("database", 7, "expected the name of a database"),
        ("application_key", "abc\ndef", "expected a user application's key: one line"),
        ("application_key", 7, "expected a secret"),
        ("password", "", "expected a secret"),
        ("user", "abc:def", "expected a user's login, without a colon"),
        ("transport", "xmlrpc", "expected one of auto, rest, jsonrpc"),
        ("line_match", "sku", "expected one of id, code, none"),
    ],
)
def test_errors_of_options_name_the_expected_and_not_the_found(option, value, message):
    with pytest.raises(vol.Invalid, match=message) as caught:
        SCHEMA({**LEAST, option: value})
    assert "abc" not in str(caught.value)


# -- texts


def test_a_note_reads_well():
    delivery = make_delivery(signal_types.ITEM_SHIPPED, url="https://track.example/TRK1")
    assert texts.note(delivery, ["A remark"], line=6) == (
        "Cloudprinter: item shipped, item 1, shipping option: postal, tracking number: TRK1, "
        "tracking page: https://track.example/TRK1. A remark. "
        f"Print order 21034900000000. [line 6 shipped] [{delivery.key}]"
    )
    assert texts.noted_line(texts.note(delivery, line=6)) == 6
    assert texts.noted_line(texts.note(delivery)) is None


# -- the README


def test_the_page_has_each_option_with_its_default_and_meaning():
    assert option_table(TrytonSink.options) in PAGE


def test_the_readme_lists_the_effect_of_each_type():
    rows = re.findall(r"^\| (`[^|]*) \|", section(PAGE, "## What each signal does"), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == {*DEFAULT_TYPES, *NOTE_TYPES}


def test_the_pages_note_is_one():
    [sample] = [line for line in PAGE.splitlines() if line.startswith("Cloudprinter: ")]
    delivery = make_delivery(signal_types.ITEM_SHIPPED, item_reference="6", url="https://track.example/TRK1")
    without_key = re.compile(r"\[[0-9a-f]{32}\]$")
    assert without_key.sub("", sample) == without_key.sub("", texts.note(delivery, line=6))
