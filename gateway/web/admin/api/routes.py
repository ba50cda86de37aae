"""Endpoints of an account's routes: list, pause, resume."""

from __future__ import annotations

import voluptuous as vol

from gateway.operate import views
from gateway.operate.access import require_change, require_seen
from gateway.operate.routes import list_routes, pause_route, read_route, resume_route
from gateway.web.admin.api import shapes
from gateway.web.admin.api.endpoint import Call, Reply, endpoint
from gateway.web.admin.api.fields import WHY

REASON = {vol.Optional("why", default="", description="The reason, shown to other operators."): WHY}


@endpoint([shapes.ROUTE])
async def list_(call: Call) -> Reply:
    """List an account's routes, sick ones first: state, reason, backlog, dead letters."""
    account = call.names["account"]
    require_seen(call.access, call.config, account)
    rows = await list_routes(call.store, call.config, account)
    return Reply([views.route_json(row, call.now) for row in rows])


@endpoint(shapes.ROUTE, body=REASON)
async def pause(call: Call) -> Reply:
    """Stop delivering on a route; its deliveries wait."""
    require_change(call.access)
    require_seen(call.access, call.config, call.names["account"])
    key = call.names["account"], call.names["route"]
    await pause_route(call.store, call.config, key, call.body["why"], call.now)
    return await show(call)


@endpoint(shapes.ROUTE, body=REASON)
async def resume(call: Call) -> Reply:
    """Deliver on a paused route again."""
    require_change(call.access)
    require_seen(call.access, call.config, call.names["account"])
    key = call.names["account"], call.names["route"]
    await resume_route(call.store, call.config, key, call.now, call.body["why"])
    return await show(call)


async def show(call: Call) -> Reply:
    """Reply with a route as it is now."""
    row = await read_route(call.store, call.config, (call.names["account"], call.names["route"]))
    return Reply(views.route_json(row, call.now))
