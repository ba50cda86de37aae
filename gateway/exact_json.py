"""Reads and writes JSON without a change to its numbers.

A double can't hold 9400111899223197428490, 1e400 or 24.10 as sent. Such a number is read as a `Number`, which is its
text, and written back as that number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

import orjson


class Number(str):
    """A JSON number that int and float would change, as its text. Only `dumps` writes it as a number again.

    It is text, so that code that does not know it neither fails nor rounds it.
    """

    __slots__ = ()


MAX_DIGITS = 5000
"""Digits. `whole_digits` writes out no longer number, so that 1e999999 needs no megabyte."""

# A number stands after one of these, at any depth. In text it rarely does, and a match there only costs time. Plain
# integers of up to 18 digits always fit in 64 bits.
_MAY_CHANGE = re.compile(rb"[:,\[][ \t\r\n]*(?:-0|-?(?:\d{19}|\d+[.eE]))")
_LONE_SURROGATE = re.compile(r"\\ud[89a-f]", re.IGNORECASE)
_NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?")
_EXACT_TYPES = frozenset({str, int, bool, type(None)})


# -- reading


def loads(text: bytes | str) -> Any:
    """Return the value in JSON text. Raises json.JSONDecodeError, also for NaN and for lone surrogates."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return restore_numbers(load_rounded(data), data)


def load_rounded(data: bytes) -> Any:
    """Return the value in JSON text with its numbers rounded. Text of strangers is read so: numbers cost little."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        if not _may_change(data):
            raise
    return _read(data, _ROUNDED)  # orjson refuses 1e400


def restore_numbers(value: Any, data: bytes) -> Any:
    """Return what `load_rounded` made of `data` with its numbers as sent."""
    # Nearly all signals have text only, and small integers. An int of 0 may be -0.
    if type(value) is dict and _EXACT_TYPES.issuperset(map(type, value.values())) and 0 not in value.values():
        return value
    return _read(data, _EXACT) if _may_change(data) else value


def _may_change(data: bytes) -> bool:
    return _MAY_CHANGE.search(b"," + data) is not None


def _read(data: bytes, decoder: json.JSONDecoder) -> Any:
    """Read JSON with the standard library, by orjson's rules: UTF-8, no lone surrogates."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise json.JSONDecodeError("not UTF-8", data.decode("utf-8", "replace"), error.start) from None
    try:
        value = decoder.decode(text)
        if _LONE_SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        found = _LONE_SURROGATE.search(text)
        raise json.JSONDecodeError("lone surrogate", text, found.start() if found else 0) from None
    except RecursionError:
        raise json.JSONDecodeError("nested too deeply", text, 0) from None
    return value


def _read_integer(text: str) -> int | Number:
    value = int(text) if len(text) <= 20 else None  # 64 bits have at most 20 digits
    exact = value is not None and -(2**63) <= value < 2**64 and str(value) == text
    return value if value is not None and exact else Number(text)


def _read_decimal(text: str) -> float | Number:
    value = float(text)
    return value if orjson.dumps(value) == text.encode() else Number(text)


def _refuse_constant(text: str) -> NoReturn:
    raise json.JSONDecodeError(f"{text} is no JSON", text, 0)


_EXACT = json.JSONDecoder(parse_int=_read_integer, parse_float=_read_decimal, parse_constant=_refuse_constant)
# float, because int refuses more than 4,300 digits.
_ROUNDED = json.JSONDecoder(parse_int=float, parse_float=float, parse_constant=_refuse_constant)


# -- writing


def dumps(value: Any, *, sort_keys: bool = False, default: Callable[[Any], Any] | None = None) -> bytes:
    """Return JSON text with each number as it was read. `default` converts values that JSON lacks.

    Raises TypeError for other values, and for more than 254 levels.
    """
    if default is None:
        return orjson.dumps(value, _convert, _SORTED if sort_keys else _AS_IT_IS)
    return orjson.dumps(value, lambda other: _convert(other, default), _SORTED if sort_keys else _AS_IT_IS)


_BASES: tuple[type[Any], ...] = (str, int, dict, list)
_AS_IT_IS = orjson.OPT_PASSTHROUGH_SUBCLASS
_SORTED = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_SORT_KEYS


def _convert(value: Any, default: Callable[[Any], Any] | None = None) -> Any:
    if type(value) is Number:
        return orjson.Fragment(value.encode())
    for kind in _BASES:
        if isinstance(value, kind):
            return kind(value)
    if default is None:
        raise TypeError(f"JSON has no {type(value).__name__}")
    return default(value)


def to_text(value: Any) -> str:
    """Return text as it is, and any other value as its JSON text."""
    return str(value) if isinstance(value, str) else dumps(value).decode()


def whole_digits(value: object) -> str | None:
    """Return the digits of a whole number: 24 also for 24.0 and 2.4e1. None for anything else, also for true."""
    if type(value) is int:
        return str(value)
    if type(value) is not float and type(value) is not Number:
        return None
    found = _NUMBER.fullmatch(to_text(value))
    if found is None:
        return None
    sign, whole, fraction, exponent = found[1], found[2], found[3] or "", found[4] or "0"
    digits = f"{whole}{fraction}"
    if not digits.strip("0"):
        return "0"
    length = len(whole) + int(exponent) if len(exponent) <= 6 else -1  # of the digits before the point
    if not len(digits.rstrip("0")) <= length <= MAX_DIGITS:
        return None
    return sign + digits[:length].ljust(length, "0").lstrip("0")
