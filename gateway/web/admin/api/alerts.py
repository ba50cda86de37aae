"""Endpoints of alerts: list them, acknowledge one."""

from __future__ import annotations

import voluptuous as vol

from gateway.operate import views
from gateway.operate.access import accounts_of, require_change, require_seen_alert
from gateway.operate.alerts import AlertFilter, acknowledge_alert, list_alerts
from gateway.web.admin.api import shapes
from gateway.web.admin.api.endpoint import Call, Reply, endpoint, reply_page
from gateway.web.admin.api.fields import ACCOUNT, one_of

STATE = {
    vol.Optional("state", description="Only in this state; open ones are raised or acknowledged."): (
        one_of("open", "raised", "acknowledged", "cleared")
    )
}


@endpoint(shapes.ALERT, query={**ACCOUNT, **STATE}, paged=True)
async def list_(call: Call) -> Reply:
    """List alerts, newest first: overdue orders, silent accounts, sick routes, keys that end."""
    accounts = accounts_of(call.access, call.config, call.query.get("account"))
    which = AlertFilter(accounts=accounts, before=call.query.get("after"), state=call.query.get("state"))
    rows = await list_alerts(call.store, which, call.limit + 1)
    return reply_page(call, rows, views.alert_json, lambda row: row.id)


@endpoint(shapes.ALERT)
async def acknowledge(call: Call) -> Reply:
    """Note that somebody has seen an open alert. It stays open until its condition is over."""
    require_change(call.access)
    await require_seen_alert(call.store, call.access, call.config, call.names["id"])
    alert, _ = await acknowledge_alert(call.store, call.names["id"], call.now)
    return Reply(views.alert_json(alert))
