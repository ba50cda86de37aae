"""Logs: one line per event, and no secret in any line."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from gateway import logs
from gateway.log_output import LogOutput

SECRET = 'pa"ss\\wörd/7&x'


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def written(format: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.set_up_logs(format, level, logs.Redactor([SECRET, "abc"]), stream)
    return stream


def test_json_is_one_object_a_line() -> None:
    stream = written("json")
    structlog.get_logger().info("signal.accepted", account="shop", ms=1.5)
    line = json.loads(stream.getvalue())
    assert line.pop("at").endswith("Z")
    assert line == {"event": "signal.accepted", "level": "info", "account": "shop", "ms": 1.5}


@pytest.mark.parametrize("value", ["no \udc80 text", 2**70, {"a": ["\ud800"]}])
def test_values_that_json_lacks_are_written_too(value: object) -> None:
    stream = written("json")
    structlog.get_logger().info("delivery.attempted", reason=value)
    assert json.loads(stream.getvalue())["reason"] == value


def test_console_lines_begin_with_the_time() -> None:
    stream = written("console")
    structlog.get_logger().info("signal.accepted", account="shop")
    assert re.match(r"20\d\d-\d\d-\d\dT[\d:.]+Z \[info +\] signal.accepted +account=shop\n", stream.getvalue())


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_senders_text_forges_no_line(format: str) -> None:
    stream = written(format)
    structlog.get_logger().info("signal.refused", account="x\x1b[2J\nforged\x00", error="é")
    (line,) = stream.getvalue().splitlines()
    assert "x" in line
    assert "é" in line
    assert not any(ord(character) < 32 for character in line)


@pytest.mark.parametrize("format", ["json", "console"])
def test_secrets_are_masked_wherever_they_stand(format: str) -> None:
    stream = written(format)
    log = structlog.get_logger().bind(bound=SECRET)
    try:
        raise ValueError(f"could not reach https://host/{SECRET}")
    except ValueError:
        log.exception("oops", nested={"a": [SECRET]}, text=f"x{SECRET}y")
    logging.getLogger("some.library").warning("said %s", SECRET)
    text = stream.getvalue()
    assert "oops" in text
    assert "some.library" in text
    for form in logs.spellings(SECRET):
        assert form not in text
    assert text.count("***") >= 5


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize("around", ["{}", '"{}"', "'{}'", '{}"', "{}'\\", '\n"{}'])
def test_a_secret_with_a_quote_is_masked_beside_any_text(format: str, around: str) -> None:
    stream = io.StringIO()
    secret = "it's-a-secret"
    logs.set_up_logs(format, "info", logs.Redactor([secret]), stream)
    structlog.get_logger().info("told", text=around.format(secret))
    assert "s-a-secret" not in stream.getvalue()


def test_levels_below_the_chosen_one_are_left_out() -> None:
    stream = written("json", "warning")
    structlog.get_logger().info("quiet")
    structlog.get_logger().error("loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


def test_statements_are_not_logged_whatever_the_level() -> None:
    stream = written("json", "debug")
    logging.getLogger("peewee").debug("INSERT %s", "a payload")
    logging.getLogger("other").debug("something")
    assert "payload" not in stream.getvalue()
    assert "something" in stream.getvalue()


def test_the_redactor_leaves_short_secrets_and_other_text_alone() -> None:
    redact = logs.Redactor(["abc", "long-secret"])
    assert redact("abc and long-secret") == "abc and ***"
    assert logs.Redactor()("anything") == "anything"


def test_many_secrets_are_masked_as_few_are() -> None:
    secrets = [f"{number:05}-key" for number in range(2 * logs.MAX_SEARCHED_SECRETS)]
    redact = logs.Redactor([*secrets, "short"])
    assert redact("".join(secrets)) == "***" * len(secrets)
    assert redact("a short one") == "a *** one"
    for text in ("", "key", "00a00-key and more", "0007-key"):
        assert redact(text) == text


def test_secrets_learnt_later_are_masked_too() -> None:
    redact = logs.Redactor(["first-secret"])
    stream = io.StringIO()
    logs.set_up_logs("json", "info", redact, stream)
    log = structlog.get_logger().bind()
    redact.learn(["second-secret"])
    log.info("said", text="first-secret, second-secret")
    assert json.loads(stream.getvalue())["text"] == "***, ***"


def test_a_secret_within_another_is_masked_as_a_whole() -> None:
    assert logs.Redactor(["secret", "secret-and-more"])("is secret-and-more") == "is ***"


def test_a_url_quoted_secret_is_masked() -> None:
    assert logs.Redactor(["a b/c"])("u=a%20b%2Fc v=a%20b/c") == "u=*** v=***"


@pytest.mark.parametrize(("format", "told"), [("json", '"event":"log.dropped"'), ("console", "log.dropped")])
def test_dropped_lines_are_told_in_the_logs_format(format: str, told: str) -> None:
    output = LogOutput(-1)
    logs.set_up_logs(format, "info", logs.Redactor(), output)
    line = output.describe_dropped(7)
    assert told in line
    assert "7" in line
    assert line.endswith("\n")
    assert '"level":"warning"' in line or "[warning" in line


def test_a_command_logs_no_traceback_and_no_variable(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up_command_logs()
    try:
        password = "hunter2-of-a-variable"
        raise KeyError(len(password))
    except KeyError:
        structlog.get_logger().exception("sink.failed", hook="check")
    finally:
        structlog.reset_defaults()
    said = capsys.readouterr().err
    assert "sink.failed" in said
    assert "hunter2" not in said
    assert "Traceback" not in said
