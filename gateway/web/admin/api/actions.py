"""Endpoint of actions: actor, action, time and origin."""

from __future__ import annotations

from gateway.operate import views
from gateway.operate.access import narrow
from gateway.operate.actions import list_actions
from gateway.web.admin.api import shapes
from gateway.web.admin.api.endpoint import Call, Reply, endpoint, reply_page
from gateway.web.admin.api.fields import ACCOUNT, below, make_filter


@endpoint(shapes.ACTION, query=ACCOUNT, paged=True)
async def list_(call: Call) -> Reply:
    """List actions of people, programs and commands, newest first. A tenant or an account sees its own."""
    which = narrow(call.access, call.config, make_filter(call.query, upto=below(call.query)))
    rows = await list_actions(call.store, which, call.limit + 1)
    return reply_page(call, rows, views.action_json, lambda row: row.id)
