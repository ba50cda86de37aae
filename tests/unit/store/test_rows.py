"""Values go to the database and come back unchanged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store import rows
from tests.support.factory import make_signal

TIMES = st.datetimes(timezones=st.just(UTC))


@given(TIMES)
def test_datetimes_are_exact(moment: datetime) -> None:
    assert rows.when(rows.micros_of(moment)) == moment
    assert rows.micros_of(moment) > rows.UNKNOWN_TIME


@given(st.integers(0, 4 * 10**15))
def test_seconds_are_exact_to_the_microsecond(value: int) -> None:
    assert rows.micros(value / 1e6) == value
    assert rows.seconds(value) == value / 1e6


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_the_order_of_times_is_kept(one: float, two: float) -> None:
    assert (rows.micros(one) <= rows.micros(two)) or one > two


@pytest.mark.parametrize("seconds", [float("inf"), float("-inf"), 1e300, -1e300])
def test_times_are_cut_to_64_bits(seconds: float) -> None:
    assert -(2**63) <= rows.micros(seconds) < 2**63


def test_no_time_stays_none() -> None:
    assert rows.seconds(None) is None


@given(st.text(st.characters(codec=None)))
def test_any_text_is_cleaned_for_both_databases(text: str) -> None:
    cleaned = rows.clean(text)
    cleaned.encode()
    assert "\0" not in cleaned
    assert rows.clean(cleaned) == cleaned


def test_a_signal_row_reads_back() -> None:
    signal = make_signal(id=7)
    values = rows.signal_row(signal, 2, ["alerts"])
    own = values[: len(rows.SIGNAL_COLUMNS) - 2]
    assert rows.make_signal([7, *own, 0]) == signal
    assert rows.make_signal([7, *own, 1]) == replace(signal, late=True)
    assert values[-3:] == [70, 2, '["alerts"]']
    assert rows.signal_row(signal, 2, [])[-1] == ""
