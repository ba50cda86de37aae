"""Options and texts that the ERP sinks have in common."""

import pytest
import voluptuous as vol

import cloudsignal_odoo.options
import cloudsignal_odoo.texts
import cloudsignal_tryton.options
import cloudsignal_tryton.texts
from cloudsignal_odoo import OdooSink
from cloudsignal_tryton import TrytonSink
from gateway import signal_types
from tests.support.factory import make_delivery

SINKS = {
    "odoo": (OdooSink, cloudsignal_odoo, {"url": "https://erp.example/", "database": "print", "api_key": "abc123"}),
    "tryton": (
        TrytonSink,
        cloudsignal_tryton,
        {"url": "https://erp.example/", "database": "print", "application_key": "abc123"},
    ),
}
NOTE_TYPES = cloudsignal_odoo.options.NOTE_TYPES

pytestmark = pytest.mark.parametrize(("sink", "plugin", "least"), SINKS.values(), ids=SINKS)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("order_match", "name", ("name",)),
        ("order_match", ["x_order", "x_order", "name"], ("x_order", "name")),
        ("unknown_order_retry_for", "7d", 7 * 86400),
        ("unknown_order_retry_for", "90s", 90),
        ("unknown_order_retry_for", 0, 0),
        ("notes", list(NOTE_TYPES), NOTE_TYPES),
        ("force_quantity", True, True),
        ("on_unknown", "skip", "skip"),
    ],
)
def test_options_are_normalised(sink, plugin, least, option, value, expected):
    settings = plugin.options.Settings(**sink.schema()({**least, option: value}))
    assert getattr(settings, option) == expected


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("url", "erp.example", "expected a URL"),
        ("url", "https://erp.example/path", "expected the server's address, without a path"),
        ("url", "https://erp.example/?db=print", "without a path"),
        ("order_match", [], "expected a field of sale"),
        ("order_match", ["name = 1"], "expected names of fields"),
        ("mark_delivered", True, "expected one of none, line, order"),
        ("on_cancel", "delete", "expected one of note, cancel"),
        ("on_unknown", "drop", "expected one of dead, skip"),
        ("force_quantity", "yes", "expected true or false"),
        ("notes", ["ItemShipped"], "expected one of CloudprinterOrderValidated"),
        ("unknown_order_retry_for", "two days", "expected a duration such as 30s"),
        ("unknown_order_retry_for", -1, "expected a duration"),
        ("unknown_order_retry_for", float("inf"), "expected a duration"),
        ("surprise", 1, "extra keys not allowed"),
    ],
)
def test_errors_of_options_name_the_expected_and_not_the_found(sink, plugin, least, option, value, message):
    with pytest.raises(vol.Invalid, match=message) as caught:
        sink.schema()({**least, option: value})
    assert "abc" not in str(caught.value)


def test_by_default_a_route_gets_the_signals_that_change_something(sink, plugin, least):
    assert sink.signals == {
        signal_types.ITEM_SHIPPED,
        signal_types.ITEM_ERROR,
        signal_types.ITEM_CANCELED,
        signal_types.ITEM_DELIVERY_FAILED,
        signal_types.ORDER_CANCELED,
    }
    assert signal_types.GATEWAY_ALERT not in sink.signals
    assert set(signal_types.NAMES) - sink.signals == set(plugin.options.NOTE_TYPES)
    assert sink.order == "lane"


def test_a_note_explains_a_known_cause(sink, plugin, least):
    note = plugin.texts.note(make_delivery(signal_types.ITEM_CANCELED))
    assert "cause: wrong cover spine width (CancelCoverSpine), message: The spine is" in note


def test_a_note_has_free_text_in_one_line_of_limited_length(sink, plugin, least):
    note = plugin.texts.note(make_delivery(signal_types.ITEM_ERROR, cause="a\r\n\x00\x85b " + "x" * 5000))
    assert "cause: a b xxx" in note
    assert len(note) < 1200
