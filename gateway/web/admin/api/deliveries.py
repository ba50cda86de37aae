"""Endpoints of deliveries and dead letters."""

from __future__ import annotations

import voluptuous as vol

from gateway.operate import views
from gateway.operate.access import narrow
from gateway.operate.lookups import list_deliveries
from gateway.web.admin.api import shapes
from gateway.web.admin.api.endpoint import Call, Reply, endpoint, reply_page
from gateway.web.admin.api.fields import DELIVERY, FILTERS, STATE, make_filter

AFTER = {vol.Optional("after", description="The delivery before the page; take it from the Link header."): DELIVERY}


@endpoint(shapes.DELIVERY, query={**FILTERS, **STATE, **AFTER}, paged=True)
async def list_(call: Call) -> Reply:
    """List deliveries (one signal on one route), newest first."""
    return await reply_deliveries(call)


@endpoint(shapes.DELIVERY, query={**FILTERS, **AFTER}, paged=True)
async def list_dead(call: Call) -> Reply:
    """List dead letters: deliveries that were given up."""
    return await reply_deliveries(call, state="dead")


async def reply_deliveries(call: Call, **fields: str) -> Reply:
    """Reply with a page of deliveries."""
    given = {**call.query, **fields}
    which = narrow(call.access, call.config, make_filter(given, beyond=given.get("after")))
    rows = await list_deliveries(call.store, which, call.limit + 1)
    return reply_page(call, rows, views.delivery_json, lambda row: f"{row.signal_id}.{row.route}")
