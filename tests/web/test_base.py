"""Errors and statuses, and whose request it is."""

import orjson
import pytest

from gateway import errors
from gateway.web import base
from gateway.web.addresses import Addresses

ANSWERED = {
    errors.InvalidSignal: 400,
    errors.MalformedRequest: 400,
    errors.Unauthorized: 401,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.TooLarge: 413,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
    errors.ShuttingDown: 503,
    errors.StoreError: 503,
    errors.StoreBusy: 503,
    errors.StoreInUse: 503,
    errors.SinkError: 503,
    ValueError: 503,
}


@pytest.mark.parametrize(("kind", "code"), ANSWERED.items(), ids=lambda value: getattr(value, "__name__", value))
def test_every_error_has_a_status(kind: type[Exception], code: int) -> None:
    answer = base.answer_error(kind())
    assert answer.code == code
    assert orjson.loads(answer.body)["error"]
    assert answer.headers["Content-Type"] == "application/json"
    assert ("Retry-After" in answer.headers) == (code in (429, 503))
    assert ("Allow" in answer.headers) == (code == 405)


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.01, "2"), (60.0, "60")])
def test_the_wait_is_in_whole_seconds_and_never_none(seconds: float, header: str) -> None:
    assert base.answer_error(errors.TooManyRequests(retry_after=seconds)).headers["Retry-After"] == header


def test_the_fields_of_a_signal_are_named() -> None:
    answer = base.answer_error(errors.InvalidSignal({"item": "required"}))
    assert orjson.loads(answer.body) == {"error": "Not a valid signal.", "fields": {"item": "required"}}


@pytest.mark.parametrize("error", [errors.StoreError("at db.internal"), RuntimeError("at db.internal")])
def test_what_is_inside_stays_inside(error: Exception) -> None:
    assert b"db.internal" not in base.answer_error(error).body


# -- addresses

TRUSTED = ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.5", "", "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.9.9.9", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "1.1.1.1, 198.51.100.1,10.0.0.7 , 127.0.0.1", "198.51.100.1"),
        ("127.0.0.1", "10.0.0.1, 10.0.0.2", "10.0.0.1"),
        ("127.0.0.1", "198.51.100.1, junk", "127.0.0.1"),
        ("127.0.0.1", "junk, 10.0.0.2", "10.0.0.2"),
        ("2001:db8::1", "2001:4860::8888", "2001:4860::8888"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_nearest_address_that_is_no_proxy_of_ours(peer: str, forwarded: str, client: str) -> None:
    assert Addresses(TRUSTED).client(peer, forwarded) == client


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert Addresses().client("127.0.0.1", "1.1.1.1") == "127.0.0.1"


def test_what_is_no_address_can_not_be_trusted() -> None:
    with pytest.raises(ValueError, match=r"proxy\.internal"):
        Addresses(["proxy.internal"])
