"""Endpoints of signals: list them, show one with its deliveries, explain where one went."""

from __future__ import annotations

from gateway.operate import views
from gateway.operate.access import find_seen_signal, narrow
from gateway.operate.explain import explain_signal
from gateway.operate.lookups import list_signals, read_signal
from gateway.web.admin.api import shapes
from gateway.web.admin.api.endpoint import Call, Reply, endpoint, reply_page
from gateway.web.admin.api.fields import FILTERS, STATE, below, make_filter


@endpoint(shapes.SIGNAL, query={**FILTERS, **STATE}, paged=True)
async def list_(call: Call) -> Reply:
    """List accepted signals, newest first."""
    which = narrow(call.access, call.config, make_filter(call.query, upto=below(call.query)))
    rows = await list_signals(call.store, which, call.limit + 1)
    return reply_page(call, rows, views.signal_json, lambda row: row.signal.id)


@endpoint(shapes.SIGNAL_DETAILS)
async def show(call: Call) -> Reply:
    """Show a signal: payload, deliveries, each failed attempt."""
    await find_seen_signal(call.store, call.access, call.config, call.names["id"])
    return Reply(views.details_json(await read_signal(call.store, call.names["id"])))


@endpoint([shapes.EXPLANATION])
async def explain(call: Call) -> Reply:
    """Tell for each route why a signal reached it or not."""
    await find_seen_signal(call.store, call.access, call.config, call.names["id"])
    found = await explain_signal(call.store, call.config, call.names["id"], call.now)
    return Reply([views.explanation_json(found.row, each) for each in found.routes])
