"""Checks routes against their targets: the configuration may be right and the target out of reach."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from gateway.config import Config, enabled_routes
from gateway.dispatch.calls import catch, close_sink, describe, without_surrogates
from gateway.dispatch.faults import SinkFaults, place_of
from gateway.errors import SinkError
from gateway.logs import Redactor
from gateway.model import Route
from gateway.sink.api import Context, Sink

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RouteCheck:
    """The answer of a route's target: `ok` if it could take deliveries, `details` for people."""

    account: str
    route: str
    sink: str
    ok: bool
    details: tuple[str, ...]


async def check_routes(config: Config) -> list[RouteCheck]:
    """Ask the target of each enabled route whether it could take deliveries; in the configuration's order."""
    redact = Redactor(config.secrets)
    return list(await asyncio.gather(*(check_route(config, r, redact) for r in enabled_routes(config).values())))


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
