"""Checks routes against their targets: the configuration may be right and the target out of reach."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from gateway.config import Config, enabled_routes
from gateway.dispatch.calls import catch, close_sink, describe, without_surrogates
from gateway.dispatch.faults import SinkFaults, place_of
from gateway.errors import GatewayError, SinkError
from gateway.logs import Redactor
from gateway.model import Route
from gateway.operate.names import describe_unknown
from gateway.sink.api import Context, Sink
from gateway.store.values import Filter

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RouteCheck:
    """The answer of a route's target: `ok` if it could take deliveries, `details` for people."""

    account: str
    route: str
    sink: str
    ok: bool
    details: tuple[str, ...]


async def check_routes(config: Config, account: str | None = None, name: str | None = None) -> list[RouteCheck]:
    """Ask the targets of enabled routes whether they could take deliveries; in the configuration's order.

    Routes of one sink with equal options have one target, which is asked once. Raises GatewayError if no enabled route
    has this account or this name.
    """
    routes = [
        route
        for route in enabled_routes(config).values()
        if account in (None, route.account) and name in (None, route.name)
    ]
    if not routes and (account or name):
        known = {owner.name: list(owner.routes) for owner in config.accounts.values()}
        trouble = describe_unknown(known, Filter(account=account, route=name))
        raise GatewayError(trouble or "there is no such route that is enabled")
    redact = Redactor(config.secrets)
    targets = group_by_target(routes)
    answers = await asyncio.gather(*(check_route(config, same[0], redact) for same in targets))
    found = {
        (route.account, route.name): replace(answer, account=route.account, route=route.name)
        for answer, same in zip(answers, targets, strict=True)
        for route in same
    }
    return [found[route.account, route.name] for route in routes]


def group_by_target(routes: Iterable[Route]) -> list[list[Route]]:
    """Return the routes of each target. A placeholder in an option, as in `{account}`, gives a route its own."""
    targets: dict[Any, list[Route]] = {}
    for route in routes:
        own = (route.account, route.name) if any("{" in text for text in texts_in(route.options)) else None
        targets.setdefault((route.sink, route.broken, freeze(route.options), own), []).append(route)
    return list(targets.values())


def texts_in(value: Any) -> Iterator[str]:
    """Yield the texts of an option at any depth."""
    for inner in freeze(value) if isinstance(value, Mapping | list | tuple | set | frozenset) else ():
        yield from [inner] if isinstance(inner, str) else texts_in(inner)


def freeze(value: Any) -> Any:
    """Return an option as a value that can be compared and hashed; an unknown kind is equal to itself only."""
    if isinstance(value, Mapping):
        return tuple((key, freeze(inner)) for key, inner in sorted(value.items(), key=lambda item: str(item[0])))
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value))
    if isinstance(value, set | frozenset):
        return tuple(sorted(map(freeze, value), key=repr))
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


async def check_route(config: Config, route: Route, redact: Redactor) -> RouteCheck:
    """Ask one target. An exception of the sink is an answer too; secrets in it are redacted."""
    if route.broken:
        return RouteCheck(route.account, route.name, route.sink, False, (redact(route.broken),))
    sink_class = config.loaded[route.sink].sink
    assert sink_class is not None
    try:
        ok, details = await ask_target(sink_class, route)
    except BaseException as error:  # sys.exit() in a plugin must not end the command
        if (task := asyncio.current_task()) and task.cancelling():  # by Ctrl-C, and not by the sink
            raise
        ok, details = False, (describe_failure(error),)
    return RouteCheck(route.account, route.name, route.sink, ok, tuple(map(redact, details)))


async def ask_target(sink_class: type[Sink], route: Route) -> tuple[bool, tuple[str, ...]]:
    """Call the `check` of a new instance within its time limit, and close it."""
    sink = sink_class(route.options, Context(route.account, route.tenant, route.name))
    asking = asyncio.create_task(catch(sink.check))
    try:
        await asyncio.wait({asking}, timeout=sink.timeout)
        if not asking.done():
            asking.cancel()
            return False, (f"no result within {sink.timeout:g} s",)
        found, error = asking.result()
        if error is not None:
            raise error
        assert found is not None, "check returned None"
        return found.ok, tuple(without_surrogates(str(detail)) for detail in found.details)
    finally:
        await close_sink(sink, SinkFaults(log.bind(**route.log_context())))


def describe_failure(error: BaseException) -> str:
    """Return a sink's exception for people; an unexpected one with its place in the code."""
    place = "" if isinstance(error, SinkError) else place_of(error)
    return f"{type(error).__name__}: {describe(error)}{f' ({place})' if place else ''}"
