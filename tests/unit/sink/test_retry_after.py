"""Retry-After: a number or a date is a wait; any other text is none."""

from __future__ import annotations

import pytest

from gateway.sink.retry_after import parse_retry_after

NOW = 1795507200.0  # 2026-11-24 08:00:00 UTC


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 120 ", 120.0),
        ("007", 7.0),
        ("Tue, 24 Nov 2026 08:00:30 GMT", 30.0),
        ("Tuesday, 24-Nov-26 08:00:30 GMT", 30.0),
        ("Tue Nov 24 08:00:30 2026", 30.0),
        ("Tue, 24 Nov 2026 08:00:30 -0000", 30.0),
        ("Tue, 24 Nov 2026 09:00:30 +0100", 30.0),
        ("Tue, 24 Nov 2026 07:00:00 GMT", 0.0),
    ],
)
def test_a_number_or_a_date_is_a_wait(text: str, seconds: float) -> None:
    assert parse_retry_after(text, NOW) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "soon", "-1", "+1", "1.5", "1e3", "0x10", "120, 60", "²", "١٢", "nan", "inf", "1 day", "99 Nov", "Tue, 24 Nov",
     "Tue, 99 Nov 2026 08:00:30 GMT", "Tue, 24 Nov 99999 08:00:30 GMT", "Tue, 24 Nov 2026 25:00:00 GMT",
     "\x00", "," * 999],
)  # fmt: skip
def test_any_other_text_is_none(text: str) -> None:
    assert parse_retry_after(text, NOW) is None
