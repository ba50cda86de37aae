"""Checks routes against their targets: the configuration may be right and the target out of reach."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.config import Config, enabled_routes
from gateway.logs import Redactor
from gateway.model import Route
from gateway.sink.api import Context


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
    sink_class = config.loaded[route.sink].sink
    assert sink_class is not None
    sink = sink_class(route.options, Context(route.account, route.tenant, route.name))
    try:
        found = await asyncio.wait_for(sink.check(), sink.timeout)
        ok, details = found.ok, found.details
    except Exception as error:
        ok, details = False, (f"{type(error).__name__}: {error}",)
    finally:
        await sink.close()
    return RouteCheck(route.account, route.name, route.sink, ok, tuple(map(redact, details)))
