"""The options' schema, and the texts that people read in Odoo."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
import voluptuous as vol

from cloudsignal_odoo import OdooSink, texts
from cloudsignal_odoo.answers import version_number
from cloudsignal_odoo.options import NOTE_TYPES, Settings
from gateway import signal_types
from tests.support.factory import make_delivery, make_signal
from tests.support.sink_page import option_table
from tests.unit.plugins.odoo_case import PAGE

SCHEMA = vol.Schema(dict(OdooSink.options))
LEAST = {"url": "https://erp.example/", "database": "print", "api_key": "abc123"}


def test_the_least_config_gives_every_default():
    settings = Settings(**SCHEMA(LEAST))
    assert settings.url == "https://erp.example"
    assert settings.api_key.reveal() == "abc123"
    assert settings.order_match == ("client_order_ref", "name")
    assert (settings.transport, settings.line_match, settings.mark_delivered) == ("auto", "id", "none")
    assert (settings.on_cancel, settings.force_quantity, settings.activity_user) == ("note", False, None)
    assert settings.unknown_order_retry_for == 48 * 3600
    assert settings.notes == ()


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("activity_user", 7, 7),
        ("login", " gateway ", "gateway"),
    ],
)
def test_options_are_normalised(option, value, expected):
    assert getattr(Settings(**SCHEMA({**LEAST, option: value})), option) == expected


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("database", "", "expected text"),
        ("api_key", "abc\ndef", "expected an API key: one line"),
        ("api_key", 7, "expected a secret"),
        ("transport", "xmlrpc", "expected one of auto, json2, jsonrpc"),
        ("line_match", "sku", "expected one of id, default_code, none"),
        ("activity_user", "7", "expected the id of a user"),
        ("activity_user", True, "expected the id of a user"),
    ],
)
def test_errors_of_options_name_the_expected_and_not_the_found(option, value, message):
    with pytest.raises(vol.Invalid, match=message) as caught:
        SCHEMA({**LEAST, option: value})
    assert "abc" not in str(caught.value)


# -- texts


def test_a_note_reads_well():
    delivery = make_delivery(signal_types.ITEM_SHIPPED, url="https://track.example/TRK1")
    assert texts.note(delivery, ["A remark"]) == (
        "Cloudprinter: item shipped, item 1, shipping option: postal, tracking number: TRK1, "
        "tracking page: https://track.example/TRK1. A remark. "
        f"Print order 21034900000000. [{delivery.key[:12]}]"
    )


def test_html_is_escaped():
    delivery = make_delivery(signal_types.ITEM_ERROR, cause='<a href="x">&')
    assert "&lt;a href=&quot;x&quot;&gt;&amp;" in texts.activity_html(delivery)


@pytest.mark.parametrize(
    ("delay", "due"),
    [
        (None, "2026-11-20"),
        ("", "2026-11-20"),
        ("24", "2026-11-21"),
        ("13.9", "2026-11-21"),
        ("-100", "2026-11-20"),
        ("two days", "2026-11-20"),
        ("nan", "2026-11-20"),
        ("inf", "2026-11-20"),
        ("1e300", "2027-11-20"),
    ],
)
def test_due_now_and_the_delay(delay, due):
    now = datetime(2026, 11, 20, 10, 11, 12, tzinfo=UTC).timestamp()
    signal = make_signal(signal_types.ITEM_ERROR, delay=delay)
    assert texts.due_on(signal, now) == date.fromisoformat(due)


def test_times_are_utc_in_odoos_form():
    at = datetime(2026, 11, 20, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert texts.odoo_time(at) == "2026-11-19 23:30:00"


@pytest.mark.parametrize(("text", "number"), [("19.0", 19), ("saas~18.3", 18), ("17.0+e", 17), ("", 0), ("x", 0)])
def test_versions_are_read(text, number):
    assert version_number(text) == number


# -- the README


def test_the_pages_table_has_each_option_with_its_default_and_meaning():
    assert option_table(OdooSink.options) in PAGE


def test_the_readmes_samples_are_real_notes():
    assert texts.note(make_delivery(signal_types.ITEM_SHIPPED, url="https://track.example/TRK1")) in PAGE
    error = make_delivery(signal_types.ITEM_ERROR)
    assert f"{texts.summary(error)}\n{texts.note(error)}\n" in PAGE
    for type in (*OdooSink.signals, *NOTE_TYPES):
        assert f"`{type}`" in PAGE
