"""Endpoints of the quarantine: requests that had a right key and were no valid signal."""

from __future__ import annotations

from gateway.operate import views
from gateway.operate.access import narrow
from gateway.operate.quarantine import page_quarantine
from gateway.web.admin.api import shapes
from gateway.web.admin.api.endpoint import Call, Reply, endpoint, reply_page
from gateway.web.admin.api.fields import ACCOUNT, WINDOW, below, make_filter


@endpoint(shapes.QUARANTINED, query={**ACCOUNT, **WINDOW}, paged=True)
async def list_(call: Call) -> Reply:
    """List requests in quarantine, newest first."""
    which = narrow(call.access, call.config, make_filter(call.query, upto=below(call.query)))
    rows = await page_quarantine(call.store, which, call.limit + 1)
    return reply_page(call, rows, views.quarantine_json, lambda row: row.id)
