"""Bodies in other forms: the object in them is found, and their fault is named."""

from __future__ import annotations

import json
import time
from urllib.parse import quote, urlencode

import orjson
import pytest

from gateway import exact_json
from gateway.body_forms import find_object
from tests.support.payloads import KEY, example, request

PAYLOAD = {"apikey": KEY, **example(message="Bücher & Söhne, 100% = €5")}
GOOD = json.dumps(PAYLOAD, ensure_ascii=False)


def part(name: str, value: str) -> str:
    return f'--x1\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'


FORMS = {
    "utf-16 with a mark": (GOOD.encode("utf-16"), "UTF-16"),
    "utf-16 little endian": (GOOD.encode("utf-16-le"), "UTF-16"),
    "utf-16 big endian": (GOOD.encode("utf-16-be"), "UTF-16"),
    "utf-32 with a mark": (GOOD.encode("utf-32"), "UTF-32"),
    "utf-32 big endian": (GOOD.encode("utf-32-be"), "UTF-32"),
    "json in json": (json.dumps(GOOD).encode(), "JSON within JSON"),
    "json in json in json": (json.dumps(json.dumps(GOOD)).encode(), "JSON within JSON"),
    "json in json with spaces": (b"\r\n " + json.dumps(GOOD).encode() + b"\n", "JSON within JSON"),
    "json in json in utf-16": (json.dumps(GOOD).encode("utf-16"), "UTF-16"),
    "a form": (urlencode(PAYLOAD).encode(), "is a form;"),
    "a form with encoded spaces": (urlencode(PAYLOAD, quote_via=quote).encode(), "is a form;"),
    "a form with json in a field": (urlencode({"payload": GOOD}).encode(), "a form with JSON"),
    "a form with json in one of several": (urlencode({"a": "b", "data": GOOD}).encode(), "a form with JSON"),
    "a form of json alone": (quote(GOOD).encode(), "a form with JSON"),
    "a form with json in json": (urlencode({"json": json.dumps(GOOD)}).encode(), "a form with JSON"),
    "a multipart form": (
        "".join(map(part, *zip(*PAYLOAD.items(), strict=True))).encode() + b"--x1--\r\n",
        "is a form;",
    ),
    "a multipart form with json": (part("payload", GOOD).encode() + b"--x1--\r\n", "a form with JSON"),
}


@pytest.mark.parametrize(("body", "fault"), FORMS.values(), ids=FORMS)
def test_the_object_in_a_body_is_found(body: bytes, fault: str) -> None:
    found = find_object(body)
    assert found is not None
    assert orjson.loads(found.json) == PAYLOAD
    assert fault in found.fault


@pytest.mark.parametrize("number", ["9400111899223197428490", "1e400", "24.10"])
@pytest.mark.parametrize("form", ["utf-16", "utf-8"])
def test_the_object_keeps_the_digits_of_its_numbers(form: str, number: str) -> None:
    text = f'{GOOD[:-1]}, "parcel": {number}}}'
    found = find_object((text if form == "utf-16" else json.dumps(text)).encode(form))
    assert found is not None
    assert exact_json.dumps(exact_json.loads(found.json)["parcel"]).decode() == number


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"text",
        b'"text"',
        b'"[]"',
        b"[]",
        b"a=b&c=d",
        b"{=",
        b"--",
        b"--\r\n--",
        b"\xff\xfe",
        b"\xff\xfe\x00\xd8",
        b"\x00\x00\xfe\xff\xff",
        "[]".encode("utf-16"),
        b"\xff",
        b"%7B",
        b'"{',
        b'"\\ud800"',
        b"apikey=" + b"%ff" + b"&x=%ed%a0%80",
    ],
)
def test_other_bodies_hold_nothing_or_do_no_harm(body: bytes) -> None:
    found = find_object(body)
    assert found is None or isinstance(orjson.loads(found.json), dict)


def test_numbers_stay_as_sent() -> None:
    body = request(example(n=1))[:-1] + b', "parcel": 9400111899223197428490}'
    found = find_object(json.dumps(body.decode()).encode())
    assert found is not None
    assert b"9400111899223197428490" in found.json


@pytest.mark.parametrize(
    "unit", [b'--x name="', b'"\\"', b"&", b"a=b&", b"--\n", b"\x00{", b"{\x00", b"%7B", b'{"a":', b"=", b"-"]
)
def test_64_kib_of_junk_take_little_time(unit: bytes) -> None:
    body = (unit * 65536)[:65536]
    started = time.process_time()
    find_object(body)
    find_object(b'"' + body)
    find_object(b"--" + body)
    assert time.process_time() - started < 1.0
