"""The part of the contract that needs no target: the class and its options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import voluptuous as vol

from gateway.errors import PluginError
from gateway.model import EVERY, SecretValue
from gateway.signal_types import NAMES
from gateway.sink.registry import check_sink_class
from gateway.testing.hooks import ContractBase
from gateway.testing.verdict import expect

WRONG_MARK = "wr0ng"
WRONG_VALUES: tuple[Any, ...] = (
    {f"{WRONG_MARK} key": [f"{WRONG_MARK} value"]},
    [f"{WRONG_MARK} value", {}],
    f"{WRONG_MARK}\nvalue",
    f"{WRONG_MARK}-value",
    "",
    -1.5,
    True,
    None,
)
"""Values of which each option must refuse at least one."""

SECRET_NAME = re.compile(r"(^|_)(token|password|passwd|secrets?|api_?key|private_key|webhook_url)$")


class OptionsContract(ContractBase):
    """Tests of the class and of its options' schema."""

    def test_the_class_is_a_sink(self) -> None:
        sink = self.sink
        try:
            check_sink_class(sink.name, sink)
        except PluginError as error:
            expect(False, str(error))
        expect("\n" not in sink.summary and len(sink.summary) <= 100, "summary must be one line")
        expect(sink.timeout <= 3600, "timeout must be at most an hour")
        unknown = set(sink.signals) - set(NAMES) - {EVERY}
        expect(bool(sink.signals) and not unknown, f"signals must name known types, or every one ('*'): {unknown}")

    def test_good_options_are_taken(self) -> None:
        async def body() -> None:
            async with self.rig():
                pass  # the rig validates them by the schema

        self.run(body)

    def test_a_missing_option_is_named(self) -> None:
        async def body() -> None:
            async with self.rig() as rig:
                given = dict(rig.target.options())
            for name in required(self.sink.options):
                left = {key: value for key, value in given.items() if key != name}
                errors = refused(self.sink.options, left)
                expect(any(error.path == [name] for error in errors), f"without {name}, an error must name it")

        self.run(body)

    def test_an_unknown_option_is_refused(self) -> None:
        async def body() -> None:
            async with self.rig() as rig:
                given = dict(rig.target.options())
            errors = refused(self.sink.options, {**given, "surely_unknown": WRONG_MARK})
            expect(any("surely_unknown" in map(str, error.path) for error in errors), "an unknown option must be named")

        self.run(body)

    def test_a_wrong_option_is_refused_without_its_value(self) -> None:
        async def body() -> None:
            async with self.rig() as rig:
                given = dict(rig.target.options())
            for name in names(self.sink.options):
                refusals = [refused(self.sink.options, {**given, name: value}) for value in WRONG_VALUES]
                expect(any(refusals), f"{name} takes any value: it must refuse values that the sink can't use")
                for error in (each for errors in refusals for each in errors):
                    expect(WRONG_MARK not in error.msg, f"the error of {name} contains the value found: {error.msg}")
                    expect(
                        bool(error.path) and str(error.path[0]) == name, f"the error of {name} must name it: {error}"
                    )

        self.run(body)

    def test_options_named_like_secrets_are_secrets(self) -> None:
        async def body() -> None:
            async with self.rig() as rig:
                for name, value in rig.options.items():
                    if SECRET_NAME.search(str(name)):
                        found = value if isinstance(value, (list, tuple)) else [value]
                        expect(all(isinstance(each, SecretValue) for each in found), f"{name} must be a Secret()")

        self.run(body)


def names(schema: Any) -> Iterator[str]:
    """Yield the names of a schema's options."""
    for key in schema:
        name = key.schema if isinstance(key, vol.Marker) else key
        if isinstance(name, str):
            yield name


def required(schema: Any) -> Iterator[str]:
    for key in schema:
        if isinstance(key, vol.Required) and isinstance(key.default, vol.Undefined):
            yield key.schema


def refused(schema: Any, options: Any) -> list[vol.Invalid]:
    """Return the errors of options, none if they are valid. Validators may raise only vol.Invalid."""
    try:
        vol.Schema(dict(schema))(options)
    except vol.MultipleInvalid as error:
        return list(flatten(error))
    except Exception as error:
        expect(False, f"a validator raised {type(error).__name__} instead of vol.Invalid: {error}")
    return []


def flatten(error: vol.MultipleInvalid) -> Iterator[vol.Invalid]:
    for each in error.errors:
        yield from flatten(each) if isinstance(each, vol.MultipleInvalid) else (each,)
