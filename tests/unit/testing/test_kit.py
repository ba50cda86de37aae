"""The conformance kit: a good sink passes it, and a bad one fails the test of the rule that it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import re
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import structlog
import voluptuous as vol

from gateway.sink import Check, HttpSink, Misconfigured, Permanent, RetryLater, Secret, Sink, SinkError, Url
from gateway.testing import HttpSinkContract, HttpTarget, SinkContract, Target, rig
from gateway.testing.hooks import ContractBase
from gateway.testing.lookup_contract import LookupContract
from tests.support import example


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The sink of plugins/README.md and its test, as `Sink` and `Contract`."""
    folder = tmp_path_factory.mktemp("kit") / "desk"
    example.write_plugin(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        sink, test = map(importlib.import_module, ("cloudsignal_desk", "test_desk"))
        yield SimpleNamespace(Sink=sink.DeskSink, Contract=test.TestDesk)
    del sys.modules["cloudsignal_desk"], sys.modules["test_desk"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The test of the page's sink whose target does not speak HTTP."""
    folder = tmp_path_factory.mktemp("kit") / "rows"
    example.write_rows_plugin(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield importlib.import_module("test_rows").TestRows
    del sys.modules["cloudsignal_rows"], sys.modules["test_rows"]


def rules_of(contract: type[ContractBase]) -> list[str]:
    return [name for name in dir(contract) if name.startswith("test_")]


def verdict(contract: SinkContract, test: str) -> str:
    """Return the kit's message about a sink, "" if it passes."""
    try:
        getattr(contract, test)()
    except pytest.fail.Exception as failure:
        return str(failure)
    return ""


# -- a good sink


@pytest.mark.parametrize("test", rules_of(HttpSinkContract))
def test_the_pages_sink_passes(desk: Any, test: str) -> None:
    reason = {"test_a_batch_has_an_answer_for_each_delivery": "one delivery at a time"}.get(test)
    if reason or test in (*rules_of(LookupContract), "test_a_foreign_page_gives_no_answer_about_orders"):
        with pytest.raises(pytest.skip.Exception, match=reason or "the sink looks up no orders"):
            getattr(desk.Contract(), test)()
    else:
        assert verdict(desk.Contract(), test) == ""


@pytest.mark.parametrize("test", rules_of(SinkContract))
def test_the_pages_sink_without_http_passes(rows: Any, test: str) -> None:
    skipped = pytest.skip.Exception if test not in ("test_it_delivers", "test_a_busy_target_is_retried") else ()
    with contextlib.suppress(skipped):
        assert verdict(rows(), test) == ""


def test_the_pages_sink_has_at_most_30_lines(desk: Any) -> None:
    code = [line for line in example.block("python", "class DeskSink").splitlines() if line.strip()]
    assert len(code) <= 30


@pytest.mark.parametrize(
    "known", [Sink, HttpSink, Target, HttpTarget, ContractBase, HttpSinkContract], ids=lambda c: c.__name__
)
def test_the_page_names_the_whole_interface(known: type) -> None:
    page = example.PAGE.read_text()
    inner = {"run", "rig", "deliver_once", "turns", "after_trouble", "twice", "answer", "url"}
    for name in vars(known):
        if not name.startswith(("_", "test_", "expect_", "cancelled_")) and name not in inner:
            assert re.search(rf"\b{name}\b", page), f"{known.__name__}.{name} is not in {example.PAGE.name}"


# -- sinks that break a rule


async def swallow(self: Any, delivery: Any) -> None:
    """Take every failure for a success."""
    try:
        await type(self).__mro__[1].deliver(self, delivery)
    except SinkError:
        return


async def swallow_later(self: Any, delivery: Any) -> None:
    """Take every failure for a success, once the target has taken something."""
    try:
        await type(self).__mro__[1].deliver(self, delivery)
    except SinkError:
        if not self.__dict__.get("worked"):
            raise
    self.worked = True


async def ask_when_opened(self: Any) -> None:
    await self.call("GET", "/me")


async def block(self: Any, delivery: Any) -> None:
    time.sleep(0.15)  # noqa: ASYNC251
    await type(self).__mro__[1].deliver(self, delivery)


async def block_in_a_task(self: Any, delivery: Any) -> None:
    async def work() -> None:
        time.sleep(0.15)  # noqa: ASYNC251

    await asyncio.gather(work())
    await type(self).__mro__[1].deliver(self, delivery)


async def block_when_checked(self: Any) -> Check:
    time.sleep(0.15)  # noqa: ASYNC251
    return Check(True)


async def give_up(self: Any, delivery: Any) -> None:
    try:
        await type(self).__mro__[1].deliver(self, delivery)
    except RetryLater as error:
        raise Permanent(str(error)) from error


async def forget_the_wait(self: Any, delivery: Any) -> None:
    try:
        await type(self).__mro__[1].deliver(self, delivery)
    except RetryLater as error:
        raise RetryLater(str(error)) from error


async def try_again_for_ever(self: Any, delivery: Any) -> None:
    try:
        await type(self).__mro__[1].deliver(self, delivery)
    except (Permanent, Misconfigured) as error:
        raise RetryLater(str(error)) from error


async def new_key_each_time(self: Any, delivery: Any) -> None:
    await self.call("POST", "/tickets", {"id": f"{delivery.key}-{delivery.attempt}", "text": "x"})


async def remember_in_memory(self: Any, delivery: Any) -> None:
    """Act once in a process, but again after a restart."""
    known = self.__dict__.setdefault("known", set())
    if delivery.key not in known:
        await self.call("POST", "/tickets", {"id": f"{delivery.key}-{id(self)}", "text": "x"})
        known.add(delivery.key)


async def remember_too_soon(self: Any, delivery: Any) -> None:
    """Report success before the work is done."""
    if self.state.get("done") != delivery.key:
        self.state.set("done", delivery.key)
        await self.call("POST", "/tickets", {"id": delivery.key, "text": "x"})


async def two_halves(self: Any, delivery: Any) -> None:
    """Leave out the second half if an earlier attempt did the first."""
    known = self.__dict__.setdefault("known", set())
    if delivery.key not in known:
        known.add(delivery.key)
        await self.call("POST", "/tickets", {"id": f"{delivery.key}-a", "text": "x"})
        await self.call("POST", "/tickets", {"id": f"{delivery.key}-b", "text": "x"})


async def stay(self: Any, delivery: Any) -> None:
    """Go on when cancelled."""
    try:
        await type(self).__mro__[1].deliver(self, delivery)
    except asyncio.CancelledError:
        await asyncio.sleep(3600)


async def surprise(self: Any, delivery: Any) -> None:
    await self.call("POST", "/tickets", {"id": delivery.key, "text": delivery.signal.payload["item"] + "!"})


async def tell_token(self: Any, delivery: Any) -> None:
    structlog.get_logger().info("desk.called", token=self.settings["token"].reveal())
    await type(self).__mro__[1].deliver(self, delivery)


async def tell_in_error(self: Any, delivery: Any) -> None:
    try:
        await type(self).__mro__[1].deliver(self, delivery)
    except Misconfigured as error:
        raise Misconfigured(f"{error} ({self.settings['token'].reveal()})") from error


async def trust(self: Any, delivery: Any) -> None:
    """Repeat the target's message in an error."""
    answer = await self.request(
        "POST",
        self.settings["url"] + "/tickets",
        json={"id": delivery.key, "text": "x"},
        headers={"Authorization": f"Bearer {self.settings['token'].reveal()}"},
    )
    if answer.status >= 300:
        raise RetryLater(answer.text, answer.retry_after(self.context.now()))


async def follow(self: Any, delivery: Any) -> None:
    headers = {"Authorization": f"Bearer {self.settings['token'].reveal()}"}
    body = {"id": delivery.key, "text": "x"}
    async with aiohttp.request("POST", self.settings["url"], json=body, headers=headers):
        return


async def work_on(self: Any, delivery: Any) -> None:
    await type(self).__mro__[1].deliver(self, delivery)
    self.background = asyncio.create_task(asyncio.sleep(3600))


async def always_ok(self: Any) -> Check:
    return Check(True)


async def never_ok(self: Any) -> Check:
    return Check(False, ("can't tell",))


async def check_by_posting(self: Any) -> Check:
    try:
        await self.call("POST", "/tickets", {"id": "check", "text": "is it there?"})
    except SinkError as error:
        return Check(False, (str(error),))
    return Check(True)


def url_told(value: Any) -> str:
    try:
        return Url()(value)
    except vol.Invalid:
        raise vol.Invalid(f"{value} is no URL") from None


def url_crash(value: Any) -> str:
    return value.rstrip("/")


BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("test_a_busy_target_is_retried", {"deliver": swallow}, "must be retried"),
    ("test_a_busy_target_is_retried", {"deliver": give_up}, "must be retried"),
    ("test_a_busy_target_is_retried_after_a_delivery_too", {"deliver": swallow_later}, "busy must end as retry"),
    (
        "test_a_busy_target_is_retried_after_a_delivery_too",
        {"open": ask_when_opened, "deliver": swallow},
        "busy must end as retry",
    ),
    ("test_a_target_that_goes_down_is_retried_after_a_delivery_too", {"deliver": swallow_later}, "down must end as"),
    (
        "test_a_target_that_goes_down_is_retried_after_a_delivery_too",
        {"open": ask_when_opened, "deliver": give_up},
        "ends as permanent",
    ),
    ("test_credentials_that_are_refused_after_a_delivery_are_told", {"deliver": swallow_later}, "must end as misconf"),
    ("test_it_does_not_block_the_event_loop", {"deliver": block}, "asyncio.to_thread"),
    ("test_it_does_not_block_the_event_loop", {"deliver": block_in_a_task}, "asyncio.to_thread"),
    ("test_it_does_not_block_the_event_loop", {"check": block_when_checked}, "asyncio.to_thread"),
    ("test_a_target_that_is_down_is_retried", {"deliver": give_up}, "must be retried"),
    ("test_a_requested_wait_is_respected", {"deliver": forget_the_wait}, "asked for 37 s"),
    ("test_a_wait_may_be_given_as_a_date", {"deliver": forget_the_wait}, "Retry-After was the date"),
    ("test_a_rejected_delivery_is_permanent", {"deliver": try_again_for_ever}, "must end as permanent"),
    ("test_refused_credentials_pause_the_route", {"deliver": try_again_for_ever}, "must end as misconfigured"),
    (
        "test_a_hanging_target_is_abandoned_in_time",
        {"deliver": swallow, "read_timeout": 5},
        "must be retried",
    ),
    ("test_a_hanging_target_is_abandoned_in_time", {"deliver": stay, "timeout": 1}, "must end within 0.2 s"),
    ("test_it_delivers", {"deliver": remember_too_soon, "call": never_ok}, "the target shows no effect"),
    (
        "test_a_repeated_delivery_acts_once",
        {"deliver": new_key_each_time},
        "when CloudprinterOrderCanceled comes twice",
    ),
    ("test_it_acts_once_over_a_restart", {"deliver": remember_in_memory}, "comes twice"),
    ("test_it_acts_once_if_a_crash_loses_the_result", {"deliver": remember_in_memory}, "comes twice"),
    ("test_an_attempt_may_be_cancelled_at_any_await", {"deliver": remember_too_soon}, "was cancelled at its await 1"),
    ("test_an_attempt_may_be_cancelled_at_any_await", {"deliver": two_halves}, "was cancelled at its await"),
    ("test_odd_signals_raise_only_sink_errors", {"deliver": surprise}, "unexpected error: KeyError"),
    ("test_no_secret_is_shown", {"deliver": tell_token}, "THE SECRET"),
    ("test_no_secret_is_shown", {"deliver": tell_in_error}, "THE SECRET"),
    ("test_a_target_that_echoes_the_request_reveals_no_secret", {"deliver": trust}, "THE SECRET"),
    ("test_a_redirect_is_not_followed", {"deliver": follow}, "is not a delivery"),
    ("test_transient_statuses_are_retried", {"deliver": follow}, "answering 429 must be retried"),
    ("test_a_foreign_error_page_is_not_a_delivery", {"deliver": follow}, "is not a delivery"),
    ("test_close_ends_all_tasks", {"deliver": work_on}, "close must end all tasks"),
    ("test_check_accepts_a_healthy_target_and_changes_nothing", {"check": never_ok}, "must be ok"),
    ("test_check_accepts_a_healthy_target_and_changes_nothing", {"check": check_by_posting}, "must change nothing"),
    ("test_check_notices_a_target_that_is_down", {"check": always_ok}, "must not be ok with a target that is down"),
    ("test_check_notices_refused_credentials", {"check": always_ok}, "refuses the credentials"),
    ("test_the_class_is_a_sink", {"signals": frozenset({"ItemShiped"})}, "ItemShiped"),
    ("test_the_class_is_a_sink", {"summary": "two\nlines"}, "one line"),
    ("test_the_class_is_a_sink", {"timeout": 0}, "timeout"),
    ("test_the_class_is_a_sink", {"batch": "many"}, "batch is 'many'"),
    ("test_an_unknown_option_is_refused", {"options": {str: object}}, "an unknown option must be named"),
    (
        "test_a_wrong_option_is_refused_without_its_value",
        {"options": {vol.Required("url"): url_told, vol.Required("token"): Secret()}},
        "the error of url contains the value found",
    ),
    (
        "test_a_wrong_option_is_refused_without_its_value",
        {"options": {vol.Required("url"): url_crash, vol.Required("token"): Secret()}},
        "a validator raised AttributeError",
    ),
    (
        "test_a_wrong_option_is_refused_without_its_value",
        {"options": {vol.Required("url"): object, vol.Required("token"): Secret()}},
        "url takes any value",
    ),
    (
        "test_options_named_like_secrets_are_secrets",
        {"options": {vol.Required("url"): Url(), vol.Required("token"): str}},
        r"token must be a Secret\(\)",
    ),
]


@pytest.mark.parametrize(("test", "changes", "words"), BROKEN)
def test_a_broken_rule_fails_its_test(
    desk: Any, test: str, changes: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig, "CANCEL_WITHIN", 0.2)
    broken = type("Broken", (desk.Sink,), changes)
    contract = type("TestBroken", (desk.Contract,), {"sink": broken})()
    assert re.search(words, verdict(contract, test)), verdict(contract, test)
