"""Answers to errors: status, headers, and a body without internals."""

import orjson
import pytest

from gateway import errors
from gateway.web import answers

ANSWERED = {
    errors.InvalidSignal: 400,
    errors.MalformedRequest: 400,
    errors.Unauthorized: 401,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.TooLarge: 413,
    errors.TargetTooLong: 414,
    errors.UnsupportedContent: 415,
    errors.TooManyRequests: 429,
    errors.HeadTooLarge: 431,
    errors.UnsupportedCoding: 501,
    errors.UnsupportedVersion: 505,
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
    answer = answers.answer_error(kind())
    assert answer.code == code
    assert orjson.loads(answer.body)["error"]
    assert answer.headers["Content-Type"] == "application/json"
    assert ("Retry-After" in answer.headers) == (code in (429, 503))
    assert ("Allow" in answer.headers) == (code == 405)


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.01, "2"), (60.0, "60")])
def test_retry_after_is_in_whole_seconds_and_at_least_one(seconds: float, header: str) -> None:
    assert answers.answer_error(errors.TooManyRequests(retry_after=seconds)).headers["Retry-After"] == header


def test_the_fields_of_a_signal_are_named() -> None:
    answer = answers.answer_error(errors.InvalidSignal({"item": "required"}))
    assert orjson.loads(answer.body) == {"error": "Not a valid signal.", "fields": {"item": "required"}}


@pytest.mark.parametrize("error", [errors.StoreError("at db.internal"), RuntimeError("at db.internal")])
def test_an_answer_does_not_tell_internals(error: Exception) -> None:
    assert b"db.internal" not in answers.answer_error(error).body
